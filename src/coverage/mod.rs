//! Coverage: from when to when an account and mode is known to be complete, and the gaps.
//!
//! All of it is a pure function of the spans that backfills and syncs recorded, and of the time at which one asks.

mod missed;
mod open_gaps;

use serde::{Deserialize, Serialize};

pub use missed::{MISSED_RUNS_MAX, MissedDeliveries, add_missed};
pub use open_gaps::{SYNC_DUE_SECONDS, backfill_command};

use crate::ids::Scope;
use crate::time::StripeTime;

/// Reason why a span of time is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoveredBy {
    /// A backfill read every object as it was at the end of the span. What happened before that is known as far as
    /// the objects show it.
    Backfill,
    /// All events of the span were listed.
    Sync,
}

impl CoveredBy {
    /// Name, as it is stored and shown.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Backfill => "backfill",
            Self::Sync => "sync",
        }
    }

    /// Reason of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Backfill, Self::Sync].into_iter().find(|it| it.as_str() == name)
    }
}

/// Span of time in which nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First second. [`Span::BEGINNING`] is the beginning of the account.
    pub from: StripeTime,
    /// Second of its end.
    pub to: StripeTime,
    /// Reason.
    pub by: CoveredBy,
}

impl Span {
    /// Start of the span of a backfill: the beginning of the account.
    pub const BEGINNING: StripeTime = StripeTime(0);
}

/// Coverage of an account and mode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    /// Account and mode.
    pub scope: Scope,
    /// Complete spans, sorted by time. They do not overlap.
    pub complete: Vec<Span>,
    /// Runs of events that no webhook had delivered, sorted by time.
    pub missed: Vec<MissedDeliveries>,
}

/// Span of time of which it is not known that nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// First second. [`Span::BEGINNING`] is the beginning of the account.
    pub from: StripeTime,
    /// Second of its end.
    pub to: StripeTime,
    /// Reason.
    pub reason: GapReason,
}

/// Reason of a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GapReason {
    /// No backfill has read what there was before the first sync.
    NeverBackfilled,
    /// No sync ran while Stripe still listed the events of the span.
    OlderThanListed,
    /// No sync has read the latest events yet.
    NotSynced,
}

impl Coverage {
    /// True if a backfill has read the account.
    pub fn is_backfilled(&self) -> bool {
        self.complete.iter().any(|span| span.by == CoveredBy::Backfill)
    }

    /// End of the last complete span.
    pub fn complete_to(&self) -> Option<StripeTime> {
        self.complete.last().map(|span| span.to)
    }

    /// Gaps between the spans, before the first and after the last one.
    pub fn gaps(&self, now: StripeTime) -> Vec<Gap> {
        let mut gaps = Vec::new();
        let mut from = Span::BEGINNING;
        for (index, span) in self.complete.iter().enumerate() {
            let reason =
                if index == 0 { GapReason::NeverBackfilled } else { GapReason::OlderThanListed };
            if span.from > from {
                gaps.push(Gap { from, to: span.from, reason });
            }
            from = span.to;
        }
        if now > from {
            let reason = if self.complete.is_empty() {
                GapReason::NeverBackfilled
            } else {
                GapReason::NotSynced
            };
            gaps.push(Gap { from, to: now, reason });
        }
        gaps
    }
}

/// Adds a span to sorted spans that do not overlap. What touches one of the same reason extends it. A backfill
/// replaces whatever ended before it.
pub fn add_span(spans: &mut Vec<Span>, added: Span) {
    if added.to < added.from {
        return;
    }
    let mut added = added;
    let mut kept: Vec<Span> = Vec::with_capacity(spans.len() + 1);
    for mut span in spans.drain(..) {
        if span.to < added.from || span.from > added.to {
            kept.push(span);
        } else if span.by == added.by {
            added.from = added.from.min(span.from);
            added.to = added.to.max(span.to);
        } else if added.by == CoveredBy::Backfill {
            // Only what is later than the backfill stays.
            if span.to > added.to {
                span.from = added.to;
                kept.push(span);
            }
        } else if span.from <= added.from {
            kept.push(span);
            added.from = span.to;
        } else if span.to < added.to {
            kept.push(span);
            kept.push(Span { to: span.from, ..added });
            added.from = span.to;
        } else {
            kept.push(span);
            added.to = span.from;
        }
    }
    if added.to > added.from {
        kept.push(added);
    }
    kept.sort_by_key(|span| span.from);
    *spans = kept;
}

#[cfg(test)]
mod tests;
