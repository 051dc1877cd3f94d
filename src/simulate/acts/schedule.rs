//! Schedules: planned changes that take effect later.

use crate::simulate::objects::price::Price;
use crate::simulate::objects::schedule::{Phase, Schedule, Status};
use crate::simulate::objects::subscription;
use crate::simulate::recorder::{Act, Tracked};
use crate::simulate::stage::Stage;

const DAY: i64 = 86_400;

impl Stage {
    /// Schedules another plan from the next period on, or an end after some periods. The schedule is followed to its
    /// last phase, unless it is released or canceled before.
    pub(crate) fn schedule_changes(&mut self) -> Act {
        if !self.has_one_interval() {
            return self.renew();
        }
        let end = self.subscription.next_period_end();
        let start = self.subscription.period_start();
        let current = Phase { start, end, items: self.items_at(None) };
        let (phases, cancels) = if self.recorder.dice.percent(33) {
            (vec![current], true)
        } else {
            let later = self.recorder.dice.between(1, 2);
            (self.with_later_phases(current, later), self.recorder.dice.percent(30))
        };
        let schedule = self.new_schedule(phases, cancels);
        self.schedules.push(Tracked::new(Schedule {
            status: Status::Active,
            current: Some(0),
            subscription: Some(self.subscription.id.clone()),
            ..schedule
        }));
        self.send_schedule("subscription_schedule.created");
        self.subscription.schedule = Some(self.schedule().id.clone());
        self.send_updated();
        self.follow_schedule()
    }

    /// Subscription that a schedule starts, some days after the schedule was created.
    pub(crate) fn open_by_schedule(&mut self) -> Act {
        if !self.has_one_interval() {
            return self.open_by_api();
        }
        let days = self.recorder.dice.between(1, 20);
        let start = self.recorder.now() + days * DAY;
        let items = self.items_at(None);
        let end = items[0].0.period_end(start, 1);
        let phases = self.with_later_phases(Phase { start, end, items }, 1);
        let schedule = self.new_schedule(phases, false);
        self.schedules.push(Tracked::new(schedule));
        self.send_schedule("subscription_schedule.created");
        self.recorder.wait_until(start)?;
        self.subscription.schedule = Some(self.schedule().id.clone());
        self.open_by_api()?;
        let subscription = self.subscription.id.clone();
        let schedule = self.schedule();
        schedule.subscription = Some(subscription);
        schedule.status = Status::Active;
        schedule.current = Some(0);
        self.send_schedule("subscription_schedule.updated");
        self.follow_schedule()
    }

    /// Enters phase after phase, until the last one is over.
    fn follow_schedule(&mut self) -> Act {
        loop {
            match self.recorder.dice.below(100) {
                0..14 => return self.release_schedule(),
                14..20 => return self.cancel_schedule(),
                20..24 => return self.cancel_despite_schedule(),
                _ => {}
            }
            let Some(phase) = self.schedule().next_phase().cloned() else { break };
            self.announce_invoice()?;
            self.recorder.wait_until(self.subscription.next_period_end())?;
            self.enter_phase(&phase);
            let invoice = self.roll_into_next_period();
            let schedule = self.schedule();
            schedule.current = schedule.current.map(|current| current + 1);
            self.send_schedule("subscription_schedule.updated");
            self.recorder.wait(3_600)?;
            self.finalize(invoice);
            self.collect(invoice);
        }
        self.recorder.wait_until(self.subscription.next_period_end())?;
        if self.schedule().cancels {
            let ended = self.end(None);
            self.close_schedule(Status::Completed, "subscription_schedule.completed");
            return ended;
        }
        self.close_schedule(Status::Completed, "subscription_schedule.completed");
        self.subscription.schedule = None;
        let invoice = self.roll_into_next_period();
        self.recorder.wait(3_600)?;
        self.finalize(invoice);
        self.collect(invoice);
        Act::Continue(())
    }

    /// Gives the items the prices of a phase. A price of another interval restarts the count of periods.
    fn enter_phase(&mut self, phase: &Phase) {
        for (item, (price, quantity)) in self.subscription.items.iter_mut().zip(&phase.items) {
            if (price.interval, price.interval_count)
                != (item.price.interval, item.price.interval_count)
            {
                item.anchor = item.period_end;
                item.cycle = 0;
            }
            item.price = price;
            item.quantity = *quantity;
        }
    }

    /// Releases the subscription, which goes on unchanged.
    fn release_schedule(&mut self) -> Act {
        self.wait_within_period()?;
        self.close_schedule(Status::Released, "subscription_schedule.released");
        self.subscription.schedule = None;
        self.send_updated();
        Act::Continue(())
    }

    /// Cancels the schedule, which cancels its subscription.
    fn cancel_schedule(&mut self) -> Act {
        self.wait_within_period()?;
        self.close_schedule(Status::Canceled, "subscription_schedule.canceled");
        self.end(Some("cancellation_requested"))
    }

    /// Cancels the subscription itself. Its schedule sends no further event.
    fn cancel_despite_schedule(&mut self) -> Act {
        self.wait_within_period()?;
        self.end(Some("cancellation_requested"))
    }

    fn close_schedule(&mut self, status: Status, event_type: &'static str) {
        let now = self.recorder.now();
        let schedule = self.schedule();
        schedule.status = status;
        schedule.current = None;
        schedule.over_at = Some(now);
        self.send_schedule(event_type);
    }

    fn new_schedule(&mut self, phases: Vec<Phase>, cancels: bool) -> Schedule {
        Schedule {
            id: self.recorder.id("sub_sched"),
            customer: self.customer.id.clone(),
            subscription: None,
            status: Status::NotStarted,
            phases,
            current: None,
            cancels,
            created: self.recorder.now(),
            over_at: None,
            home: self.customer.home.clone(),
        }
    }

    /// This phase and `later` more, each one period of another price.
    fn with_later_phases(&mut self, first: Phase, later: i64) -> Vec<Phase> {
        let mut phases = vec![first];
        for _ in 0..later {
            // If the currency has no other price, only the quantity changes. Beside other items the interval must
            // stay the same.
            let single = self.subscription.items.len() == 1;
            let price = self.another_price().filter(|_| single);
            let mut items = self.items_at(price);
            items[0].1 += self.recorder.dice.between(1, 3);
            let start = phases[phases.len() - 1].end;
            let end = items[0].0.period_end(start, 1);
            phases.push(Phase { start, end, items });
        }
        phases
    }

    fn items_at(&self, price: Option<&'static Price>) -> Vec<(&'static Price, i64)> {
        let own = |item: &subscription::Item| (item.price, item.quantity);
        let mut items: Vec<_> = self.subscription.items.iter().map(own).collect();
        items[0].0 = price.unwrap_or(items[0].0);
        items
    }

    /// Last schedule. Callers have created one.
    fn schedule(&mut self) -> &mut Tracked<Schedule> {
        self.schedules.last_mut().expect("a schedule was made")
    }

    fn send_schedule(&mut self, event_type: &'static str) {
        let schedule = self.schedules.last_mut().expect("a schedule was made");
        self.recorder.send(event_type, schedule);
    }

    /// True if all items have the same interval: a phase has only one end.
    fn has_one_interval(&self) -> bool {
        let items = &self.subscription.items;
        let of = |item: &subscription::Item| {
            (item.price.interval, item.price.interval_count, item.period_end)
        };
        items.iter().all(|item| of(item) == of(&items[0]))
    }

    /// Waits for a part of the rest of the period.
    fn wait_within_period(&mut self) -> Act {
        let left = (self.subscription.next_period_end() - self.recorder.now()).max(0);
        let part = self.recorder.dice.between(1, 80);
        self.recorder.wait((left * part / 100).max(3_600))
    }
}
