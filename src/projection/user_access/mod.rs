//! Access of a user of the application, or of a customer, over all of their subscriptions. Pure.
//!
//! Each row of a subscription gives a part, and parts are [joined](UserAccess::join). The result depends on the set of
//! rows alone, not on their order or grouping. So the parts of several customers give the access of one user. Only what
//! the policy grants takes space: subscriptions that grant nothing are counted, and the last of them gives the reason if
//! none grants access.

mod answer;
mod decision;
mod projection;
mod stored;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use answer::{Answer, Asked, Covered, Covers};
pub use decision::{Decision, Reason};
pub use projection::{AccessOfUsers, part_rows};

use self::stored::StoredAccess;
use super::row::{ItemRow, SubscriptionRow};
use crate::time::StripeTime;

/// Greatest number of items, and of features, that the access of one user lists. Of more, those with the lowest ids are
/// kept, and an answer that may depend on the rest says that it is incomplete.
pub const COVERED_MAX: usize = 1_000;

/// Access over several subscriptions, or the part of it that some of them give.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "StoredAccess", try_from = "StoredAccess")]
pub struct UserAccess {
    /// Number of subscriptions, with those that grant nothing.
    subscriptions: u64,
    /// Access of the whole. None without a subscription.
    whole: Option<Cover>,
    /// Items of the subscriptions that grant access.
    items: BTreeMap<CoveredItem, Cover>,
    /// Entitlement features, by their lookup keys.
    features: BTreeMap<String, Cover>,
    /// True if the list of items may lack some.
    items_truncated: bool,
    /// True if the list of features may lack some.
    features_truncated: bool,
}

/// Item that access covers. A price of several lookup keys over time is several items.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct CoveredItem {
    price_id: Option<String>,
    product_id: Option<String>,
    lookup_key: Option<String>,
}

/// Access to one thing, with the subscription that decides about it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cover {
    by: Arc<Decision>,
    /// Latest end of what is paid for, or of a trial, over all subscriptions that cover it.
    paid_until: Option<StripeTime>,
}

impl Cover {
    fn join(&mut self, other: Self) {
        self.paid_until = self.paid_until.max(other.paid_until);
        if other.by.rank() > self.by.rank() {
            self.by = other.by;
        }
    }
}

impl UserAccess {
    /// Access that these rows give together.
    pub fn of<'a>(rows: impl IntoIterator<Item = &'a SubscriptionRow>) -> Self {
        let mut access = Self::default();
        for row in rows {
            access.add(row);
        }
        access
    }

    /// Parts that these rows give to each user, by the user's id. Rows without a user give none.
    pub fn by_user<'a>(
        rows: impl IntoIterator<Item = &'a SubscriptionRow>,
    ) -> BTreeMap<String, Self> {
        let mut parts: BTreeMap<String, Self> = BTreeMap::new();
        for row in rows {
            if let Some(user) = &row.user_id {
                parts.entry(user.clone()).or_default().add(row);
            }
        }
        parts
    }

    /// Adds the row of another subscription.
    pub fn add(&mut self, row: &SubscriptionRow) {
        self.subscriptions += 1;
        let cover =
            Cover { by: Arc::new(Decision::new(row)), paid_until: decision::paid_until(row) };
        if row.entitled {
            for item in &row.items.0 {
                insert(&mut self.items, CoveredItem::new(item), cover.clone());
            }
            for feature in &row.features.0 {
                insert(&mut self.features, feature.clone(), cover.clone());
            }
            self.items_truncated |= row.items_truncated;
            self.features_truncated |= row.features_truncated;
            self.truncate();
        }
        self.join_whole(Some(cover));
    }

    /// Joins the access of other subscriptions. Commutative and associative. If a subscription is in both, only the
    /// number of subscriptions differs from that of either.
    #[must_use]
    pub fn join(mut self, other: Self) -> Self {
        self.subscriptions += other.subscriptions;
        for (item, cover) in other.items {
            insert(&mut self.items, item, cover);
        }
        for (feature, cover) in other.features {
            insert(&mut self.features, feature, cover);
        }
        self.items_truncated |= other.items_truncated;
        self.features_truncated |= other.features_truncated;
        self.truncate();
        self.join_whole(other.whole);
        self
    }

    fn join_whole(&mut self, other: Option<Cover>) {
        match (&mut self.whole, other) {
            (Some(whole), Some(other)) => whole.join(other),
            (whole, other) => *whole = whole.take().or(other),
        }
    }

    /// Keeps the lowest keys. A key that one part drops is dropped by every join of it, so the order does not matter.
    fn truncate(&mut self) {
        while self.items.len() > COVERED_MAX {
            self.items.pop_last();
            self.items_truncated = true;
        }
        while self.features.len() > COVERED_MAX {
            self.features.pop_last();
            self.features_truncated = true;
        }
    }

    /// Access from its stored form.
    pub fn from_stored(stored: &str) -> Result<Self, String> {
        stored::decode(stored)
    }

    /// Number of subscriptions, with those that grant nothing.
    pub const fn subscriptions(&self) -> u64 {
        self.subscriptions
    }

    /// Decision of the subscription that decides. None without a subscription.
    pub fn decision(&self) -> Option<&Decision> {
        self.whole.as_ref().map(|it| &*it.by)
    }

    /// Latest end of what is paid for, or of a trial, without the patience of the policy. None if nothing is known to be
    /// paid, or no access is granted.
    pub fn paid_until(&self) -> Option<StripeTime> {
        self.whole.as_ref().and_then(|it| it.paid_until)
    }

    /// Number of items and features that it lists.
    pub fn covered(&self) -> usize {
        self.items.len() + self.features.len()
    }
}

impl CoveredItem {
    fn new(item: &ItemRow) -> Self {
        Self {
            price_id: item.price_id.clone(),
            product_id: item.product_id.clone(),
            lookup_key: item.lookup_key.clone(),
        }
    }
}

fn insert<K: Ord>(covers: &mut BTreeMap<K, Cover>, key: K, cover: Cover) {
    match covers.entry(key) {
        Entry::Occupied(mut known) => known.get_mut().join(cover),
        Entry::Vacant(place) => {
            place.insert(cover);
        }
    }
}
