//! Failed payments and their outcomes.

use crate::simulate::objects::invoice::Status as InvoiceStatus;
use crate::simulate::objects::subscription::Status;
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;
use crate::simulate::version::ApiVersion;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// Outcome of a failed payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dunning {
    /// A retry succeeds, or the customer pays.
    Pays,
    /// The subscription is canceled after the last retry.
    Cancels,
    /// The status is `unpaid` after the last retry: the subscription goes on, but nothing is collected.
    BecomesUnpaid,
    /// The status is `paused` after the last retry, if the billing mode has it.
    Pauses,
    /// A person marks the invoice uncollectible, or voids it. Nothing is owed then.
    WritesOff,
}

impl Stage {
    /// Failed first attempt at a finalized invoice, up to the outcome.
    pub(crate) fn dun(&mut self, invoice: usize, outcome: Dunning) -> Act {
        if self.invoices[invoice].amount_due() == 0 {
            // An amount of zero cannot fail.
            self.collect(invoice);
            return Act::Continue(());
        }
        let pause = (self.period_seconds() / 10).clamp(DAY, 3 * DAY);
        let next = self.recorder.now() + pause;
        if self.subscription.send_invoice {
            // A bank transfer is not charged: the invoice becomes overdue.
            self.recorder.wait_until(self.invoices[invoice].due_date.unwrap_or(next))?;
            self.send_invoice("invoice.overdue", invoice);
        } else {
            self.refuse(invoice, Some(next));
        }
        self.enter(Status::PastDue);
        self.retry_payment(invoice, next, pause, outcome)
    }

    /// Retries the payment of a past-due subscription.
    pub(super) fn retry_payment(
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
                    // A later past-due snapshot, which does not state the start of the debt.
                    self.stamp_metadata("debtor_reminded_at");
                }
            }
        }
        match outcome {
            Dunning::Pays => return self.pay_overdue(invoice, next),
            Dunning::WritesOff => return self.write_off(invoice),
            _ => {}
        }
        self.recorder.wait_until(next)?;
        if self.subscription.send_invoice {
            self.recorder.wait(DAY)?;
        } else {
            self.refuse(invoice, None);
        }
        match outcome {
            Dunning::BecomesUnpaid => self.become_unpaid(),
            Dunning::Pauses if self.subscription.flexible => self.pause_for_debt(),
            _ => self.cancel_for_debt(invoice),
        }
    }

    /// Pays by the next retry, or before it by hand.
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

    /// Writes the invoice off. The subscription goes on.
    fn write_off(&mut self, invoice: usize) -> Act {
        let hours = self.recorder.dice.between(2, 20);
        self.recorder.wait(hours * HOUR)?;
        // Before 2020 only an update said that an invoice was closed.
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
        // Ends the script. A later payment of the debt revives nothing.
        let Act::Break(()) = self.end(Some("payment_failed")) else { return Act::Continue(()) };
        if self.recorder.dice.percent(25) {
            self.recorder.wait(5 * DAY)?;
            self.collect(invoice);
        }
        Act::Break(())
    }

    /// Status `unpaid`: a period passes with a draft that is not collected. Then the customer pays the latest invoice,
    /// or leaves.
    fn become_unpaid(&mut self) -> Act {
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
