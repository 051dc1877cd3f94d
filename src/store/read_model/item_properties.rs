//! Properties of items by which subscriptions are found: price, product and lookup key of every item.
//!
//! Entries are only added. The row decides whether a subscription still has such an item, so that an outdated entry
//! costs a lookup of the row and changes no answer.

use std::collections::BTreeSet;

use super::filter::ItemFilter;
use super::tables::{GenerationTables, bulk};
use crate::projection::column::Value;
use crate::projection::row::{ItemRow, SubscriptionRow};
use crate::store::db::Session;
use crate::store::error::StoreError;

/// Writes the properties of the items of these rows.
pub(super) async fn write(
    session: &mut Session<'_>,
    tables: GenerationTables,
    rows: &[Vec<Value>],
) -> Result<(), StoreError> {
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
    bulk(session, sql::ITEM_PROPERTY, tables, &entries, |to, (key, (property, value))| {
        key.iter().flatten().for_each(|it| to.value(it));
        to.text(*property);
        to.text(value.as_str());
    })
    .await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        ITEM_PROPERTY [Text, Bool, Text, Text, Text, Text] = "INSERT INTO item_properties_g{g} (account, livemode, customer_id, subscription_id, property, value)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL ON CONFLICT DO NOTHING";
    }
}
