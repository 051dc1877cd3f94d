//! Read model `current_subscriptions`: a row for each subscription, and the properties of items by which it is found.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use super::column::{Column, ColumnType, Value};
use super::read_model::{Customer, Definition, Projection, Row, RowsFrom, Rules, Table};
use super::row::{ItemRow, SubscriptionRow};

/// Projection of `current_subscriptions`.
#[derive(Clone, Copy, Debug)]
pub struct CurrentSubscriptions;

/// Name of the table of subscriptions.
pub(crate) const CURRENT_SUBSCRIPTIONS: &str = "current_subscriptions";
/// Name of the table of the items' properties.
pub(crate) const ITEM_PROPERTIES: &str = "item_properties";

/// Price, product and lookup key of every item, not only of the first. The row says whether a subscription still has
/// such an item, so that an outdated entry costs a lookup of the row and changes no answer.
static PROPERTY_COLUMNS: [Column; 6] = [
    Column::new("account", ColumnType::Text),
    Column::new("livemode", ColumnType::Bool),
    Column::new("customer_id", ColumnType::Text),
    Column::new("subscription_id", ColumnType::Text),
    Column::new("property", ColumnType::Text),
    Column::new("value", ColumnType::Text),
];

static TABLES: LazyLock<[Table; 2]> = LazyLock::new(|| {
    [
        Table {
            name: CURRENT_SUBSCRIPTIONS,
            columns: &STORED_COLUMNS,
            key: &["account", "livemode", "customer_id", "subscription_id"],
            rows: RowsFrom::Customers,
        },
        Table {
            name: ITEM_PROPERTIES,
            columns: &PROPERTY_COLUMNS,
            key: &["account", "livemode", "customer_id", "subscription_id", "property", "value"],
            rows: RowsFrom::CustomersAdded,
        },
    ]
});

/// Columns of a subscription that are stored, and not joined from other tables.
static STORED_COLUMNS: LazyLock<Vec<Column>> = LazyLock::new(|| {
    SubscriptionRow::COLUMNS.iter().filter(|column| is_stored(column)).copied().collect()
});

fn is_stored(column: &Column) -> bool {
    !SubscriptionRow::JOINED.contains(&column.name)
}

impl Projection for CurrentSubscriptions {
    fn name(&self) -> &'static str {
        "current_subscriptions"
    }

    fn version(&self) -> i64 {
        1
    }

    fn definition(&self) -> Definition {
        Definition {
            sqlite: include_str!("../../projections/current_subscriptions/sqlite.sql"),
            postgres: include_str!("../../projections/current_subscriptions/postgres.sql"),
            tables: &*TABLES,
        }
    }

    fn rules(&self) -> Rules {
        Rules::ALL
    }

    fn make(&self, customer: &Customer<'_>, to: &mut [Vec<Row>]) -> Result<(), String> {
        let [subscriptions, properties] = to else { return Err("two tables".to_owned()) };
        for row in customer.subscriptions() {
            subscriptions.push(stored_values(row));
            properties.extend(property_rows(row));
        }
        Ok(())
    }
}

/// Values of the stored columns.
fn stored_values(row: &SubscriptionRow) -> Row {
    let values = SubscriptionRow::COLUMNS.iter().zip(row.to_values());
    values.filter(|(column, _)| is_stored(column)).map(|(_, value)| value).collect()
}

/// Rows of the properties of a subscription's items, each once.
fn property_rows(row: &SubscriptionRow) -> impl Iterator<Item = Row> {
    let properties: BTreeSet<_> = row.items.0.iter().flat_map(properties_of).collect();
    properties.into_iter().map(|(name, value)| {
        vec![
            Value::Text(row.account.to_string()),
            Value::Bool(row.livemode),
            Value::Text(row.customer_id.to_string()),
            Value::Text(row.subscription_id.to_string()),
            Value::Text(name.to_owned()),
            Value::Text(value.to_owned()),
        ]
    })
}

/// Properties by which an item is found, and their values.
fn properties_of(item: &ItemRow) -> impl Iterator<Item = (&'static str, &str)> {
    let ItemRow { price_id, product_id, lookup_key, .. } = item;
    let all = [("price_id", price_id), ("product_id", product_id), ("lookup_key", lookup_key)];
    all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
}
