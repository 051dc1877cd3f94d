//! The fold: from a set of events to the rows of a read model.
//!
//! Each event is [observed](observe). The observations of a customer are joined into that customer's [state].
//! The [rows](rows::rows) are a function of state and [`Logic`]. Joining is commutative, associative and
//! idempotent, so the rows depend on the set of events alone: not on their order of arrival, on duplicates or
//! on batches.
//!
//! *Invariant: nothing in this module does I/O, reads a clock, or knows a database or HTTP.*

mod ambiguity;
pub mod attribute_digest;
pub mod canonical;
pub mod catalogue;
pub mod column;
mod coverage;
pub mod current_subscriptions;
pub mod customers;
pub mod effects;
pub mod entitlement;
pub mod erasure_record;
pub mod footprint;
pub mod group;
pub mod latest;
pub mod lazy_digest;
pub mod novelty;
pub mod observe;
pub mod order;
pub mod overdue;
mod own_record;
mod payments;
pub mod policy;
pub mod read_model;
pub mod row;
pub mod rows;
pub mod state;
pub mod user;
pub mod user_access;
pub mod user_candidate;
pub mod user_link;

use policy::{Policy, PolicyError, RuleChange};
use sha2::{Digest, Sha256};

/// Version of the fold. Raise it with every change that can change a row or the form of the stored state.
pub const FOLD_VERSION: i64 = 6;

/// Default metadata key that holds the application's user id.
pub const DEFAULT_USER_KEY: &str = "user_id";

/// Logic that turns a log into rows: the version of the fold, the policy, and the metadata keys that hold the
/// application's user id. It is stored with every generation, and every fold of that generation uses it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logic {
    /// Parsed policy.
    pub policy: Policy,
    /// Text of the policy.
    pub policy_text: String,
    /// Metadata keys. The first that has a value counts.
    pub user_keys: Vec<String>,
}

impl Logic {
    /// Parses a policy and a list of keys that are separated by commas.
    pub fn parse(policy_text: &str, user_keys: &str) -> Result<Self, PolicyError> {
        let user_keys = user_keys.split(',').map(str::trim).filter(|key| !key.is_empty());
        Ok(Self {
            policy: Policy::parse(policy_text)?,
            policy_text: policy_text.to_owned(),
            user_keys: user_keys.map(str::to_owned).collect(),
        })
    }

    /// The metadata keys, separated by commas, as they are configured and stored.
    pub fn user_keys_text(&self) -> String {
        self.user_keys.join(",")
    }

    /// Rules that differ in other logic: keys of the policy, and `user_keys`.
    pub fn changes_to(&self, other: &Self) -> Vec<RuleChange> {
        let mut changes = self.policy.changes_to(&other.policy);
        let (from, to) = (self.user_keys_text(), other.user_keys_text());
        changes.extend((from != to).then_some(RuleChange { key: "user_keys", from, to }));
        changes
    }

    /// Fingerprint of the logic. Generations with equal fingerprints hold equal rows. `schema` is the SQL that
    /// creates the read model's tables.
    pub fn fingerprint(&self, schema: &str) -> String {
        let mut hash = Sha256::new();
        let version = FOLD_VERSION.to_string();
        for part in [&version, schema, &self.policy_text, &self.user_keys_text()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex::encode(&hash.finalize()[..8])
    }
}

impl Default for Logic {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            policy_text: policy::BUILT_IN.to_owned(),
            user_keys: vec![DEFAULT_USER_KEY.to_owned()],
        }
    }
}
