//! Subscriptions as they are shown: a row of the read model, and whether it grants access now.

use serde::Serialize;

use crate::audit::{History, HistoryEvent, Subject};
use crate::projection::row::{ItemRow, SubscriptionRow};
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

/// What subscriptions grant together.
#[derive(Clone, Debug, Serialize)]
pub struct Access {
    /// Whether any grants access now.
    pub active: bool,
    /// Until when, by what is known now: the latest end, or null for none.
    pub entitled_until: Option<StripeTime>,
}

/// A user of the application, and what they may use.
#[derive(Clone, Debug, Serialize)]
pub struct UserView {
    /// The user, as the application names them.
    pub user_id: String,
    /// The mode that was asked about.
    pub mode: &'static str,
    /// What the subscriptions grant.
    #[serde(flatten)]
    pub access: Access,
    /// The subscriptions that were asked about.
    pub subscriptions: Vec<SubscriptionView>,
    /// Whether one of them may hold what was asked for and is not known to: Stripe cut its list of
    /// items short, and what is left does not have it. Such a one grants nothing here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
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
        let History { subject, as_of, known_at, events, truncated, state } = history;
        let state = SubscriptionView::all(state, as_of.unwrap_or(now));
        Self { subject, as_of, known_at, events, truncated, state }
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
    pub(super) fn undecided(row: SubscriptionRow) -> Self {
        Self { row, active: false }
    }
}

impl Access {
    /// What these grant together: the greatest end wins, and no end is the greatest.
    pub fn of(subscriptions: &[SubscriptionView]) -> Self {
        let ends =
            || subscriptions.iter().filter(|it| it.row.entitled).map(|it| it.row.entitled_until);
        let endless = ends().any(|end| end.is_none());
        Self {
            active: subscriptions.iter().any(|it| it.active),
            entitled_until: if endless { None } else { ends().flatten().max() },
        }
    }
}

/// "Is this one of what was bought?": every property that is given must be of one and the same
/// item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The product.
    pub(super) product_id: Option<String>,
    /// The price.
    pub(super) price_id: Option<String>,
    /// The price's lookup key.
    pub(super) lookup_key: Option<String>,
}

impl Wanted {
    /// Whether any item is what is wanted; everything is, where nothing is said.
    pub(super) fn is_in(&self, row: &SubscriptionRow) -> bool {
        let asks =
            |wanted: &Option<String>, has: &Option<String>| wanted.is_none() || wanted == has;
        *self == Self::default()
            || row.items.0.iter().any(|item: &ItemRow| {
                asks(&self.product_id, &item.product_id)
                    && asks(&self.price_id, &item.price_id)
                    && asks(&self.lookup_key, &item.lookup_key)
            })
    }
}
