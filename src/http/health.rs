//! Checks that `/healthz` and `/readyz` share.

use std::time::Duration;

use super::AppState;
use crate::projector::Status;

/// Greatest time that an event may wait to be stored in a ledger that is ready.
const APPEND_STALLED: Duration = Duration::from_secs(5);
/// Greatest time without a folded batch in a ledger that is ready, while the log is ahead.
const FOLD_STALLED: Duration = Duration::from_secs(15);
/// Reason that is reported while the follower does not fold because of another version's logic.
pub(super) const FROZEN: &str = "the read model was made by another version of this program and does \
                                 not follow the log";

/// Reason to report if an event has been waiting for too long to be stored.
pub(super) fn stalled_append(app: &AppState) -> Option<String> {
    let waiting = app.ingest.oldest_wait();
    let last = app.ingest.stats().since_last_commit();
    let last =
        last.map_or(String::new(), |it| format!("; the last commit was {} s ago", it.as_secs()));
    (waiting > APPEND_STALLED).then(|| {
        format!("an event has been waiting for {} s to be stored{last}", waiting.as_secs())
    })
}

/// Reason to report if nothing has been folded for too long although the log is ahead.
pub(super) fn stalled_fold(follower: &Status) -> Option<String> {
    let standing = follower.stalled_for();
    (standing > FOLD_STALLED).then(|| {
        format!(
            "the read model has not moved for {} s and is {} events behind the log",
            standing.as_secs(),
            follower.lag_events()
        )
    })
}

/// Reason to report if the syncs with Stripe's API fail. The error itself is only in the server's log.
pub(super) fn failing_sync(app: &AppState) -> Option<String> {
    let since = app.sync.as_ref()?.status().failing_for()?.as_secs();
    Some(format!(
        "the last sync failed, and none has succeeded for {since} s: the log of the service says why"
    ))
}

/// Reason to report if the ledger is not known to be complete. Each gap is part of one reason.
pub(super) fn gaps(app: &AppState) -> Option<String> {
    let of_coverage = app.coverage.gaps_reason(app.mode, app.clock.now().to_stripe_time());
    // A sync notices a gap before the coverage is read the next time.
    of_coverage.or_else(|| {
        let needs_backfill = app.sync.as_ref()?.status().needs_backfill;
        needs_backfill.then(|| "a backfill is needed: run `subledger backfill`".to_owned())
    })
}
