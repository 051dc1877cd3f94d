//! Rate limit of a warning: the first occurrence is logged at once, later ones are counted by reason and summed up
//! once an interval.
//!
//! The filter of repeated lines in [`log_output`](crate::log_output) could not replace it: that filter drops lines, and
//! knows no reasons.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Limiter of a warning that is logged at most once an interval. It reads no clock: the time is passed in, as the
/// time since any fixed instant.
#[derive(Debug)]
pub(super) struct Throttle {
    interval: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last_warned: Option<Duration>,
    counts: BTreeMap<&'static str, u64>,
}

/// Occurrences since the last warning, by reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReasonCounts(BTreeMap<&'static str, u64>);

impl Throttle {
    pub(super) fn new(interval: Duration) -> Self {
        Self { interval, state: Mutex::default() }
    }

    /// Counts an occurrence. Returns the counts to log now, if the interval is over.
    pub(super) fn count(&self, reason: &'static str, now: Duration) -> Option<ReasonCounts> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.counts.entry(reason).or_default() += 1;
        state.take_due(self.interval, now)
    }

    /// Returns the counts that were not logged yet, once the interval is over.
    pub(super) fn due(&self, now: Duration) -> Option<ReasonCounts> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.counts.is_empty() { None } else { state.take_due(self.interval, now) }
    }
}

impl State {
    fn take_due(&mut self, interval: Duration, now: Duration) -> Option<ReasonCounts> {
        if self.last_warned.is_some_and(|last| now.saturating_sub(last) < interval) {
            return None;
        }
        self.last_warned = Some(now);
        Some(ReasonCounts(std::mem::take(&mut self.counts)))
    }
}

impl ReasonCounts {
    /// Number of all occurrences.
    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Reasons that occurred.
    pub(super) fn reasons(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

impl fmt::Display for ReasonCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (reason, count)) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{reason} {count}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn text(tally: Option<ReasonCounts>) -> Option<String> {
        tally.map(|it| it.to_string())
    }

    #[test]
    fn the_first_is_told_at_once_and_the_others_once_an_interval() {
        let throttle = Throttle::new(MINUTE);
        assert_eq!(text(throttle.count("a", at(5))).as_deref(), Some("a 1"));
        for second in 6..65 {
            assert_eq!(throttle.count("b", at(second)), None, "{second}");
        }
        assert_eq!(text(throttle.count("a", at(65))).as_deref(), Some("a 1, b 59"));
        assert_eq!(throttle.count("a", at(66)), None);
    }

    #[test]
    fn what_was_counted_last_is_told_although_nothing_follows() {
        let throttle = Throttle::new(MINUTE);
        assert_eq!(throttle.due(at(1)), None);
        assert!(throttle.count("a", at(1)).is_some());
        assert_eq!(throttle.due(at(100)), None, "it is logged");
        assert!(throttle.count("a", at(101)).is_some());
        for second in 102..105 {
            assert_eq!(throttle.count("c", at(second)), None);
        }
        assert_eq!(throttle.due(at(160)), None);
        let tally = throttle.due(at(161)).unwrap();
        assert_eq!((tally.total(), tally.reasons().collect::<Vec<_>>()), (3, vec!["c"]));
        assert_eq!(throttle.due(at(300)), None);
    }
}
