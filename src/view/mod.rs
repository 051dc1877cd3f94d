//! Views of the read model that the HTTP API and the command line share.
//!
//! A view is what a reader is shown: rows together with what depends on the instant of asking.

mod unknown_status;

use serde::Serialize;

pub use unknown_status::UnknownStatus;

use crate::audit::{self, History, HistoryEvent, Subject};
use crate::projection::row::SubscriptionRow;
use crate::store::Grant;
use crate::time::{ReceivedAt, StripeTime};

/// A subscription at the instant of asking.
#[derive(Clone, Debug, Serialize)]
pub struct SubscriptionView {
    /// The row.
    #[serde(flatten)]
    pub row: SubscriptionRow,
    /// Whether access is granted now.
    pub active: bool,
}

/// Access that subscriptions grant together.
#[derive(Clone, Debug, Serialize)]
pub struct Access {
    /// Whether any grants access now.
    pub active: bool,
    /// Until when, by what is known now: the latest end, or null for none.
    pub entitled_until: Option<StripeTime>,
}

/// A history as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryView {
    /// Whose.
    pub subject: Subject,
    /// Only what had happened by then.
    pub as_of: Option<StripeTime>,
    /// Only what had reached the ledger by then.
    pub known_at: Option<ReceivedAt>,
    /// Events that `known_at` leaves out and whose time of receipt lies in the future, because the clock was
    /// ahead when they were received; they are known now all the same.
    #[serde(skip_serializing_if = "audit::is_zero")]
    pub received_in_future: usize,
    /// What happened.
    pub events: Vec<HistoryEvent>,
    /// Whether the story is longer than is told.
    pub truncated: bool,
    /// The subscriptions at the end of it.
    pub state: Vec<SubscriptionView>,
}

impl HistoryView {
    /// The history with its state at the instant that was turned back to, or else now.
    pub fn new(history: History, now: StripeTime) -> Self {
        let History { subject, as_of, known_at, received_in_future, events, truncated, state } =
            history;
        let state = SubscriptionView::all(state, as_of.unwrap_or(now));
        Self { subject, as_of, known_at, received_in_future, events, truncated, state }
    }

    /// Leaves out the events that changed nothing.
    #[must_use]
    pub fn changes_only(mut self) -> Self {
        self.events.retain(HistoryEvent::changed_anything);
        self
    }
}

impl SubscriptionView {
    /// The row at this instant.
    pub fn new(row: SubscriptionRow, now: StripeTime) -> Self {
        let active = row.active_at(now);
        Self { row, active }
    }

    /// The rows at this instant.
    pub fn all(rows: impl IntoIterator<Item = SubscriptionRow>, now: StripeTime) -> Vec<Self> {
        rows.into_iter().map(|row| Self::new(row, now)).collect()
    }

    /// The row where it is not known whether it has what was asked for: it grants nothing.
    pub fn undecided(row: SubscriptionRow) -> Self {
        Self { row, active: false }
    }
}

impl Access {
    /// The grant at this instant.
    pub fn new(grant: Grant, now: StripeTime) -> Self {
        Self { active: grant.is_active_at(now), entitled_until: grant.until() }
    }
}
