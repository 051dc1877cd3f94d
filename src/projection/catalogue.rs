//! Names of products and prices. Rows show them, and snapshots of subscriptions lack them or hold old ones.

use std::collections::BTreeMap;

use super::row::{ItemRow, SubscriptionRow};
use crate::ids::{EventId, Scope};
use crate::time::StripeTime;

/// Name that one event gives a product, a price or a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogueEntry {
    /// Account and mode.
    pub scope: Scope,
    /// Id of the product, price or plan.
    pub id: String,
    /// The name, if it has one.
    pub name: Option<String>,
    /// Rank of the event among those of the same object. The greatest rank names it.
    pub rank: NameRank,
}

/// Rank of a name. The greatest counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NameRank {
    /// True for a deletion, which is final. The object can no longer be sold, and rows still refer to it, so its
    /// name stays.
    pub deleted: bool,
    /// Second of the event.
    pub created: StripeTime,
    /// True for any type but `*.created`, which comes first within its second.
    pub changed: bool,
    /// Decides between events that are equal in all else.
    pub event_id: EventId,
}

/// Names of products, prices and plans, by scope and id.
#[derive(Clone, Debug, Default)]
pub struct Catalogue(BTreeMap<(Scope, String), (NameRank, Option<String>)>);

impl Catalogue {
    /// Joins an entry in. Commutative, associative and idempotent.
    pub fn join(&mut self, entry: CatalogueEntry) {
        let CatalogueEntry { scope, id, name, rank } = entry;
        let known = self.0.entry((scope, id)).or_insert_with(|| (rank.clone(), name.clone()));
        if rank > known.0 {
            *known = (rank, name);
        }
    }

    /// The entries, one per object.
    pub fn into_entries(self) -> impl Iterator<Item = CatalogueEntry> {
        let entry = |((scope, id), (rank, name))| CatalogueEntry { scope, id, name, rank };
        self.0.into_iter().map(entry)
    }

    /// Rank and name of a product or a price.
    pub fn get(&self, scope: &Scope, id: &str) -> Option<(&NameRank, Option<&str>)> {
        let (rank, name) = self.0.get(&(scope.clone(), id.to_owned()))?;
        Some((rank, name.as_deref()))
    }

    /// True if there are no entries.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The event that gave a product or a price its name.
    pub fn naming_event(&self, scope: &Scope, id: &str) -> Option<&EventId> {
        let (rank, _) = self.0.get(&(scope.clone(), id.to_owned()))?;
        Some(&rank.event_id)
    }

    /// Writes the names into a row, as the view does. A product or price that is not in the catalogue keeps the
    /// name of its snapshot.
    pub fn apply_names(&self, row: &mut SubscriptionRow) {
        let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
        let find = |id: &Option<String>| self.0.get(&(scope.clone(), id.clone()?));
        let name = |product: &mut Option<String>,
                    price: &mut Option<String>,
                    ids: [&Option<String>; 2]| {
            if let Some((_, name)) = find(ids[0]) {
                product.clone_from(name);
            }
            if let Some((_, nickname)) = find(ids[1]) {
                price.clone_from(nickname);
            }
        };
        let SubscriptionRow { product_name, price_nickname, product_id, price_id, .. } = row;
        name(product_name, price_nickname, [product_id, price_id]);
        for item in &mut row.items.0 {
            let ItemRow { product_name, price_nickname, product_id, price_id, .. } = item;
            name(product_name, price_nickname, [product_id, price_id]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(event: &str, deleted: bool, created: i64, changed: bool) -> CatalogueEntry {
        CatalogueEntry {
            scope: Scope::default(),
            id: "prod_1".to_owned(),
            name: Some(event.to_owned()),
            rank: NameRank {
                deleted,
                created: StripeTime(created),
                changed,
                event_id: EventId::from(event),
            },
        }
    }

    #[test]
    fn the_last_word_names_it_in_every_order_of_arrival() {
        let entries = [
            entry("evt_z", false, 5, false),
            entry("evt_a", false, 5, true),
            entry("evt_b", false, 4, true),
        ];
        let deleted = entry("evt_0", true, 3, true);
        for (first, second, third) in [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)] {
            let mut catalogue = Catalogue::default();
            for at in [first, second, third, first] {
                catalogue.join(entries[at].clone());
            }
            let name = |catalogue: &Catalogue| {
                catalogue.clone().into_entries().next().and_then(|entry| entry.name)
            };
            assert_eq!(name(&catalogue).as_deref(), Some("evt_a"));
            catalogue.join(deleted.clone());
            catalogue.join(entries[first].clone());
            assert_eq!(name(&catalogue).as_deref(), Some("evt_0"));
        }
    }
}
