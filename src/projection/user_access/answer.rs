//! Answer at an instant: whether access is granted, to what, and until when.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Cover, CoveredItem, Reason, UserAccess};
use crate::time::StripeTime;

/// Item and feature that a request asks about. Without any, it asks about any access.
///
/// A single item must match all given fields of items. If a feature is given as well, access to both is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// Product of an item.
    pub product_id: Option<String>,
    /// Price of an item.
    pub price_id: Option<String>,
    /// Lookup key of an item's price.
    pub lookup_key: Option<String>,
    /// Lookup key of an entitlement feature.
    pub feature: Option<String>,
}

/// Access at an instant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Answer {
    /// True if access is granted.
    pub active: bool,
    /// End of access by the policy, with its patience. Null if there is no known end, or no access was granted.
    pub until: Option<StripeTime>,
    /// End of what is paid for, or of the trial: the end without the patience of the policy. Null if nothing is known to
    /// be paid.
    pub paid_until: Option<StripeTime>,
    /// Reason in a word.
    pub reason: Reason,
    /// End of the current period of the subscription that decides, if it renews then.
    pub renews_at: Option<StripeTime>,
    /// Items and features that access covers at this instant, whatever was asked for.
    pub covers: Covers,
    /// True if the lists may lack something, because Stripe truncated the items or features of a subscription, or there
    /// are too many. What is missing grants nothing.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

/// Items and features that access covers at an instant, by kind, each ordered by id.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Covers {
    /// Products of the items.
    pub products: Vec<Covered>,
    /// Prices of the items.
    pub prices: Vec<Covered>,
    /// Lookup keys of the prices.
    pub lookup_keys: Vec<Covered>,
    /// Entitlement features, by their lookup keys.
    pub features: Vec<Covered>,
}

/// One thing that access covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Covered {
    /// Id or lookup key.
    pub id: String,
    /// End of access to it by the policy. Null if there is no known end.
    pub until: Option<StripeTime>,
}

impl Asked {
    /// True if a field of items is given.
    fn has_item(&self) -> bool {
        self.product_id.is_some() || self.price_id.is_some() || self.lookup_key.is_some()
    }

    fn matches(&self, item: &CoveredItem) -> bool {
        let asks = |wanted: &Option<String>, has| wanted.is_none() || wanted == has;
        asks(&self.product_id, &item.product_id)
            && asks(&self.price_id, &item.price_id)
            && asks(&self.lookup_key, &item.lookup_key)
    }
}

impl UserAccess {
    /// Answers what is asked, at this instant.
    pub fn answer(&self, asked: &Asked, now: StripeTime) -> Answer {
        let covers = Covers::new(self, now);
        let incomplete = self.items_truncated || self.features_truncated;
        let is_active = |cover: &Cover| cover.by.is_active_at(now);
        let found = self.find(asked);
        let reason = match (&found, &self.whole) {
            (_, None) => Reason::NoSubscription,
            (None, Some(whole)) if is_active(whole) => Reason::NotIncluded,
            (Some(by), _) | (None, Some(by)) if by.by.entitled && !is_active(by) => Reason::Expired,
            (Some(by), _) | (None, Some(by)) => by.by.reason,
        };
        let found = found.filter(|it| it.by.entitled);
        Answer {
            active: found.as_ref().is_some_and(is_active),
            until: found.as_ref().and_then(|it| it.by.until),
            paid_until: found.as_ref().and_then(|it| it.paid_until),
            reason,
            renews_at: found.as_ref().and_then(|it| it.by.renews_at),
            covers,
            incomplete,
        }
    }

    /// Access to what is asked for. Of an item and a feature, the one that ends first decides.
    fn find(&self, asked: &Asked) -> Option<Cover> {
        let item = if asked.has_item() {
            let mut matching = self.items.iter().filter(|(item, _)| asked.matches(item));
            let mut found = matching.next()?.1.clone();
            matching.for_each(|(_, cover)| found.join(cover.clone()));
            Some(found)
        } else {
            None
        };
        let feature = match &asked.feature {
            Some(feature) => Some(self.features.get(feature)?.clone()),
            None => None,
        };
        match (item, feature) {
            (None, None) => self.whole.clone(),
            (Some(item), Some(feature)) => {
                let paid_until = item.paid_until.min(feature.paid_until);
                let first = if item.by.rank() < feature.by.rank() { item } else { feature };
                Some(Cover { paid_until, ..first })
            }
            (item, feature) => item.or(feature),
        }
    }
}

impl Covers {
    fn new(access: &UserAccess, now: StripeTime) -> Self {
        let active = || access.items.iter().filter(|(_, cover)| cover.by.is_active_at(now));
        let by = |property: fn(&CoveredItem) -> Option<&String>| {
            covered(active().filter_map(|(item, cover)| Some((property(item)?, cover))))
        };
        Self {
            products: by(|item| item.product_id.as_ref()),
            prices: by(|item| item.price_id.as_ref()),
            lookup_keys: by(|item| item.lookup_key.as_ref()),
            features: covered(access.features.iter().filter(|it| it.1.by.is_active_at(now))),
        }
    }
}

/// Latest end of each id.
fn covered<'a>(covers: impl Iterator<Item = (&'a String, &'a Cover)>) -> Vec<Covered> {
    let mut latest: BTreeMap<&str, &Cover> = BTreeMap::new();
    for (id, cover) in covers {
        let known = latest.entry(id).or_insert(cover);
        if cover.by.rank() > known.by.rank() {
            *known = cover;
        }
    }
    let covered = latest.into_iter();
    covered.map(|(id, cover)| Covered { id: id.to_owned(), until: cover.by.until }).collect()
}
