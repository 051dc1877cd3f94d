//! Count of the events of a window that no webhook has delivered. Pure.
//!
//! An event that is younger than two minutes may still be on its way, so it is counted by the next window, whose list
//! overlaps. Each event is counted by one window, also if a sync is killed and another one goes on: which one follows
//! from the ends of the windows alone.

use super::window::Window;
use crate::coverage::MissedDeliveries;
use crate::time::StripeTime;

/// Seconds before the end of a window in which events are left to the next window. Those of a window that ends 30
/// seconds ago are then two minutes old.
const UNSETTLED_SECONDS: i64 = 90;

/// Counter of one window.
#[derive(Clone, Copy, Debug)]
pub(super) struct MissedCounter {
    window: Window,
    settled: Option<MissedDeliveries>,
    /// Events that became visible later than the windows overlap to count them. They are new only once.
    late: Option<MissedDeliveries>,
}

impl MissedCounter {
    pub(super) const fn new(window: Window) -> Self {
        Self { window, settled: None, late: None }
    }

    /// Forgets what the window will list again.
    pub(super) fn begin_again(&mut self) {
        self.settled = None;
    }

    /// Adds a listed event that no webhook has delivered.
    pub(super) fn add(&mut self, created: StripeTime, is_new: bool) {
        let Window { start, to, .. } = self.window;
        let (first, end) = (start.0 - UNSETTLED_SECONDS, to.0 - UNSETTLED_SECONDS);
        if created.0 >= first && created.0 < end {
            add_to(&mut self.settled, created);
        } else if created.0 < first && is_new {
            add_to(&mut self.late, created);
        }
    }

    /// Missed deliveries of the window.
    pub(super) fn total(&self) -> Option<MissedDeliveries> {
        match (self.settled, self.late) {
            (Some(one), Some(other)) => Some(MissedDeliveries {
                from: one.from.min(other.from),
                to: one.to.max(other.to),
                events: one.events + other.events,
            }),
            (one, other) => one.or(other),
        }
    }
}

fn add_to(run: &mut Option<MissedDeliveries>, created: StripeTime) {
    let run = run.get_or_insert(MissedDeliveries { from: created, to: created, events: 0 });
    run.from = run.from.min(created);
    run.to = run.to.max(created);
    run.events += 1;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(start: i64, to: i64) -> MissedCounter {
        let [from, start, to] = [start - 600, start, to].map(StripeTime);
        MissedCounter::new(Window { from, start, to })
    }

    #[test]
    fn each_event_is_counted_by_one_of_the_windows_that_list_it() {
        for created in 500..2_000 {
            let windows = [(1_000, 1_300), (1_300, 1_600), (1_600, 1_900)];
            let counted = windows.map(|(start, to)| {
                let mut counter = counter(start, to);
                if (start - 600..to).contains(&created) {
                    counter.add(StripeTime(created), false);
                }
                counter.total().map_or(0, |it| it.events)
            });
            let sum: u64 = counted.iter().sum();
            assert_eq!(sum, u64::from((910..1_810).contains(&created)), "{created}: {counted:?}");
        }
    }

    #[test]
    fn an_event_that_was_visible_too_late_is_counted_when_it_is_new() {
        let mut counter = counter(1_000, 1_300);
        counter.add(StripeTime(500), false);
        assert_eq!(counter.total(), None);
        counter.add(StripeTime(500), true);
        counter.add(StripeTime(1_100), true);
        counter.begin_again();
        counter.add(StripeTime(500), false);
        counter.add(StripeTime(1_100), false);
        let (from, to) = (StripeTime(500), StripeTime(1_100));
        assert_eq!(counter.total(), Some(MissedDeliveries { from, to, events: 2 }));
    }
}
