//! Differences between two generations.

use serde::Serialize;

use crate::ids::{CustomerKey, SubscriptionId};

/// Numbers of rows of a read model that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReadModelDiff {
    /// Read model. Its main table is compared, which has its name.
    pub read_model: &'static str,
    /// Rows that only the new generation has.
    pub appear: i64,
    /// Rows that only the live generation has.
    pub disappear: i64,
    /// Rows that both have, with other values.
    pub change: i64,
    /// Rows that are equal.
    pub same: i64,
}

/// Numbers of subscriptions that differ, and of the fields in which they differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiffCounts {
    /// Only in the new generation.
    pub appear: i64,
    /// Only in the old generation.
    pub disappear: i64,
    /// In both generations, with a different field.
    pub change: i64,
    /// In both generations, without a difference.
    pub same: i64,
    /// Not compared, because one generation has folded more events of the customer than the other.
    pub left_out: i64,
    /// Access in live mode.
    pub live_mode: AccessCounts,
    /// Access in test mode.
    pub test_mode: AccessCounts,
    /// Number of changed subscriptions for each field, the most frequent first.
    pub fields: Vec<FieldCount>,
}

/// Numbers of subscriptions that grant access, in one mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AccessCounts {
    /// Access in the old generation.
    pub before: i64,
    /// Access in the new generation.
    pub after: i64,
    /// Access only in the old generation.
    pub lose: i64,
    /// Access only in the new generation.
    pub gain: i64,
}

/// Number of subscriptions that change in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct FieldCount {
    /// Name of the field in a row.
    pub field: &'static str,
    /// Number of subscriptions.
    pub change: i64,
}

/// Effect of a change on access at the instant of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AccessEffect {
    /// Access is lost.
    Loses,
    /// Access is gained.
    Gains,
    /// Access does not change.
    Same,
}

/// Kind of a difference: the generations that have the subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeKind {
    /// Only the new generation has it.
    Appears,
    /// Only the old generation has it.
    Disappears,
    /// Both generations have it.
    Changes,
}

/// Subscription that differs.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangedSubscription {
    /// Customer of the subscription.
    pub customer: CustomerKey,
    /// Id of the subscription.
    pub subscription: SubscriptionId,
    /// User of the application, in the new generation or else in the old one.
    pub user_id: Option<String>,
    /// Kind of the difference.
    pub kind: ChangeKind,
    /// Effect on access.
    pub effect: AccessEffect,
    /// Fields that differ. If the subscription appears or disappears, the fields that decide about access.
    pub fields: Vec<FieldChange>,
}

/// Field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FieldChange {
    /// Name of the field in a row.
    pub field: &'static str,
    /// Value in the old generation.
    pub from: serde_json::Value,
    /// Value in the new generation.
    pub to: serde_json::Value,
}

impl AccessEffect {
    /// All effects, the loss of access first.
    pub const ALL: [Self; 3] = [Self::Loses, Self::Gains, Self::Same];

    pub(in crate::store) const fn condition(self) -> &'static str {
        match self {
            Self::Loses => "active_before AND NOT active_after",
            Self::Gains => "active_after AND NOT active_before",
            Self::Same => "active_before = active_after",
        }
    }
}
