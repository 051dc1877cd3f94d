//! Rows of read models: writing, joining and reading, for every table by its definition.

use std::collections::{BTreeMap, BTreeSet};

use super::subscriptions::limit_of;
use super::tables::GenerationTables;
use super::{parked_customers, row_values};
use crate::ids::CustomerKey;
use crate::projection::column::{Column, Value};
use crate::projection::read_model::{self, MadeRows, Projection, Row, RowsFrom, Table};
use crate::store::db::{BindType, Dialect, RowBinder, Session};
use crate::store::error::StoreError;

/// Columns that begin the key of a table of customers.
const CUSTOMER: [&str; 3] = ["account", "livemode", "customer_id"];

/// State of the tables that rows are written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tables {
    /// They have no row of these customers, and what is joined is made at the end.
    Fresh,
    /// They may have rows of these customers.
    Filled,
}

/// Writes the rows that a read model made of some customers, joins again what is joined from them, and parks those whose
/// rows cannot be made or joined.
pub(super) async fn write(
    session: &mut Session<'_>,
    generation: GenerationTables,
    projection: &dyn Projection,
    made: &MadeRows,
    state: Tables,
) -> Result<(), StoreError> {
    let name = projection.name();
    let id = generation.maker_of(name);
    let were_parked = match state {
        Tables::Filled => parked_customers::among(session, id, name, &made.customers).await?,
        Tables::Fresh => BTreeSet::new(),
    };
    parked_customers::unpark(session, id, name, &were_parked).await?;
    let mut parked = made.parked.clone();
    let mut changed: BTreeMap<&str, Vec<Row>> = BTreeMap::new();
    let tables = projection.definition().tables;
    for (table, rows) in tables.iter().zip(&made.tables) {
        require_columns(table, rows)?;
        match table.rows {
            RowsFrom::CustomersReplaced if state == Tables::Filled => {
                let customers: Vec<Row> = made.customers.iter().map(customer_values).collect();
                let mut of_table = replace(session, generation, table, &customers, rows).await?;
                // Their rows may be unchanged, and not joined.
                let again = |row: &&Row| were_parked.contains(&table.customer_of(row));
                of_table.extend(rows.iter().filter(again).cloned());
                changed.insert(table.name, of_table);
            }
            RowsFrom::Joined(from) if state == Tables::Filled => {
                let Some(from) = tables.iter().find(|it| it.name == from) else { continue };
                let rows = changed.get(from.name).map_or(&[][..], Vec::as_slice);
                let keys = rows.iter().filter_map(|row| table.joined_key(from, row));
                let keys: Vec<Row> = keys.collect::<BTreeSet<_>>().into_iter().collect();
                parked.extend(
                    join_again(session, generation, projection, (table, from), &keys).await?,
                );
            }
            _ => upsert(session, generation, table, rows).await?,
        }
    }
    parked_customers::park(session, id, name, &parked).await
}

fn customer_values(key: &CustomerKey) -> Row {
    vec![
        Value::Text(key.scope.account.to_string()),
        Value::Bool(key.scope.livemode),
        Value::Text(key.customer.to_string()),
    ]
}

/// Replaces all rows of these customers. Returns the rows that are new, changed or gone: most events change none.
async fn replace(
    session: &mut Session<'_>,
    generation: GenerationTables,
    table: &Table,
    customers: &[Row],
    rows: &[Row],
) -> Result<Vec<Row>, StoreError> {
    let known = select(session, generation, table, &CUSTOMER, customers).await?;
    let mut gone: BTreeMap<Row, Row> =
        known.into_iter().map(|row| (table.key_of(&row), row)).collect();
    let mut changed = Vec::new();
    for row in rows {
        if gone.remove(&table.key_of(row)).as_ref() != Some(row) {
            changed.push(row.clone());
        }
    }
    let keys: Vec<Row> = gone.keys().cloned().collect();
    delete(session, generation, table, &keys).await?;
    upsert(session, generation, table, &changed).await?;
    changed.extend(gone.into_values());
    Ok(changed)
}

/// Joins the rows with these keys again. Returns the customers whose rows cannot be joined: what was joined before stays.
async fn join_again(
    session: &mut Session<'_>,
    generation: GenerationTables,
    projection: &dyn Projection,
    (table, from): (&Table, &Table),
    keys: &[Row],
) -> Result<Vec<(CustomerKey, String)>, StoreError> {
    let mut groups: BTreeMap<&Row, Vec<Row>> = keys.iter().map(|key| (key, Vec::new())).collect();
    for row in select(session, generation, from, table.key, keys).await? {
        if let Some(group) = groups.get_mut(&from.values(&row, table.key)) {
            group.push(row);
        }
    }
    let (mut joined, mut none, mut failed) = (Vec::new(), Vec::new(), Vec::new());
    for (key, rows) in groups {
        if rows.is_empty() {
            none.push(key.clone());
            continue;
        }
        match join(projection, (table, from), rows) {
            Ok(Some(row)) => joined.push(row),
            Ok(None) => none.push(key.clone()),
            Err(customers) => failed.extend(customers),
        }
    }
    delete(session, generation, table, &none).await?;
    upsert(session, generation, table, &joined).await?;
    Ok(failed)
}

/// Joins a group of rows, or returns their customers with the reason why they cannot be joined.
pub(super) fn join(
    projection: &dyn Projection,
    (table, from): (&Table, &Table),
    rows: Vec<Row>,
) -> Result<Option<Row>, Vec<(CustomerKey, String)>> {
    let customers: Vec<CustomerKey> = rows.iter().map(|row| from.customer_of(row)).collect();
    read_model::join(projection, table, rows)
        .map_err(|reason| customers.into_iter().map(|it| (it, reason.clone())).collect())
}

/// Reads the rows whose values of some columns are these.
pub(super) async fn select(
    session: &mut Session<'_>,
    generation: GenerationTables,
    table: &Table,
    by: &[&str],
    values: &[Row],
) -> Result<Vec<Row>, StoreError> {
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let template = select_template(session.dialect(), table, by);
    let (template, types) = (generation.fill(&template), types_of(table, by));
    let found = session.bulk_text(&template, &types, values, bind).await?;
    found.iter().map(|row| row_values::read(row, 0, table.columns)).collect()
}

/// Reads at most `limit` rows after a key, in the order of the key.
pub(super) async fn page(
    session: &mut Session<'_>,
    generation: GenerationTables,
    table: &Table,
    order: &[&str],
    after: Option<&Row>,
    limit: usize,
) -> Result<Vec<Row>, StoreError> {
    let template = page_template(table, order, after.is_some());
    let mut query = session.query(generation.fill(&template));
    for value in after.into_iter().flatten() {
        match value {
            Value::Bool(value) => query = query.bind(*value),
            Value::Integer(value) => query = query.bind(*value),
            Value::Text(value) | Value::Json(value) => query = query.bind(value.clone()),
            Value::Instant(_) | Value::Null => {
                return Err(StoreError::Internal("a key has a time or nothing".into()));
            }
        }
    }
    let rows = query.bind(limit_of(limit)).fetch_all().await?;
    rows.iter().map(|row| row_values::read(row, 0, table.columns)).collect()
}

/// Writes rows. A row with the same key is replaced.
pub(super) async fn upsert(
    session: &mut Session<'_>,
    generation: GenerationTables,
    table: &Table,
    rows: &[Row],
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let template = generation.fill(&upsert_template(table));
    let types = types(table.columns);
    session.bulk_text(&template, &types, rows, bind).await?;
    Ok(())
}

async fn delete(
    session: &mut Session<'_>,
    generation: GenerationTables,
    table: &Table,
    keys: &[Row],
) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let template = generation.fill(&delete_template(table));
    session.bulk_text(&template, &types_of(table, table.key), keys, bind).await?;
    Ok(())
}

fn bind(to: &mut RowBinder<'_, '_>, row: &Row) {
    for value in row {
        to.value(value);
    }
}

fn require_columns(table: &Table, rows: &[Row]) -> Result<(), StoreError> {
    let Some(row) = rows.iter().find(|row| row.len() != table.columns.len()) else {
        return Ok(());
    };
    let (name, columns) = (table.name, table.columns.len());
    let message = format!("a row of {name} has {} values for {columns} columns", row.len());
    Err(StoreError::Internal(message.into()))
}

fn types(columns: &[Column]) -> Vec<BindType> {
    columns.iter().map(|column| column.column_type.into()).collect()
}

/// Types of some columns.
pub(in crate::store) fn types_of(table: &Table, names: &[&str]) -> Vec<BindType> {
    let columns = names.iter().filter_map(|name| table.column(name));
    columns.map(|at| table.columns[at].column_type.into()).collect()
}

fn names(table: &Table) -> String {
    let names: Vec<_> = table.columns.iter().map(|column| column.name).collect();
    names.join(", ")
}

/// Statement that writes rows: an update instead of a replacement, which would rewrite every index.
pub(in crate::store) fn upsert_template(table: &Table) -> String {
    let assignments: Vec<_> = table
        .columns
        .iter()
        .filter(|column| !table.key.contains(&column.name))
        .map(|column| format!("{name} = excluded.{name}", name = column.name))
        .collect();
    let action = match &assignments[..] {
        [] => "NOTHING".to_owned(),
        assignments => format!("UPDATE SET {}", assignments.join(", ")),
    };
    sql::UPSERT
        .replace("{table}", table.name)
        .replace("{columns}", &names(table))
        .replace("{key}", &table.key.join(", "))
        .replace("{action}", &action)
}

/// Statement that finds rows by an index: CROSS JOIN enforces that in SQLite, OFFSET in PostgreSQL.
pub(in crate::store) fn select_template(dialect: Dialect, table: &Table, by: &[&str]) -> String {
    let conditions = by.iter().enumerate().map(|(at, name)| match dialect {
        Dialect::Sqlite => format!("t.{name} = k.column{}", at + 1),
        Dialect::Postgres => format!("{name} = k.column{}", at + 1),
    });
    let columns = match dialect {
        Dialect::Sqlite => table.columns.iter().map(|it| format!("t.{}", it.name)).collect(),
        Dialect::Postgres => vec![names(table)],
    };
    sql::SELECT
        .text(dialect)
        .replace("{table}", table.name)
        .replace("{columns}", &columns.join(", "))
        .replace("{conditions}", &conditions.collect::<Vec<_>>().join(" AND "))
}

/// Statement that deletes rows by their keys.
pub(in crate::store) fn delete_template(table: &Table) -> String {
    let columns: Vec<_> = (1..=table.key.len()).map(|at| format!("column{at}")).collect();
    sql::DELETE
        .replace("{table}", table.name)
        .replace("{key}", &table.key.join(", "))
        .replace("{columns}", &columns.join(", "))
}

/// Statement that reads a page of a table.
pub(in crate::store) fn page_template(table: &Table, order: &[&str], is_after: bool) -> String {
    let parameters: Vec<_> = (1..=order.len()).map(|at| format!("${at}")).collect();
    let order = order.join(", ");
    let after = format!(" WHERE ({order}) > ({})", parameters.join(", "));
    let limit = if is_after { parameters.len() + 1 } else { 1 };
    sql::PAGE
        .replace("{table}", table.name)
        .replace("{columns}", &names(table))
        .replace("{after}", if is_after { &after } else { "" })
        .replace("{order}", &order)
        .replace("{limit}", &limit.to_string())
}

/// Templates, filled for each table.
mod sql {
    use crate::store::db::Statement;

    pub(super) const UPSERT: &str = "INSERT INTO {table}_g{g} ({columns})
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT ({key}) DO {action}";
    pub(super) const SELECT: Statement = Statement::new(
        "SELECT {columns} FROM ({rows}) AS k CROSS JOIN {table}_g{g} AS t ON {conditions}",
        "SELECT t.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT {columns} FROM {table}_g{g}
                WHERE {conditions} OFFSET 0) AS t",
    );
    pub(super) const DELETE: &str =
        "DELETE FROM {table}_g{g} WHERE ({key}) IN (SELECT {columns} FROM ({rows}) AS k)";
    pub(super) const PAGE: &str = "SELECT {columns} FROM {table}_g{g}{after}
            ORDER BY {order} LIMIT CAST(${limit} AS bigint)";
}
