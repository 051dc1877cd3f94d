//! Tables of a generation, and the statements that create them.

use super::generation_id::GenerationId;
use crate::ids::{CustomerKey, Scope};
use crate::projection::column::Column;
use crate::projection::row::SubscriptionRow;
use crate::store::db::{Dialect, Row, RowBinder, Session, Statement};
use crate::store::error::StoreError;

/// Statements that create the tables and indexes of a generation.
const TABLES: Statement = Statement::new(
    include_str!("../../../projections/current_subscriptions/sqlite.sql"),
    include_str!("../../../projections/current_subscriptions/postgres.sql"),
);
/// Names of the tables.
pub(super) const TABLE_NAMES: [&str; 9] = [
    "current_subscriptions",
    "customers",
    "timeline",
    "subscription_customers",
    "user_customers",
    "links",
    "catalogue",
    "item_properties",
    "parked",
];
/// Beginning of the indexes, which are created after the rows were written.
const INDEXES: &str = "\nCREATE INDEX";

/// Statements that create the tables of a generation, and those that create their indexes.
pub(super) fn tables_and_indexes(dialect: Dialect) -> (&'static str, &'static str) {
    let all = TABLES.text(dialect);
    all.split_at(all.find(INDEXES).unwrap_or(all.len()))
}

/// Names and types of the columns of a table of this program: the first two words of each line of its definition.
pub(super) fn columns_of(
    dialect: Dialect,
    table: &str,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let begin = format!("CREATE TABLE {table}_g{{g}} (");
    tables_and_indexes(dialect)
        .0
        .lines()
        .skip_while(move |line| *line != begin)
        .skip(1)
        .take_while(|line| !line.starts_with(')'))
        .filter_map(|line| {
            let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
            Some((words.next()?, words.next()?))
        })
        .filter(|(name, _)| *name != "PRIMARY")
}

/// Fills the number of a generation into a template.
pub(super) fn for_generation(template: &str, generation: GenerationId) -> String {
    template.replace("{g}", &generation.to_string())
}

/// Runs a bulk statement on the tables of a generation.
pub(super) async fn bulk<T>(
    session: &mut Session<'_>,
    statement: Statement,
    generation: GenerationId,
    items: &[T],
    bind: impl Fn(&mut RowBinder<'_, '_>, &T),
) -> Result<Vec<Row>, StoreError> {
    let template = for_generation(session.text(statement), generation);
    session.bulk_text(&template, statement.columns, items, bind).await
}

/// True if a column is not stored but joined from another table.
pub(super) fn is_joined(column: &Column) -> bool {
    SubscriptionRow::JOINED.contains(&column.name)
}

pub(super) fn bind_scope(to: &mut RowBinder<'_, '_>, scope: &Scope) {
    to.text(scope.account.as_str());
    to.bool(scope.livemode);
}

pub(super) fn bind_customer(to: &mut RowBinder<'_, '_>, key: &CustomerKey) {
    bind_scope(to, &key.scope);
    to.text(key.customer.as_str());
}
