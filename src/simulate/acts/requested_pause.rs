//! Status `paused`: on request, or because nobody pays. Only flexible billing has it.

use super::Dunning;
use crate::simulate::objects::subscription::{Paused, Status};
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;

const DAY: i64 = 86_400;

impl Stage {
    /// A customer takes a break: no service and no invoices, until it comes back or leaves.
    pub(crate) fn take_a_break(&mut self) -> Act {
        if !self.subscription.flexible || self.subscription.send_invoice {
            return self.renew();
        }
        // In a second of its own: nothing orders the event of the pause against a change just before.
        self.recorder.wait(3_600)?;
        self.pause("pause_requested");
        self.come_back_or_leave()
    }

    /// After the final failed payment the subscription is paused instead of being cancelled.
    pub(super) fn pause_for_debt(&mut self) -> Act {
        self.pause("final_payment_failure");
        self.come_back_or_leave()
    }

    fn pause(&mut self, reason: &'static str) {
        let at = self.recorder.now();
        self.subscription.paused = Some(Paused { reason, at });
        self.enter(Status::Paused);
        self.send("customer.subscription.paused");
    }

    fn come_back_or_leave(&mut self) -> Act {
        let days = self.recorder.dice.between(4, 40);
        self.recorder.wait(days * DAY)?;
        match self.recorder.dice.below(10) {
            0..6 => self.come_back(true),
            6..9 => self.come_back(false),
            _ => self.end(Some("cancellation_requested")),
        }
    }

    /// The periods begin anew and are billed at once, which works or not.
    fn come_back(&mut self, pays: bool) -> Act {
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
        self.chase(invoice, next, DAY, Dunning::Pays)
    }
}
