//! Payments that fail, and what comes of it.

use crate::simulate::objects::invoice::Status as InvoiceStatus;
use crate::simulate::objects::subscription::Status;
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// What comes of a payment that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dunning {
    /// One of the retries works, or the customer pays by hand.
    Pays,
    /// After the last retry the subscription is cancelled.
    Cancels,
    /// After the last retry it is `unpaid`: alive, but nothing is collected any more.
    Lapses,
    /// After the last retry it is `paused`, where its billing mode knows that.
    Pauses,
    /// A person gives the invoice up: it is marked uncollectible, or voided. Nothing is owed then.
    IsForgiven,
}

impl Stage {
    /// The first attempt at a finalised invoice has failed; goes on to the end of the story.
    pub(crate) fn dun(&mut self, invoice: usize, outcome: Dunning) -> Act {
        if self.invoices[invoice].amount_due() == 0 {
            // Nothing is owed, so nothing can fail.
            self.collect(invoice);
            return Act::Continue(());
        }
        let pause = (self.period_seconds() / 10).clamp(DAY, 3 * DAY);
        let next = self.recorder.now() + pause;
        if self.subscription.send_invoice {
            // Nobody charges a bank transfer: it becomes overdue.
            self.recorder.wait_until(self.invoices[invoice].due_date.unwrap_or(next))?;
            self.send_invoice("invoice.overdue", invoice);
        } else {
            self.refuse(invoice, Some(next));
        }
        self.enter(Status::PastDue);
        self.chase(invoice, next, pause, outcome)
    }

    /// The subscription is past due, and the payment is tried again.
    pub(super) fn chase(
        &mut self,
        invoice: usize,
        mut next: i64,
        pause: i64,
        outcome: Dunning,
    ) -> Act {
        if !self.subscription.send_invoice {
            for _ in 0..self.recorder.dice.below(3) {
                self.recorder.wait_until(next)?;
                next += pause;
                self.refuse(invoice, Some(next));
                if self.recorder.dice.percent(30) {
                    // A later snapshot that is past due, too: it does not say since when.
                    self.note("debtor_reminded_at");
                }
            }
        }
        match outcome {
            Dunning::Pays => return self.pay_overdue(invoice, next),
            Dunning::IsForgiven => return self.forgive(invoice),
            _ => {}
        }
        self.recorder.wait_until(next)?;
        if self.subscription.send_invoice {
            self.recorder.wait(DAY)?;
        } else {
            self.refuse(invoice, None);
        }
        match outcome {
            Dunning::Lapses => self.lapse(),
            Dunning::Pauses if self.subscription.flexible => self.pause_for_debt(),
            _ => self.cancel_for_debt(invoice),
        }
    }

    /// By the next retry, or before it by hand.
    fn pay_overdue(&mut self, invoice: usize, next: i64) -> Act {
        if self.recorder.dice.percent(40) {
            let hours = self.recorder.dice.between(1, 20);
            self.recorder.wait(hours * HOUR)?;
        } else {
            self.recorder.wait_until(next)?;
            self.recorder.wait(HOUR)?;
        }
        self.collect(invoice);
        self.adopt_card();
        self.enter(Status::Active);
        Act::Continue(())
    }

    /// A person decides that this invoice will not be paid, and the subscription goes on.
    fn forgive(&mut self, invoice: usize) -> Act {
        let hours = self.recorder.dice.between(2, 20);
        self.recorder.wait(hours * HOUR)?;
        // Before 2020 an invoice was closed with nothing but an update.
        let by_update = self.era() < ApiVersion::V2020;
        let voids = self.recorder.dice.percent(50);
        let now = self.recorder.now();
        let forgiven = &mut self.invoices[invoice];
        forgiven.next_payment_attempt = None;
        forgiven.auto_advance = false;
        if voids {
            forgiven.status = InvoiceStatus::Void;
            forgiven.voided_at = Some(now);
            self.send_invoice("invoice.voided", invoice);
        } else {
            forgiven.status = InvoiceStatus::Uncollectible;
            forgiven.marked_uncollectible_at = Some(now);
            self.send_invoice("invoice.marked_uncollectible", invoice);
        }
        if by_update {
            self.send_invoice("invoice.updated", invoice);
        }
        self.enter(Status::Active);
        Act::Continue(())
    }

    fn cancel_for_debt(&mut self, invoice: usize) -> Act {
        // Ends the script, but a debt may still be paid: that revives nothing.
        let Act::Break(()) = self.end(Some("payment_failed")) else { return Act::Continue(()) };
        if self.recorder.dice.percent(25) {
            self.recorder.wait(5 * DAY)?;
            self.collect(invoice);
        }
        Act::Break(())
    }

    /// Unpaid: a period goes by with a draft that nobody collects; then the customer pays the
    /// latest invoice after all, or leaves.
    fn lapse(&mut self) -> Act {
        self.enter(Status::Unpaid);
        self.recorder.wait_until(self.subscription.next_period_end())?;
        let draft = self.roll_into_next_period();
        let days = self.recorder.dice.between(1, 5);
        self.recorder.wait(days * DAY)?;
        if self.recorder.dice.percent(50) {
            return self.end(Some("cancellation_requested"));
        }
        self.finalize(draft);
        self.collect(draft);
        self.enter(Status::Active);
        Act::Continue(())
    }
}
