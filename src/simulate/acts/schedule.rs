//! Changes that are planned ahead, and that take effect when their time comes.

use crate::simulate::objects::price::Price;
use crate::simulate::objects::schedule::{Phase, Schedule, Status};
use crate::simulate::objects::subscription;
use crate::simulate::recorder::{Act, Tracked};
use crate::simulate::stage::Stage;

const DAY: i64 = 86_400;

impl Stage {
    /// Another plan from the next period on, or an end after so many periods. The schedule is
    /// followed to its last phase, unless it is let go or called off before.
    pub(crate) fn plan_ahead(&mut self) -> Act {
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

    /// A subscription that a schedule begins, some days after the schedule itself was made.
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

    /// Goes from phase to phase until the last one is over.
    fn follow_schedule(&mut self) -> Act {
        loop {
            match self.recorder.dice.below(100) {
                0..14 => return self.release_schedule(),
                14..20 => return self.call_schedule_off(),
                20..24 => return self.end_despite_schedule(),
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

    /// The items take the phase's prices; a price of another interval counts periods anew.
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

    /// The schedule lets its subscription go, which lives on as it is.
    fn release_schedule(&mut self) -> Act {
        self.some_days()?;
        self.close_schedule(Status::Released, "subscription_schedule.released");
        self.subscription.schedule = None;
        self.send_updated();
        Act::Continue(())
    }

    /// Cancelling a schedule cancels what it drives.
    fn call_schedule_off(&mut self) -> Act {
        self.some_days()?;
        self.close_schedule(Status::Canceled, "subscription_schedule.canceled");
        self.end(Some("cancellation_requested"))
    }

    /// The subscription is cancelled itself; its schedule is heard of no more.
    fn end_despite_schedule(&mut self) -> Act {
        self.some_days()?;
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

    /// This phase and so many after it, each one period of another price.
    fn with_later_phases(&mut self, first: Phase, later: i64) -> Vec<Phase> {
        let mut phases = vec![first];
        for _ in 0..later {
            // Where the currency has no other price, only the quantity changes; beside other items
            // the interval has to stay.
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

    /// The last schedule, of which there is one wherever this is asked.
    fn schedule(&mut self) -> &mut Tracked<Schedule> {
        self.schedules.last_mut().expect("a schedule was made")
    }

    fn send_schedule(&mut self, event_type: &'static str) {
        let schedule = self.schedules.last_mut().expect("a schedule was made");
        self.recorder.send(event_type, schedule);
    }

    /// A phase has one end; items of different intervals have several.
    fn has_one_interval(&self) -> bool {
        let items = &self.subscription.items;
        let of = |item: &subscription::Item| {
            (item.price.interval, item.price.interval_count, item.period_end)
        };
        items.iter().all(|item| of(item) == of(&items[0]))
    }

    /// A part of the period that is left.
    fn some_days(&mut self) -> Act {
        let left = (self.subscription.next_period_end() - self.recorder.now()).max(0);
        let part = self.recorder.dice.between(1, 80);
        self.recorder.wait((left * part / 100).max(3_600))
    }
}
