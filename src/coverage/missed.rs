//! Runs of events that no webhook had delivered. Pure.
//!
//! An endpoint that loses a few deliveries all the time must not add a row at each sync for ever: events within an hour
//! of each other are one run, and the oldest runs become one if there are too many.

use crate::time::StripeTime;

/// Greatest number of runs of an account and mode.
pub const MISSED_RUNS_MAX: usize = 1_000;

/// Greatest time in seconds between two events of a run.
const PAUSE_SECONDS: i64 = 3_600;

/// Events that Stripe listed and no webhook had delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissedDeliveries {
    /// Second of the first of them.
    pub from: StripeTime,
    /// Second of the last of them.
    pub to: StripeTime,
    /// Number of events.
    pub events: u64,
}

impl MissedDeliveries {
    fn join(self, other: Self) -> Self {
        Self {
            from: self.from.min(other.from),
            to: self.to.max(other.to),
            events: self.events.saturating_add(other.events),
        }
    }

    fn is_near(&self, other: &Self) -> bool {
        self.to.0.saturating_add(PAUSE_SECONDS) >= other.from.0
            && other.to.0.saturating_add(PAUSE_SECONDS) >= self.from.0
    }
}

/// Adds a run of missed deliveries to sorted ones. Those that it is near to become one run with it. Of more than
/// [`MISSED_RUNS_MAX`] runs the oldest become one.
pub fn add_missed(runs: &mut Vec<MissedDeliveries>, added: MissedDeliveries) {
    let mut joined = added;
    runs.retain(|run| {
        let is_near = run.is_near(&joined);
        if is_near {
            joined = joined.join(*run);
        }
        !is_near
    });
    runs.push(joined);
    runs.sort_by_key(|run| run.from);
    let surplus = runs.len().saturating_sub(MISSED_RUNS_MAX);
    if surplus > 0 {
        let oldest = runs.drain(..=surplus).reduce(MissedDeliveries::join);
        runs.splice(0..0, oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(from: i64, to: i64, events: u64) -> MissedDeliveries {
        MissedDeliveries { from: StripeTime(from), to: StripeTime(to), events }
    }

    fn added(all: impl IntoIterator<Item = MissedDeliveries>) -> Vec<MissedDeliveries> {
        let mut runs = Vec::new();
        all.into_iter().for_each(|it| add_missed(&mut runs, it));
        runs
    }

    #[test]
    fn runs_within_an_hour_of_each_other_are_one() {
        let day = 86_400;
        let some = [run(day, day + 60, 3), run(0, 10, 1), run(5, 20, 2)];
        assert_eq!(added(some), [run(0, 20, 3), run(day, day + 60, 3)]);
        assert_eq!(added([run(0, 10, 1), run(3_610, 3_620, 2)]), [run(0, 3_620, 3)]);
        assert_eq!(added([run(3_610, 3_620, 2), run(0, 10, 1)]), [run(0, 3_620, 3)]);
        assert_eq!(added([run(0, 10, 1), run(3_611, 3_620, 2)]).len(), 2);
        let between = [run(0, 10, 1), run(7_000, 7_010, 2), run(3_500, 3_510, 4)];
        assert_eq!(added(between), [run(0, 7_010, 7)]);
    }

    #[test]
    fn an_endpoint_that_always_loses_some_adds_no_rows_for_ever() {
        let year = added((0..105_120).map(|it| run(it * 300, it * 300 + 10, 2)));
        assert_eq!(year, [run(0, 105_119 * 300 + 10, 210_240)]);
        let rarely = added((0..1_500).map(|it| run(it * 7_200, it * 7_200 + 10, 2)));
        assert_eq!(rarely.len(), MISSED_RUNS_MAX);
        assert_eq!(rarely[0], run(0, 500 * 7_200 + 10, 1_002));
        assert_eq!(rarely[1], run(501 * 7_200, 501 * 7_200 + 10, 2));
        assert_eq!(rarely.iter().map(|it| it.events).sum::<u64>(), 3_000);
        // A late one among the oldest is in their run.
        let mut runs = rarely.clone();
        add_missed(&mut runs, run(9_000, 9_000, 1));
        assert_eq!((runs.len(), runs[0].events), (MISSED_RUNS_MAX, 1_003));
    }

    #[test]
    fn too_many_runs_of_an_earlier_version_become_few() {
        let mut runs: Vec<_> = (0..5_000).map(|it| run(it * 7_200, it * 7_200, 1)).collect();
        add_missed(&mut runs, run(5_000 * 7_200, 5_000 * 7_200, 1));
        assert_eq!((runs.len(), runs[0].events), (MISSED_RUNS_MAX, 4_002));
    }
}
