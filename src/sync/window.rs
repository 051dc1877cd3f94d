//! Windows of a sync: which spans of the list of events it reads. Pure.

use crate::time::{DAY_SECONDS, StripeTime};

/// Age in seconds of the youngest events that are listed. Younger ones may not be visible yet.
pub(super) const DELAY_SECONDS: i64 = 30;
/// Seconds before the end of what is covered that are listed again. The list is eventually consistent: an event may
/// become visible a minute late.
pub(super) const OVERLAP_SECONDS: i64 = 600;
/// Greatest length of a window in seconds. What one window covers is recorded before the next one is read.
const WINDOW_SECONDS: i64 = 6 * 3_600;
/// Age in seconds of the oldest events that are listed: Stripe lists 30 days, less the time that a sync may take.
const LISTED_SECONDS: i64 = 30 * DAY_SECONDS - 600;

/// Window of the list of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// First second that is listed.
    pub(super) from: StripeTime,
    /// First second that was not covered before.
    pub(super) start: StripeTime,
    /// Second of its end, which is not listed.
    pub(super) to: StripeTime,
}

/// Windows of a sync, oldest first. The end of each is the start of the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SyncPlan {
    pub(super) windows: Vec<Window>,
}

impl SyncPlan {
    /// Plan of a sync, if the account is covered up to a time. `now` is by Stripe's clock.
    ///
    /// Without coverage, or after more than 30 days, it begins with the oldest events that are still listed.
    pub(super) fn new(covered_to: Option<StripeTime>, now: StripeTime) -> Self {
        let oldest = now.0 - LISTED_SECONDS;
        let end = now.0 - DELAY_SECONDS;
        // A clock that was ahead may have recorded an end that lies in the future.
        let mut start = covered_to.map_or(oldest, |it| it.0.clamp(oldest, end));
        let mut windows = Vec::new();
        loop {
            let to = end.min(start.saturating_add(WINDOW_SECONDS));
            let from = oldest.max(start - OVERLAP_SECONDS);
            let [from, of_start, of_end] = [from, start, to].map(StripeTime);
            windows.push(Window { from, start: of_start, to: of_end });
            if to == end {
                return Self { windows };
            }
            start = to;
        }
    }
}

/// Time since the end of what is covered after which nothing is due. None if a sync is due.
///
/// An end in the future is not trusted.
pub(super) fn fresh_for_seconds(
    covered_to: Option<StripeTime>,
    now: StripeTime,
    every_seconds: i64,
) -> Option<i64> {
    let age = now.0 - DELAY_SECONDS - covered_to?.0;
    (0..every_seconds).contains(&age).then_some(every_seconds - age)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn windows(covered_to: Option<i64>) -> Vec<(i64, i64, i64)> {
        let plan = SyncPlan::new(covered_to.map(StripeTime), StripeTime(NOW));
        plan.windows.iter().map(|it| (NOW - it.from.0, NOW - it.start.0, NOW - it.to.0)).collect()
    }

    #[test]
    fn a_sync_begins_ten_minutes_before_the_last_one_ended_and_ends_30_seconds_ago() {
        assert_eq!(windows(Some(NOW - 330)), [(930, 330, 30)]);
    }

    #[test]
    fn an_outage_is_read_in_windows_of_six_hours_that_touch() {
        let day = windows(Some(NOW - DAY_SECONDS));
        assert_eq!(day.len(), 4);
        assert_eq!(day[0], (DAY_SECONDS + 600, DAY_SECONDS, DAY_SECONDS - 6 * 3_600));
        assert!(day.windows(2).all(|pair| pair[0].2 == pair[1].1), "{day:?}");
        assert!(day.iter().all(|it| it.0 == it.1 + 600), "{day:?}");
        assert_eq!(day[3].2, 30);
        assert_eq!(windows(Some(NOW - 29 * DAY_SECONDS)).len(), 116);
    }

    #[test]
    fn nothing_older_than_stripe_lists_is_claimed() {
        for covered_to in [None, Some(NOW - 40 * DAY_SECONDS)] {
            let windows = windows(covered_to);
            assert_eq!(windows[0].0, 30 * DAY_SECONDS - 600);
            assert_eq!(windows[0].1, 30 * DAY_SECONDS - 600);
            assert_eq!(windows.last().unwrap().2, 30);
        }
    }

    #[test]
    fn an_end_in_the_future_is_read_again() {
        assert_eq!(windows(Some(NOW + 9_999)), [(630, 30, 30)]);
        let fresh =
            |covered_to| fresh_for_seconds(Some(StripeTime(covered_to)), StripeTime(NOW), 300);
        assert_eq!(fresh(NOW + 9_999), None);
        assert_eq!(fresh(NOW - 30), Some(300));
        assert_eq!(fresh(NOW - 130), Some(200));
        assert_eq!(fresh(NOW - 330), None);
        assert_eq!(fresh_for_seconds(None, StripeTime(NOW), 300), None);
    }
}
