//! Trials: start, end, and a second trial.

use super::Dunning;
use crate::simulate::objects::subscription::Status;
use crate::simulate::recorder::Act;
use crate::simulate::stage::Stage;

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

impl Stage {
    /// Makes the trial the period of the items. The first paid period starts at its end.
    pub(super) fn begin_trial(&mut self, start: i64, end: i64) {
        self.subscription.trial = Some((start, end));
        for item in &mut self.subscription.items {
            item.period_start = start;
            item.period_end = end;
            item.anchor = end;
            item.cycle = 0;
        }
    }

    /// Waits for the end of the trial, which is announced three days before, and ends it.
    pub(crate) fn finish_trial(&mut self) -> Act {
        let (_, end) = self.subscription.trial.unwrap_or_default();
        if end - self.recorder.now() > 3 * DAY {
            self.recorder.wait_until(end - 3 * DAY)?;
        }
        self.announce_trial_end();
        self.recorder.wait_until(end)?;
        if self.subscription.default_payment_method.is_some() {
            let fails = self.recorder.dice.percent(12) && !self.subscription.send_invoice;
            return if fails { self.convert_into_debt() } else { self.convert() };
        }
        match self.subscription.missing_payment_method {
            "pause" => self.pause_without_card(),
            "cancel" => self.end(None),
            _ => self.convert_without_card(),
        }
    }

    /// Announces the end. The announcement may share its second with a later change.
    fn announce_trial_end(&mut self) {
        self.send("customer.subscription.trial_will_end");
        if self.recorder.dice.percent(30) {
            self.stamp_metadata("reminded_at");
        }
    }

    fn convert(&mut self) -> Act {
        self.subscription.status = Status::Active;
        let invoice = self.roll_into_next_period();
        self.recorder.wait(HOUR)?;
        self.finalize(invoice);
        self.collect(invoice);
        Act::Continue(())
    }

    /// The card fails in the second in which the trial ends.
    fn convert_into_debt(&mut self) -> Act {
        self.subscription.status = Status::PastDue;
        let invoice = self.roll_into_next_period();
        self.finalize(invoice);
        if self.invoices[invoice].amount_due() == 0 {
            self.collect(invoice);
            self.enter(Status::Active);
            return Act::Continue(());
        }
        let next = self.recorder.now() + DAY;
        self.refuse(invoice, Some(next));
        let outcome = if self.recorder.dice.percent(50) { Dunning::Pays } else { Dunning::Cancels };
        self.retry_payment(invoice, next, DAY, outcome)
    }

    fn convert_without_card(&mut self) -> Act {
        self.subscription.status = Status::Active;
        let invoice = self.roll_into_next_period();
        self.recorder.wait(HOUR)?;
        self.finalize(invoice);
        let outcome = if self.recorder.dice.percent(30) { Dunning::Pays } else { Dunning::Cancels };
        self.dun(invoice, outcome)
    }

    /// Status `paused`, until the customer adds a card or leaves.
    fn pause_without_card(&mut self) -> Act {
        self.enter(Status::Paused);
        self.send("customer.subscription.paused");
        let days = self.recorder.dice.between(5, 60);
        self.recorder.wait(days * DAY)?;
        if self.recorder.dice.percent(30) {
            return self.end(Some("cancellation_requested"));
        }
        self.attach_card();
        self.adopt_card();
        let now = self.recorder.now();
        for item in &mut self.subscription.items {
            item.restart(now);
        }
        let items: Vec<usize> = (0..self.subscription.items.len()).collect();
        let lines = self.period_lines(&items, false);
        let invoice = self.draft("subscription_update", lines);
        self.bill_at_once(invoice);
        self.enter(Status::Active);
        self.send("customer.subscription.resumed");
        Act::Continue(())
    }

    /// Gives a running subscription a second trial: `active` becomes `trialing`.
    pub(crate) fn give_free_trial(&mut self) -> Act {
        let now = self.recorder.now();
        let days = self.recorder.dice.between(5, 14);
        self.begin_trial(now, now + days * DAY);
        self.subscription.status = Status::Trialing;
        let items: Vec<usize> = (0..self.subscription.items.len()).collect();
        let lines = self.period_lines(&items, true);
        let invoice = self.draft("subscription_update", lines);
        self.send_updated();
        self.bill_at_once(invoice);
        self.adopt_card();
        self.finish_trial()
    }
}
