//! Progress of a rebuild, in the numbers that a person needs.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::store::GenerationId;

/// Progress of building a generation.
#[derive(Clone, Copy, Debug)]
pub struct BuildProgress {
    /// The new generation.
    pub generation: GenerationId,
    /// Number of folded events.
    pub done: i64,
    /// Number of events in the log when it was last read.
    pub total: i64,
    /// Customers whose rows are made from their states; none while events are folded.
    pub customers: Option<CustomersDone>,
    /// Number of events that are parked so far.
    pub parked: usize,
    /// Time since the rebuild began.
    pub elapsed: Duration,
}

/// Customers whose rows are made from their states.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct CustomersDone {
    /// Number of customers whose rows are made.
    #[serde(rename = "customers_done")]
    pub done: i64,
    /// Number of customers.
    #[serde(rename = "customers_total")]
    pub total: i64,
}

/// Status of a rebuild: its progress with the rate and the remaining time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RebuildStatus {
    /// The new generation; none before it has begun.
    #[serde(skip)]
    pub generation: Option<GenerationId>,
    /// Customers whose rows are made from their states; none while events are folded.
    #[serde(flatten)]
    pub customers: Option<CustomersDone>,
    /// Number of folded events.
    pub events_done: i64,
    /// Number of events in the log.
    pub events_total: i64,
    /// Events folded per second since the rebuild began.
    pub events_per_second: i64,
    /// Remaining time at this rate; none before the first events are folded.
    pub seconds_left: Option<i64>,
    /// Number of events that are parked so far.
    pub parked: i64,
}

impl From<BuildProgress> for RebuildStatus {
    fn from(progress: BuildProgress) -> Self {
        let BuildProgress { generation, done, total, customers, parked, elapsed } = progress;
        let events_per_second = rate(done, elapsed);
        let left = (total - done).max(0);
        Self {
            generation: Some(generation),
            customers,
            events_done: done,
            events_total: total,
            events_per_second,
            seconds_left: (events_per_second > 0).then(|| left / events_per_second),
            parked: i64::try_from(parked).unwrap_or(i64::MAX),
        }
    }
}

/// Events per second.
pub(super) fn rate(events: i64, elapsed: Duration) -> i64 {
    let millis = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX).max(1);
    events.saturating_mul(1_000) / millis
}

impl fmt::Display for CustomersDone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rows of {} of {} customers made", grouped(self.done), grouped(self.total))
    }
}

impl fmt::Display for RebuildStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.generation {
            Some(generation) => write!(f, "building generation {generation}")?,
            None => f.write_str("building a new generation")?,
        }
        if let Some(customers) = self.customers {
            return write!(f, ": {customers}");
        }
        let (done, total) = (grouped(self.events_done), grouped(self.events_total));
        match self.events_done {
            // Also the rebuild of another process that has not reported any progress yet.
            0 => write!(f, " from {total} events")?,
            _ => write!(f, ": {done} of {total} events")?,
        }
        if let Some(seconds_left) = self.seconds_left {
            let rate = grouped(self.events_per_second);
            write!(f, ", {rate} events/s, {} s left", grouped(seconds_left))?;
        }
        match self.parked {
            0 => Ok(()),
            parked => write!(f, ", {} could not be folded", grouped(parked)),
        }
    }
}

/// Number with commas between its thousands.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rebuild_is_told_in_numbers_that_a_person_needs() {
        let mut progress = BuildProgress {
            generation: 3,
            done: 120_000,
            total: 1_000_000,
            customers: None,
            parked: 0,
            elapsed: Duration::from_millis(2_500),
        };
        let line = RebuildStatus::from(progress).to_string();
        assert_eq!(
            line,
            "building generation 3: 120,000 of 1,000,000 events, 48,000 events/s, 18 s left"
        );
        (progress.done, progress.parked) = (0, 7);
        let line = RebuildStatus::from(progress).to_string();
        assert_eq!(line, "building generation 3 from 1,000,000 events, 7 could not be folded");
        progress.customers = Some(CustomersDone { done: 512, total: 29_542 });
        let status = RebuildStatus::from(progress);
        let line = "building generation 3: rows of 512 of 29,542 customers made";
        assert_eq!(status.to_string(), line);
        let json = serde_json::to_value(status).unwrap();
        assert_eq!((&json["customers_done"], &json["events_done"]), (&512.into(), &0.into()));
        assert_eq!([0, 999, 1_000, 12_345_678].map(grouped), ["0", "999", "1,000", "12,345,678"]);
    }
}
