//! Properties of items, by which subscriptions are found: price, product and lookup key of every item.
//!
//! Entries are only added. The row says whether a subscription still has such an item, so an entry that
//! is left over costs a look at the row and changes no answer.

use std::collections::BTreeSet;

use super::GenerationId;
use super::filter::ItemFilter;
use super::generation::for_generation;
use crate::projection::column::Value;
use crate::projection::row::{ItemRow, SubscriptionRow};
use crate::store::StoreError;
use crate::store::db::{BindType, Session};

/// Writes the properties of items by which each of these rows is found.
pub(super) async fn write(
    session: &mut Session<'_>,
    generation: GenerationId,
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
    use BindType::{Bool, Text};
    let column = |name| SubscriptionRow::COLUMNS.iter().position(|it| it.name == name);
    let key = ["account", "livemode", "customer_id", "subscription_id"].map(column);
    let items = column("items");
    let mut entries = Vec::new();
    for row in rows {
        let value = |column: Option<usize>| column.and_then(|column| row.get(column));
        let Some(Value::Json(items)) = value(items) else { continue };
        let items: Vec<ItemRow> =
            serde_json::from_str(items).map_err(|error| StoreError::Internal(error.into()))?;
        let of_row: BTreeSet<_> = items.into_iter().flat_map(ItemFilter::properties_of).collect();
        entries.extend(of_row.into_iter().map(|property| (key.map(value), property)));
    }
    let template = for_generation(session.text(sql::ITEM_PROPERTY), generation);
    let columns = [Text, Bool, Text, Text, Text, Text];
    session
        .bulk(&template, &columns, &entries, |to, (key, (property, value))| {
            key.iter().flatten().for_each(|it| to.value(it));
            to.text(*property);
            to.text(value.as_str());
        })
        .await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        ITEM_PROPERTY = "INSERT INTO item_properties_g{g} (account, livemode, customer_id, subscription_id, property, value)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
    }
}
