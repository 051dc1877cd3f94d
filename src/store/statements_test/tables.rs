//! Statements of the tables of read models, filled by their descriptions.

use super::TABLES;
use crate::projection::read_model::{PROJECTIONS, RowsFrom};
use crate::store::db::{BindType, Dialect, with_rows};
use crate::store::read_model::rows;

/// Statements that every table of a read model has.
pub(super) fn statements_of_tables(dialect: Dialect) -> Vec<(String, String)> {
    let mut statements = Vec::new();
    for projection in PROJECTIONS {
        let tables = projection.definition().tables;
        for table in tables {
            let mut add = |verb: &str, template: String, columns: &[BindType]| {
                let rows = with_rows(&template, dialect, columns, 2);
                statements.push((format!("{verb} {}", table.name), TABLES.fill(&rows)));
            };
            let columns: Vec<_> = table.columns.iter().map(|it| it.column_type.into()).collect();
            add("write", rows::upsert_template(table), &columns);
            let key = rows::types_of(table, table.key);
            add("page of", rows::page_template(table, table.key, true), &[]);
            let customer = &table.key[..3];
            match table.rows {
                RowsFrom::Customers | RowsFrom::CustomersAdded => {}
                RowsFrom::CustomersReplaced => {
                    let types = rows::types_of(table, customer);
                    add("of customers", rows::select_template(dialect, table, customer), &types);
                    add("delete", rows::delete_template(table), &key);
                }
                RowsFrom::Joined(from) => {
                    add("delete", rows::delete_template(table), &key);
                    let from = tables.iter().find(|it| it.name == from).unwrap();
                    let types = rows::types_of(from, table.key);
                    let select = rows::select_template(dialect, from, table.key);
                    add("joined into", select, &types);
                    let rest = from.key.iter().filter(|name| !table.key.contains(name));
                    let order: Vec<_> = table.key.iter().chain(rest).copied().collect();
                    add("groups of", rows::page_template(from, &order, true), &[]);
                }
            }
        }
    }
    statements
}
