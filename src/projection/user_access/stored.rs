//! Stored form of the access of a user: every decision once, and the rest refers to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Cover, CoveredItem, Decision, UserAccess};
use crate::ids::{CustomerId, SubscriptionId};
use crate::time::StripeTime;

/// Stored form. Equal accesses have equal forms.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredAccess {
    subscriptions: u64,
    /// Decisions, ordered by the ids of subscription and customer.
    decisions: Vec<Decision>,
    whole: Option<StoredCover>,
    items: Vec<(CoveredItem, StoredCover)>,
    features: Vec<(String, StoredCover)>,
    items_truncated: bool,
    features_truncated: bool,
}

/// Index of the decision, and the end of what is paid for.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct StoredCover(usize, Option<StripeTime>);

/// Reference to a decision that is not there: the stored form is damaged.
#[derive(Debug, thiserror::Error)]
#[error("the stored access refers to a decision that it lacks: rebuild the read model")]
pub(super) struct MissingDecision;

type DecisionKey = (SubscriptionId, CustomerId);

/// Stored form of an access.
pub(super) fn encode(access: &UserAccess) -> Result<String, String> {
    serde_json::to_string(access).map_err(|error| error.to_string())
}

/// Access from its stored form.
pub(super) fn decode(stored: &str) -> Result<UserAccess, String> {
    serde_json::from_str(stored).map_err(|error| format!("the access of a user: {error}"))
}

fn key(decision: &Decision) -> DecisionKey {
    (decision.subscription_id.clone(), decision.customer_id.clone())
}

impl From<UserAccess> for StoredAccess {
    fn from(access: UserAccess) -> Self {
        let covers = access.items.values().chain(access.features.values()).chain(&access.whole);
        let distinct: BTreeMap<DecisionKey, Arc<Decision>> =
            covers.map(|cover| (key(&cover.by), Arc::clone(&cover.by))).collect();
        let indexes: BTreeMap<&DecisionKey, usize> =
            distinct.keys().enumerate().map(|(index, key)| (key, index)).collect();
        let store = |cover: &Cover| {
            let index = indexes.get(&key(&cover.by)).copied().unwrap_or_default();
            StoredCover(index, cover.paid_until)
        };
        let items = access.items.iter().map(|(item, cover)| (item.clone(), store(cover)));
        let features = access.features.iter().map(|(name, cover)| (name.clone(), store(cover)));
        Self {
            subscriptions: access.subscriptions,
            whole: access.whole.as_ref().map(store),
            items: items.collect(),
            features: features.collect(),
            items_truncated: access.items_truncated,
            features_truncated: access.features_truncated,
            decisions: distinct.values().map(|it| (**it).clone()).collect(),
        }
    }
}

impl TryFrom<StoredAccess> for UserAccess {
    type Error = MissingDecision;

    fn try_from(stored: StoredAccess) -> Result<Self, MissingDecision> {
        let decisions: Vec<Arc<Decision>> = stored.decisions.into_iter().map(Arc::new).collect();
        let read = |StoredCover(index, paid_until)| {
            let by = Arc::clone(decisions.get(index).ok_or(MissingDecision)?);
            Ok(Cover { by, paid_until })
        };
        let items = stored.items.into_iter().map(|(item, cover)| Ok((item, read(cover)?)));
        let features = stored.features.into_iter().map(|(name, cover)| Ok((name, read(cover)?)));
        Ok(Self {
            subscriptions: stored.subscriptions,
            whole: stored.whole.map(read).transpose()?,
            items: items.collect::<Result<_, _>>()?,
            features: features.collect::<Result<_, _>>()?,
            items_truncated: stored.items_truncated,
            features_truncated: stored.features_truncated,
        })
    }
}
