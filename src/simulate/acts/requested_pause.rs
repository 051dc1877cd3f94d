//! Status `paused`, on request or for a debt. Only flexible billing has it.

use super::Dunning;
use crate::simulate::objects::subscription::{Paused, Status};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;

const DAY: i64 = 86_400;

impl Stage {
    /// Pauses at the request of the customer: no service and no invoices, until the customer resumes or leaves.
    pub(crate) fn pause_service(&mut self) -> Act {
        if !self.subscription.flexible || self.subscription.send_invoice {
            return self.renew();
        }
        // In a second of its own: nothing orders the pause against a change just before.
        self.recorder.wait(3_600)?;
        self.pause("pause_requested");
        self.resume_or_leave()
    }

    /// Pauses after the last failed payment, instead of canceling.
    pub(super) fn pause_for_debt(&mut self) -> Act {
        self.pause("final_payment_failure");
        self.resume_or_leave()
    }

    fn pause(&mut self, reason: &'static str) {
        let at = self.recorder.now();
        self.subscription.paused = Some(Paused { reason, at });
        self.enter(Status::Paused);
        self.send("customer.subscription.paused");
    }

    fn resume_or_leave(&mut self) -> Act {
        let days = self.recorder.dice.between(4, 40);
        self.recorder.wait(days * DAY)?;
        match self.recorder.dice.below(10) {
            0..6 => self.resume(true),
            6..9 => self.resume(false),
            _ => self.end(Some("cancellation_requested")),
        }
    }

    /// Restarts the periods and bills them at once; the payment succeeds or fails.
    fn resume(&mut self, pays: bool) -> Act {
        let now = self.recorder.now();
        for item in &mut self.subscription.items {
            item.restart(now);
        }
        let items: Vec<usize> = (0..self.subscription.items.len()).collect();
        self.prorations.clear();
        let lines = self.period_lines(&items, false);
        let invoice = self.draft("subscription_update", lines);
        self.subscription.paused = None;
        if pays || self.invoices[invoice].amount_due() == 0 {
            self.bill_at_once(invoice);
            self.enter(Status::Active);
            self.send("customer.subscription.resumed");
            return Act::Continue(());
        }
        self.send_invoice("invoice.created", invoice);
        self.finalize(invoice);
        let next = now + DAY;
        self.refuse(invoice, Some(next));
        self.enter(Status::PastDue);
        self.send("customer.subscription.resumed");
        self.retry_payment(invoice, next, DAY, Dunning::Pays)
    }
}
