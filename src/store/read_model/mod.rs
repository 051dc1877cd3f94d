//! Read models: tables that are built from the log, and rebuilt if the file is missing, unreadable or of an older
//! version.
//!
//! A [`Generation`] is one build of all projections, in tables of its own. The view `current_subscriptions` shows the
//! live generation.

pub(super) mod access;
mod access_groups;
pub(super) mod begin;
pub(super) mod catalogue;
mod damage;
mod diff;
pub(super) mod diff_sql;
mod difference;
pub(super) mod filter;
pub(super) mod fold;
pub(super) mod generation;
pub(super) mod generation_id;
mod groups;
mod handle;
pub(super) mod join;
pub(super) mod layer;
pub(super) mod lease;
pub(super) mod open;
pub(super) mod parked_customers;
pub(super) mod reclaim;
mod row_values;
pub(super) mod rows;
pub(super) mod schema;
pub(super) mod select;
pub(super) mod subscriptions;
pub(super) mod swap;
mod tables;
pub(super) mod timeline;
pub(super) mod user_access;
mod version;

pub use access::{AccessAnswer, AccessHolder, AccessKey, AccessQuestion, Grant};
pub use access_groups::AccessGroups;
pub use begin::{BeginOutcome, Foundation};
pub use diff::Comparison;
pub use difference::{
    AccessCounts, AccessEffect, ChangeKind, ChangedSubscription, DiffCounts, FieldChange,
    FieldCount, ReadModelDiff,
};
pub use filter::{ItemFilter, SubscriptionFilter, SubscriptionKey};
pub use fold::{FoldBatch, FoldOutcome};
pub use generation::{Generation, GenerationLogic, GenerationStamp, GenerationStatus};
pub use generation_id::{GenerationId, LayerId};
pub use handle::ReadModel;
pub use join::{JoinedGroups, Joining};
pub use layer::{FoldLayer, layer_fingerprint};
pub use lease::Lease;
pub use parked_customers::ParkedCustomer;
pub use subscriptions::SubscriptionPages;
pub use swap::SwapOutcome;
pub use tables::{GenerationTables, tables_schema};
pub use timeline::TimelineKey;
pub use version::ReadModelVersion;
