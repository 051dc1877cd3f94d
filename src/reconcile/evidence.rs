//! Evidence about a difference, from which its class follows.

use crate::ids::{EventId, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::time::StripeTime;

use super::fields::FieldDifference;

/// Event that the API lists and the log does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedEvent {
    /// Id.
    pub id: EventId,
    /// Second in which it happened.
    pub created: StripeTime,
    /// Subscription that it names; none for an event of the customer.
    pub subscription: Option<SubscriptionId>,
    /// Thin event of the log that announced it.
    pub announced_by: Option<EventId>,
}

/// Event of the log whose content is not in the read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldEvent {
    /// Id.
    pub id: EventId,
    /// Second in which it happened.
    pub created: StripeTime,
    /// Reason for which it was parked; empty for a thin event.
    pub reason: String,
}

/// Part of a difference that would vanish by an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Explained {
    /// No field.
    #[default]
    Not,
    /// Some fields.
    Partly,
    /// All fields.
    Fully,
}

/// Evidence about the difference of one subscription.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// Row of the ledger.
    pub before: Option<&'a SubscriptionRow>,
    /// Row that the ledger has after all evidence of the API was folded.
    pub after: &'a SubscriptionRow,
    /// Fields that differ.
    pub fields: &'a [FieldDifference],
    /// Current second, by Stripe's clock.
    pub now: StripeTime,
    /// Listed events that were never delivered, the newest first.
    pub missed: Vec<ListedEvent>,
    /// Part of the difference that they explain.
    pub explained_by_missed: Explained,
    /// Listed events that are too young to be missed.
    pub young: Vec<ListedEvent>,
    /// Part of the difference that they explain.
    pub explained_by_young: Explained,
    /// Parked events of the subscription or its customer that the row may lack.
    pub parked: Vec<HeldEvent>,
    /// Thin events that name the subscription, its customer or its invoice, and that the row may lack.
    pub thin: Vec<HeldEvent>,
    /// True if Stripe has no such subscription.
    pub is_gone: bool,
    /// True if the customer is deleted at Stripe, and the ledger does not know it.
    pub is_customer_deleted: bool,
    /// True if another order of events of one second gives the fields as Stripe shows them.
    pub is_other_order: bool,
}

impl Evidence<'_> {
    /// True if a field of this name differs.
    pub fn differs(&self, field: &str) -> bool {
        self.fields.iter().any(|it| it.field == field)
    }

    /// Access by the row of the ledger, and after.
    pub fn access(&self) -> (bool, bool) {
        let before = self.before.is_some_and(|row| row.active_at(self.now));
        (before, self.after.active_at(self.now))
    }
}
