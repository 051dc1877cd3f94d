//! Status of the syncs of this process, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Stopwatch};
use crate::ids::Scope;

/// Greatest number of different errors that are remembered.
const ERRORS_MAX: usize = 64;

/// Status of all syncs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncStatus {
    /// Interval between two syncs.
    pub every: Duration,
    /// Time since all accounts were synced, by this process or another; none if one was not synced since the start.
    pub since_success: Option<Duration>,
    /// Time since the start of the service.
    pub since_start: Duration,
    /// Error of a sync that failed and has not succeeded since. It contains no secret.
    pub error: Option<String>,
    /// Number of events that no webhook had delivered, found since the start.
    pub never_delivered: u64,
    /// True if events are missing that Stripe no longer lists.
    pub needs_backfill: bool,
}

/// Intervals without a success after which a failing sync is a reason for concern.
const INTERVALS_FAILING: u32 = 3;

impl SyncStatus {
    /// Time for which the syncs have been failing, if that is longer than three intervals.
    pub fn failing_for(&self) -> Option<Duration> {
        let since = self.since_success.unwrap_or(self.since_start);
        (self.error.is_some() && since > self.every * INTERVALS_FAILING).then_some(since)
    }
}

/// Handle of the syncs of this process. Clones share it.
#[derive(Clone, Debug)]
pub struct SyncHandle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    every: Duration,
    started: Stopwatch,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    scopes: BTreeMap<Scope, ScopeState>,
    never_delivered: u64,
    /// Kinds of errors since the last success that were logged.
    logged: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct ScopeState {
    succeeded: Option<Stopwatch>,
    error: Option<String>,
    needs_backfill: bool,
}

impl SyncHandle {
    /// Creates the handle of a service that syncs at this interval.
    pub(super) fn new(every: Duration) -> Self {
        let (started, state) = (Clock::stopwatch(), Mutex::default());
        Self(Arc::new(Inner { every, started, state }))
    }

    /// Current status.
    pub fn status(&self) -> SyncStatus {
        let state = self.state();
        let scopes = || state.scopes.values();
        let ages = scopes().map(|it| it.succeeded.as_ref().map(Stopwatch::elapsed));
        // None is less than any age.
        let is_one_missing = scopes().any(|it| it.succeeded.is_none());
        SyncStatus {
            every: self.0.every,
            since_success: ages.max().flatten().filter(|_| !is_one_missing),
            since_start: self.0.started.elapsed(),
            error: scopes().find_map(|it| it.error.clone()),
            never_delivered: state.never_delivered,
            needs_backfill: scopes().any(|it| it.needs_backfill),
        }
    }

    /// Notes that an account is synced.
    pub(super) fn succeeded(&self, scope: &Scope) {
        let mut state = self.state();
        let of_scope = state.scopes.entry(scope.clone()).or_default();
        of_scope.succeeded = Some(Clock::stopwatch());
        of_scope.error = None;
        if state.scopes.values().all(|it| it.error.is_none()) {
            state.logged.clear();
        }
    }

    /// Notes that a sync failed. True if an error of this kind was not noted since the last success.
    pub(super) fn failed(&self, scope: &Scope, error: &str) -> bool {
        let mut state = self.state();
        state.scopes.entry(scope.clone()).or_default().error = Some(error.to_owned());
        state.logged.len() < ERRORS_MAX && state.logged.insert(kind(error).to_owned())
    }

    /// Adds to the number of events that were never delivered.
    pub(super) fn add_never_delivered(&self, events: u64) {
        self.state().never_delivered += events;
    }

    /// Notes whether an account needs a backfill. True if it did not need one before.
    pub(super) fn set_needs_backfill(&self, scope: &Scope, needs: bool) -> bool {
        let mut state = self.state();
        let of_scope = state.scopes.entry(scope.clone()).or_default();
        let is_first = needs && !of_scope.needs_backfill;
        of_scope.needs_backfill = needs;
        is_first
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Error without the id of its request, which differs each time.
fn kind(error: &str) -> &str {
    error.split(" (request ").next().unwrap_or(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_new_once_until_a_success() {
        let handle = SyncHandle::new(Duration::from_mins(5));
        let (one, other) = (Scope::default(), Scope { livemode: true, ..Scope::default() });
        assert!(handle.failed(&one, "the key is wrong (request req_1)"));
        assert!(!handle.failed(&one, "the key is wrong (request req_2)"));
        assert!(!handle.failed(&other, "the key is wrong (request req_3)"));
        assert!(handle.failed(&one, "no answer"));
        handle.succeeded(&other);
        assert!(!handle.failed(&one, "no answer"));
        assert_eq!(handle.status().error.as_deref(), Some("no answer"));
        handle.succeeded(&one);
        assert_eq!(handle.status().error, None);
        assert!(handle.failed(&one, "no answer"));
    }

    #[test]
    fn a_failure_is_a_concern_after_three_intervals() {
        let minutes = Duration::from_mins;
        let status = |since_success, since_start, error: Option<&str>| SyncStatus {
            every: minutes(5),
            since_success,
            since_start,
            error: error.map(str::to_owned),
            never_delivered: 0,
            needs_backfill: false,
        };
        let failing = |it: SyncStatus| it.failing_for().map(|it| it.as_secs() / 60);
        assert_eq!(failing(status(Some(minutes(14)), minutes(99), Some("no"))), None);
        assert_eq!(failing(status(Some(minutes(16)), minutes(99), Some("no"))), Some(16));
        assert_eq!(failing(status(Some(minutes(16)), minutes(99), None)), None);
        assert_eq!(failing(status(None, minutes(14), Some("no"))), None);
        assert_eq!(failing(status(None, minutes(16), Some("no"))), Some(16));
    }

    #[test]
    fn the_account_that_was_synced_longest_ago_counts() {
        let handle = SyncHandle::new(Duration::from_mins(5));
        assert_eq!(handle.status().since_success, None);
        handle.succeeded(&Scope::default());
        assert!(handle.status().since_success.is_some());
        let other = Scope { livemode: true, ..Scope::default() };
        assert!(handle.set_needs_backfill(&other, true));
        assert!(!handle.set_needs_backfill(&other, true));
        let status = handle.status();
        assert_eq!((status.since_success, status.needs_backfill), (None, true));
    }
}
