//! Rows of the read models by a fresh fold, compared with the stored ones.
//!
//! The table of subscriptions is compared as readers see it, with the names that are joined from other tables. All other
//! tables are compared here as they are stored.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::VerifyReport;
use crate::ids::CustomerKey;
use crate::projection::current_subscriptions::CURRENT_SUBSCRIPTIONS;
use crate::projection::read_model::{
    self, MadeRows, Projection, Projections, Row, RowsFrom, Table,
};
use crate::store::{StoreError, SubscriptionPages};

/// Rows that are compared at once.
const PAGE_ROWS: usize = 1_000;

/// Rows of every table, by their keys.
#[derive(Debug, Default)]
pub(super) struct ExpectedRows {
    tables: HashMap<&'static str, BTreeMap<Row, Row>>,
    /// Customers whose rows cannot be made, by read model, and the reasons.
    parked: Vec<(&'static str, CustomerKey, String)>,
}

impl ExpectedRows {
    /// Adds the rows of some customers.
    pub(super) fn add(&mut self, projections: &[&'static dyn Projection], all: Vec<MadeRows>) {
        for (projection, made) in projections.iter().zip(all) {
            let MadeRows { tables, parked, .. } = made;
            for (table, rows) in projection.definition().tables.iter().zip(tables) {
                if table.name != CURRENT_SUBSCRIPTIONS {
                    let rows = rows.into_iter().map(|row| (table.key_of(&row), row));
                    self.tables.entry(table.name).or_default().extend(rows);
                }
            }
            let parked = parked.into_iter().map(|(key, reason)| (projection.name(), key, reason));
            self.parked.extend(parked);
        }
    }

    /// Adds those of other customers.
    pub(super) fn extend(&mut self, Self { tables, parked }: Self) {
        for (table, rows) in tables {
            self.tables.entry(table).or_default().extend(rows);
        }
        self.parked.extend(parked);
    }

    /// Compares all rows with the stored ones, inside the transaction of the pages. Those of the customers that are `ahead`,
    /// and what is joined from them, are left out.
    pub(super) async fn compare(
        mut self,
        projections: Projections,
        ahead: &BTreeSet<CustomerKey>,
        pages: &mut SubscriptionPages,
        report: &mut VerifyReport,
    ) -> Result<(), StoreError> {
        for (read_model, customer, reason) in &self.parked {
            let id = &customer.customer;
            report.find(None, format!("{id}: {read_model} has no new rows of it: {reason}"));
        }
        for projection in projections {
            // Keys of joined rows that are left out.
            let mut left_out = BTreeSet::new();
            let tables = projection.definition().tables;
            for table in tables.iter().filter(|table| table.name != CURRENT_SUBSCRIPTIONS) {
                let expected = self.take(*projection, table);
                let is_joined = |it: &&Table| it.rows == RowsFrom::Joined(table.name);
                let joined = tables.iter().find(is_joined);
                let mut is_left_out = |row: &Row| {
                    if matches!(table.rows, RowsFrom::Joined(_)) {
                        return left_out.contains(&table.key_of(row));
                    }
                    let is_ahead = ahead.contains(&table.customer_of(row));
                    if let Some(joined) = joined.filter(|_| is_ahead) {
                        left_out.extend(joined.joined_key(table, row));
                    }
                    is_ahead
                };
                compare(table, expected, &mut is_left_out, pages, report).await?;
            }
        }
        Ok(())
    }

    /// Takes the rows of a table. Those of a joined table are joined here, and the others are kept for it.
    fn take(&mut self, projection: &dyn Projection, table: &Table) -> BTreeMap<Row, Row> {
        let tables = projection.definition().tables;
        let RowsFrom::Joined(from) = table.rows else {
            let is_joined = tables.iter().any(|it| it.rows == RowsFrom::Joined(table.name));
            let rows = self.tables.get_mut(table.name);
            return match rows {
                None => BTreeMap::new(),
                Some(rows) if is_joined => rows.clone(),
                Some(rows) => std::mem::take(rows),
            };
        };
        let Some(from) = tables.iter().find(|it| it.name == from) else { return BTreeMap::new() };
        let mut groups: BTreeMap<Row, Vec<Row>> = BTreeMap::new();
        for row in self.tables.remove(from.name).unwrap_or_default().into_values() {
            if let Some(key) = table.joined_key(from, &row) {
                groups.entry(key).or_default().push(row);
            }
        }
        let rows = groups.into_values().filter_map(|rows| {
            let row = read_model::join(projection, table, rows).ok().flatten()?;
            Some((table.key_of(&row), row))
        });
        rows.collect()
    }
}

/// Compares the rows of a table.
async fn compare(
    table: &Table,
    mut expected: BTreeMap<Row, Row>,
    is_left_out: &mut impl FnMut(&Row) -> bool,
    pages: &mut SubscriptionPages,
    report: &mut VerifyReport,
) -> Result<(), StoreError> {
    expected.retain(|_, row| !is_left_out(row));
    let mut after = None;
    loop {
        let page = pages.rows_after(table, after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = page.last() else { break };
        after = Some(table.key_of(last));
        for row in page {
            if is_left_out(&row) {
                continue;
            }
            match expected.remove(&table.key_of(&row)) {
                // Such rows are never removed.
                None if table.rows == RowsFrom::CustomersAdded => {}
                Some(expected) if expected == row => {}
                Some(expected) => {
                    let columns = differing_columns(table, &expected, &row);
                    let name = table.name_of(&expected);
                    let of = table.name;
                    report.find(
                        None,
                        format!("{name}: a fresh fold of the log differs in {of}: {columns}"),
                    );
                }
                None => {
                    let (name, of) = (table.name_of(&row), table.name);
                    report.find(None, format!("{name}: the log gives no such row of {of}"));
                }
            }
        }
    }
    for row in expected.values() {
        let (name, of) = (table.name_of(row), table.name);
        report.find(None, format!("{name}: its row of {of} is missing"));
    }
    Ok(())
}

fn differing_columns(table: &Table, a: &Row, b: &Row) -> String {
    let differ = table.columns.iter().zip(a.iter().zip(b)).filter(|(_, (a, b))| a != b);
    differ.map(|(column, _)| column.name).collect::<Vec<_>>().join(", ")
}
