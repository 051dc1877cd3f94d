//! Views of the read model that the HTTP API and the command line share.
//!
//! A view is what a reader is shown: rows together with what depends on the instant of asking.

mod coverage;
mod invalid_status;

use serde::Serialize;

pub use coverage::{
    ACCOUNTS_MAX, AccountCoverage, CompleteView, CoverageView, GapView, MissedView, RUNS_MAX,
    RunView,
};
pub use invalid_status::InvalidStatus;

use crate::audit::{self, History, HistoryEvent, Subject};
use crate::exchange::EventRecord;
use crate::projection::row::SubscriptionRow;
use crate::store::Grant;
use crate::time::{ReceivedAt, StripeTime};

/// Event of the log, without its payload.
#[derive(Clone, Debug, Serialize)]
pub struct EventView {
    /// Record of the event.
    #[serde(flatten)]
    pub record: EventRecord,
    /// Link between a thin event and what was fetched for it, in words. Absent for other events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thin: Option<String>,
}

/// Subscription at an instant.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriptionView {
    /// Row of the read model.
    #[serde(flatten)]
    pub row: SubscriptionRow,
    /// True if the subscription grants access at that instant.
    pub active: bool,
}

/// Access that several subscriptions grant together.
#[derive(Clone, Debug, Serialize)]
pub struct Access {
    /// True if any of them grants access now.
    pub active: bool,
    /// Latest end of access, as far as is known now; null for none.
    pub entitled_until: Option<StripeTime>,
}

/// History of a subject, with its subscriptions at the end.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryView {
    /// User, customer or subscription.
    pub subject: Subject,
    /// Limit on the time of the events, by Stripe's clock.
    pub as_of: Option<StripeTime>,
    /// Limit on the time of receipt.
    pub known_at: Option<ReceivedAt>,
    /// Number of events that `known_at` excludes although they are known: their time of receipt lies in the future,
    /// because the clock was ahead.
    #[serde(skip_serializing_if = "audit::is_zero")]
    pub received_in_future: usize,
    /// Events in canonical order.
    pub events: Vec<HistoryEvent>,
    /// True if the history is longer than these events.
    pub truncated: bool,
    /// Subscriptions after the last event.
    pub state: Vec<SubscriptionView>,
}

impl HistoryView {
    /// View of a history. Access is that at `as_of`, or else now.
    pub fn new(history: History, now: StripeTime) -> Self {
        let History { subject, as_of, known_at, received_in_future, events, truncated, state } =
            history;
        let state = SubscriptionView::all(state, as_of.unwrap_or(now));
        Self { subject, as_of, known_at, received_in_future, events, truncated, state }
    }

    /// Removes the events that changed nothing.
    #[must_use]
    pub fn changes_only(mut self) -> Self {
        self.events.retain(HistoryEvent::changed_anything);
        self
    }
}

impl SubscriptionView {
    /// View of a row at this instant.
    pub fn new(row: SubscriptionRow, now: StripeTime) -> Self {
        let active = row.active_at(now);
        Self { row, active }
    }

    /// Views of rows at this instant.
    pub fn all(rows: impl IntoIterator<Item = SubscriptionRow>, now: StripeTime) -> Vec<Self> {
        rows.into_iter().map(|row| Self::new(row, now)).collect()
    }

    /// View of a row that may lack the requested item: it grants nothing.
    pub fn undecided(row: SubscriptionRow) -> Self {
        Self { row, active: false }
    }
}

impl Access {
    /// Access that a grant gives at this instant.
    pub fn new(grant: Grant, now: StripeTime) -> Self {
        Self { active: grant.is_active_at(now), entitled_until: grant.until() }
    }
}
