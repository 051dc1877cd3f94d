//! The fold: from a set of events to the rows of a read model.
//!
//! One event is [observed](observe); the observations of a customer are joined into that
//! customer's [state]; [rows](rows::rows) are a function of state and [`Logic`]. Joining is commutative,
//! associative and idempotent, so the rows depend on the set of events and on nothing else: not
//! on their order of arrival, not on duplicates, not on how they were batched.
//!
//! *Invariant: nothing in this room does I/O, reads a clock, or knows a database or HTTP.*

mod ambiguity;
pub mod attribute_digest;
pub mod canonical;
pub mod catalogue;
pub mod column;
mod coverage;
pub mod customers;
pub mod effects;
pub mod entitlement;
pub mod erasure_record;
pub mod group;
pub mod lazy_digest;
pub mod observe;
pub mod order;
pub mod overdue;
mod payments;
pub mod policy;
pub mod row;
pub mod rows;
pub mod state;
pub mod user;

use policy::{Policy, PolicyError};
use sha2::{Digest, Sha256};

/// Raised with every change of the fold that can change a row or the form of the stored state.
pub const FOLD_VERSION: i64 = 4;

/// The metadata key that names the application's user, unless configured otherwise.
pub const DEFAULT_USER_KEY: &str = "user_id";

/// Everything that decides what rows come out of a log: the fold's version, the policy, and the
/// metadata keys that name the application's user. It is stored with every generation and used by
/// whoever folds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logic {
    /// The policy, read.
    pub policy: Policy,
    /// The policy as it was written.
    pub policy_text: String,
    /// The metadata keys, the first match counts.
    pub user_keys: Vec<String>,
}

impl Logic {
    /// Reads a policy and takes the keys, separated by commas.
    pub fn parse(policy_text: &str, user_keys: &str) -> Result<Self, PolicyError> {
        let user_keys = user_keys.split(',').map(str::trim).filter(|key| !key.is_empty());
        Ok(Self {
            policy: Policy::parse(policy_text)?,
            policy_text: policy_text.to_owned(),
            user_keys: user_keys.map(str::to_owned).collect(),
        })
    }

    /// The keys as they are configured and stored: separated by commas.
    pub fn user_keys_text(&self) -> String {
        self.user_keys.join(",")
    }

    /// What identifies this logic: two generations of the same fingerprint hold the same rows.
    /// `schema` is the text that makes the read model's tables.
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
