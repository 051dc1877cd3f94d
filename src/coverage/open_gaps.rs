//! Gaps that need attention, in words, with advice.

use super::{Coverage, Gap, GapReason};
use crate::ids::{Mode, Scope};
use crate::time::{DAY_SECONDS, StripeTime};

/// Time since the last complete second, in seconds, up to which no sync is missing: two intervals between syncs of
/// five minutes, the longest that can be set. A sync ends 30 seconds before it runs, so the latest events are never complete.
pub const SYNC_DUE_SECONDS: i64 = 600;

/// Age of the oldest event that Stripe lists, in seconds.
const LISTED_SECONDS: i64 = 30 * DAY_SECONDS;

impl Coverage {
    /// Gaps that need attention. The latest events, which no sync can have read yet, are none.
    pub fn open_gaps(&self, now: StripeTime) -> Vec<Gap> {
        let mut gaps = self.gaps(now);
        gaps.retain(|gap| {
            gap.reason != GapReason::NotSynced || gap.to.0 - gap.from.0 > SYNC_DUE_SECONDS
        });
        gaps
    }
}

impl Gap {
    /// Advice for the operator: what closes the gap.
    pub fn advice(&self, scope: &Scope, now: StripeTime) -> String {
        let backfill = format!("run `{}`", backfill_command(scope));
        let is_listed = now.0 - self.from.0 < LISTED_SECONDS;
        if self.reason == GapReason::NotSynced && is_listed {
            format!("let `subledger serve` sync with STRIPE_API_KEY, or {backfill}")
        } else {
            backfill
        }
    }
}

impl GapReason {
    /// True if Stripe no longer lists the events of the gap, so that no sync can close it.
    pub const fn needs_backfill(self) -> bool {
        !matches!(self, Self::NotSynced)
    }

    /// Reason in words.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::NeverBackfilled => "never backfilled",
            Self::OlderThanListed => "not synced while Stripe still listed the events",
            Self::NotSynced => "not synced since then",
        }
    }
}

/// Command that backfills an account and mode.
pub fn backfill_command(scope: &Scope) -> String {
    let mut command = "subledger backfill".to_owned();
    if !scope.livemode {
        command.push_str(" --mode ");
        command.push_str(Mode::Test.as_str());
    }
    if !scope.account.as_str().is_empty() {
        command.push_str(" --account ");
        command.push_str(scope.account.as_str());
    }
    command
}
