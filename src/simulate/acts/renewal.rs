//! Renewals: the invoice is announced, drafted, finalized an hour later and paid.

use std::ops::ControlFlow;

use super::Dunning;
use crate::simulate::objects::invoice::Invoice;
use crate::simulate::objects::line::Line;
use crate::simulate::objects::subscription::{Item, Status};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

impl Stage {
    /// Renewal that is paid.
    pub(crate) fn renew(&mut self) -> Act {
        let invoice = self.reach_next_period()?;
        self.finalize(invoice);
        if self.subscription.send_invoice {
            let days = self.recorder.dice.between(0, 4);
            self.recorder.wait(days * DAY + HOUR)?;
        }
        self.collect(invoice);
        Act::Continue(())
    }

    /// Renewal whose payment fails.
    pub(crate) fn renew_with_failed_payment(&mut self, outcome: Dunning) -> Act {
        let invoice = self.reach_next_period()?;
        self.finalize(invoice);
        self.dun(invoice, outcome)
    }

    /// Waits for the next period, and for the hour in which its draft may change.
    pub(super) fn reach_next_period(&mut self) -> ControlFlow<(), usize> {
        self.announce_invoice()?;
        self.recorder.wait_until(self.subscription.next_period_end())?;
        let invoice = self.roll_into_next_period();
        self.recorder.wait(HOUR)?;
        ControlFlow::Continue(invoice)
    }

    /// Sends `invoice.upcoming`, whose invoice is in the future and has no id.
    pub(super) fn announce_invoice(&mut self) -> Act {
        let due = self.subscription.next_period_end();
        if self.subscription.send_invoice || due - self.recorder.now() < 7 * DAY {
            return Act::Continue(());
        }
        self.recorder.wait_until(due - 7 * DAY)?;
        if self.recorder.dice.percent(50) {
            let lines = self.upcoming_lines();
            let mut upcoming = Invoice::draft(
                self.recorder.id("in"),
                due,
                "upcoming",
                &self.subscription,
                &self.customer,
                lines,
            );
            upcoming.next_payment_attempt = Some(due + HOUR);
            let snapshot = upcoming.render_upcoming(self.version());
            self.recorder.send_once("invoice.upcoming", snapshot);
        }
        Act::Continue(())
    }

    fn upcoming_lines(&mut self) -> Vec<Line> {
        let mut items = self.subscription.items.clone();
        items.iter_mut().for_each(Item::roll);
        let current = std::mem::replace(&mut self.subscription.items, items);
        let prorations = self.prorations.clone();
        let lines = self.period_lines(&[0], false);
        self.prorations = prorations;
        self.subscription.items = current;
        lines
    }

    /// Moves every item whose period is over into the next one, and drafts their invoice.
    pub(super) fn roll_into_next_period(&mut self) -> usize {
        let now = self.recorder.now();
        let mut due = Vec::new();
        for (index, item) in self.subscription.items.iter_mut().enumerate() {
            if item.period_end <= now {
                item.roll();
                due.push(index);
            }
        }
        let lines = self.period_lines(&due, false);
        let invoice = self.draft("subscription_cycle", lines);
        let collected = self.subscription.pause_collection.is_none()
            && self.subscription.status != Status::Unpaid;
        self.invoices[invoice].auto_advance = collected;
        if collected && !self.subscription.send_invoice {
            self.invoices[invoice].next_payment_attempt = Some(now + HOUR);
        }
        self.send_invoice("invoice.created", invoice);
        self.send_updated();
        invoice
    }

    /// Moves a test clock by months: all renewals share one second of the events.
    pub(crate) fn skip_months(&mut self, months: i64) -> Act {
        // Starts in a second of its own.
        self.recorder.wait(1)?;
        for _ in 0..months {
            self.recorder.leap_until(self.subscription.next_period_end())?;
            let invoice = self.roll_into_next_period();
            self.finalize(invoice);
            self.collect(invoice);
        }
        if self.recorder.dice.percent(70) {
            return Act::Continue(());
        }
        // The card fails in the second in which the last period began.
        self.recorder.leap_until(self.subscription.next_period_end())?;
        let invoice = self.roll_into_next_period();
        self.finalize(invoice);
        if self.subscription.send_invoice || self.invoices[invoice].amount_due() == 0 {
            self.collect(invoice);
            return Act::Continue(());
        }
        let next = self.recorder.now() + DAY;
        self.refuse(invoice, Some(next));
        self.enter(Status::PastDue);
        match self.recorder.dice.below(10) {
            // Nobody moves the clock again.
            0..4 => Act::Break(()),
            4..8 => self.retry_payment(invoice, next, DAY, Dunning::Pays),
            _ => self.retry_payment(invoice, next, DAY, Dunning::Cancels),
        }
    }
}
