//! What a comparison of two generations finds.

use serde::Serialize;

use crate::ids::{CustomerKey, SubscriptionId};

/// How many subscriptions differ, and in what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiffCounts {
    /// Only the new generation has them.
    pub appear: i64,
    /// Only the old generation has them.
    pub disappear: i64,
    /// Both have them, and a field differs.
    pub change: i64,
    /// Both have them, and no field differs.
    pub same: i64,
    /// Not compared: of their customers, one generation has folded more events than the other.
    pub left_out: i64,
    /// Access in live mode.
    pub live_mode: AccessCounts,
    /// Access in test mode.
    pub test_mode: AccessCounts,
    /// How many of those that change do so in this field; the most frequent first.
    pub fields: Vec<FieldCount>,
}

/// How many subscriptions grant access, in one mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccessCounts {
    /// By the old generation.
    pub before: i64,
    /// By the new generation.
    pub after: i64,
    /// By the old one and not by the new one.
    pub lose: i64,
    /// By the new one and not by the old one.
    pub gain: i64,
}

/// How many subscriptions change in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FieldCount {
    /// The field's name in a row.
    pub field: &'static str,
    /// In how many subscriptions.
    pub change: i64,
}

/// What a change does to access at the instant of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessEffect {
    /// It is lost.
    Loses,
    /// It is gained.
    Gains,
    /// None: granted before and after, or neither.
    Same,
}

/// Which generations have a subscription that differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only the new one.
    Appears,
    /// Only the old one.
    Disappears,
    /// Both.
    Changes,
}

/// A subscription that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedSubscription {
    /// Whose it is.
    pub customer: CustomerKey,
    /// The subscription.
    pub subscription: SubscriptionId,
    /// The application's user, by the new generation or else by the old one.
    pub user_id: Option<String>,
    /// Which generations have it.
    pub kind: ChangeKind,
    /// What this does to access.
    pub effect: AccessEffect,
    /// What differs; of one that appears or disappears, what decides on access.
    pub fields: Vec<FieldChange>,
}

/// A field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Its name in a row.
    pub field: &'static str,
    /// Its value in the old generation.
    pub from: serde_json::Value,
    /// Its value in the new generation.
    pub to: serde_json::Value,
}

impl AccessEffect {
    /// Those who lose access come first.
    pub const ALL: [Self; 3] = [Self::Loses, Self::Gains, Self::Same];

    pub(in crate::store) const fn condition(self) -> &'static str {
        match self {
            Self::Loses => "active_before AND NOT active_after",
            Self::Gains => "active_after AND NOT active_before",
            Self::Same => "active_before = active_after",
        }
    }
}
