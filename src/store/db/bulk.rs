//! Bulk statements, which bind many rows at once.
//!
//! `{rows}` in a template is a table of values in SQLite, in few sizes so that the statements stay prepared, and one
//! array for each column in PostgreSQL, where one statement takes any number of rows.

use super::row::Row;
use super::session::{Query, Session};
use super::statement::{BindType, Dialect, Statement, with_rows};
use crate::projection::column::Value;
use crate::store::error::StoreError;
use crate::time::StripeTime;

/// Maximum number of parameters in a statement of SQLite, whose own limit is 32,766.
const SQLITE_PARAMETERS_MAX: usize = 4_096;
/// Maximum number of rows in a statement of PostgreSQL.
const POSTGRES_ROWS_MAX: usize = 8_192;

/// Binds the values of one row, in the order of the columns.
#[derive(Debug)]
pub(in crate::store) enum RowBinder<'a, 'q> {
    Sqlite(&'a mut Query<'q>),
    Postgres(&'a mut ColumnArrays),
}

/// Arrays of PostgreSQL, one for each column.
#[derive(Debug)]
pub(in crate::store) struct ColumnArrays {
    columns: Vec<ColumnArray>,
    /// Index of the column of the next value.
    next: usize,
}

/// Value of a type that both databases have.
enum BindValue<'v> {
    Bool(Option<bool>),
    Integer(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

/// Array of the values of one column.
#[derive(Debug)]
enum ColumnArray {
    Bool(Vec<Option<bool>>),
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl RowBinder<'_, '_> {
    pub(in crate::store) fn bool(&mut self, value: impl Into<Option<bool>>) {
        self.add(&BindValue::Bool(value.into()));
    }

    pub(in crate::store) fn integer(&mut self, value: impl Into<Option<i64>>) {
        self.add(&BindValue::Integer(value.into()));
    }

    pub(in crate::store) fn text<'v>(&mut self, value: impl Into<Option<&'v str>>) {
        self.add(&BindValue::Text(value.into()));
    }

    pub(in crate::store) fn bytes<'v>(&mut self, value: impl Into<Option<&'v [u8]>>) {
        self.add(&BindValue::Bytes(value.into()));
    }

    /// Binds a value of a projection's row. An instant is text in SQLite; in PostgreSQL it is bound as seconds, which
    /// the statement converts.
    pub(in crate::store) fn value(&mut self, value: &Value) {
        match (value, &mut *self) {
            (Value::Text(text) | Value::Json(text), _) => self.text(text.as_str()),
            (Value::Integer(number), _) => self.integer(*number),
            (Value::Bool(truth), _) => self.bool(*truth),
            (Value::Instant(at), Self::Sqlite(query)) => query.add(at.to_string()),
            (Value::Instant(at), Self::Postgres(_)) => self.integer(at.0),
            (Value::Null, Self::Sqlite(query)) => query.add(None::<i64>),
            (Value::Null, Self::Postgres(arrays)) => arrays.add_null(),
        }
    }

    fn add(&mut self, value: &BindValue<'_>) {
        match (self, value) {
            (Self::Sqlite(query), BindValue::Bool(value)) => query.add(*value),
            (Self::Sqlite(query), BindValue::Integer(value)) => query.add(*value),
            (Self::Sqlite(query), BindValue::Text(value)) => query.add(*value),
            (Self::Sqlite(query), BindValue::Bytes(value)) => query.add(*value),
            (Self::Postgres(arrays), value) => arrays.add(value),
        }
    }
}

impl ColumnArrays {
    fn new(columns: &[BindType]) -> Self {
        Self { columns: columns.iter().copied().map(ColumnArray::new).collect(), next: 0 }
    }

    fn add(&mut self, value: &BindValue<'_>) {
        match (self.next_column(), value) {
            (Some(ColumnArray::Bool(array)), BindValue::Bool(value)) => array.push(*value),
            (Some(ColumnArray::Integer(array)), BindValue::Integer(value)) => array.push(*value),
            (Some(ColumnArray::Text(array)), BindValue::Text(value)) => {
                array.push(value.map(str::to_owned));
            }
            (Some(ColumnArray::Bytes(array)), BindValue::Bytes(value)) => {
                array.push(value.map(<[u8]>::to_vec));
            }
            // A value of another type, or one too many: the arrays get different lengths, which `bind` detects.
            _ => {}
        }
    }

    fn add_null(&mut self) {
        match self.next_column() {
            Some(ColumnArray::Bool(array)) => array.push(None),
            Some(ColumnArray::Integer(array)) => array.push(None),
            Some(ColumnArray::Text(array)) => array.push(None),
            Some(ColumnArray::Bytes(array)) => array.push(None),
            None => {}
        }
    }

    fn next_column(&mut self) -> Option<&mut ColumnArray> {
        self.next += 1;
        self.columns.get_mut(self.next - 1)
    }

    /// Binds the arrays, if each has a value for every row. PostgreSQL would extend a shorter one with NULLs and shift
    /// its values to other rows.
    fn bind(self, query: &mut Query<'_>, rows: usize) -> Result<(), StoreError> {
        if self.columns.iter().any(|array| array.len() != rows) {
            return Err(StoreError::Internal(
                "the values of a row do not match its columns".into(),
            ));
        }
        for array in self.columns {
            match array {
                ColumnArray::Bool(array) => query.add_postgres(array),
                ColumnArray::Integer(array) => query.add_postgres(array),
                ColumnArray::Text(array) => query.add_postgres(array),
                ColumnArray::Bytes(array) => query.add_postgres(array),
            }
        }
        Ok(())
    }
}

impl ColumnArray {
    fn new(column: BindType) -> Self {
        match column {
            BindType::Bool => Self::Bool(Vec::new()),
            BindType::Integer | BindType::Instant => Self::Integer(Vec::new()),
            BindType::Text | BindType::Json => Self::Text(Vec::new()),
            BindType::Bytes => Self::Bytes(Vec::new()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Bool(array) => array.len(),
            Self::Integer(array) => array.len(),
            Self::Text(array) => array.len(),
            Self::Bytes(array) => array.len(),
        }
    }
}

impl Session<'_> {
    /// Runs a statement with `{rows}` over all items, in as few statements as possible, and returns the rows of all of
    /// them. `bind` binds the values of one item; the first value must not be NULL.
    pub(in crate::store) async fn bulk<T>(
        &mut self,
        statement: Statement,
        items: &[T],
        bind: impl Fn(&mut RowBinder<'_, '_>, &T),
    ) -> Result<Vec<Row>, StoreError> {
        self.bulk_text(self.text(statement), statement.columns, items, bind).await
    }

    /// Like [`Self::bulk`], with a template in the dialect of this connection.
    pub(in crate::store) async fn bulk_text<T>(
        &mut self,
        template: &str,
        columns: &[BindType],
        items: &[T],
        bind: impl Fn(&mut RowBinder<'_, '_>, &T),
    ) -> Result<Vec<Row>, StoreError> {
        // The largest power of two that fits: statements have few sizes, and stay prepared.
        let rows_max = match self.dialect() {
            Dialect::Sqlite => 1 << (SQLITE_PARAMETERS_MAX / columns.len()).ilog2(),
            Dialect::Postgres => POSTGRES_ROWS_MAX,
        };
        let mut rows = Vec::new();
        for chunk in items.chunks(rows_max) {
            rows.extend(self.query_rows(template, columns, chunk, &bind)?.fetch_all().await?);
        }
        Ok(rows)
    }

    /// Creates a query with `{rows}`, to which the values of all items are bound.
    pub(in crate::store) fn query_rows<T>(
        &mut self,
        template: &str,
        columns: &[BindType],
        items: &[T],
        bind: impl Fn(&mut RowBinder<'_, '_>, &T),
    ) -> Result<Query<'_>, StoreError> {
        let dialect = self.dialect();
        let sql = with_rows(template, dialect, columns, items.len().next_power_of_two());
        let mut query = self.query(sql);
        match dialect {
            Dialect::Sqlite => {
                for item in items {
                    bind(&mut RowBinder::Sqlite(&mut query), item);
                }
            }
            Dialect::Postgres => {
                let mut arrays = ColumnArrays::new(columns);
                for item in items {
                    arrays.next = 0;
                    bind(&mut RowBinder::Postgres(&mut arrays), item);
                }
                arrays.bind(&mut query, items.len())?;
            }
        }
        Ok(query)
    }
}

/// Binds an instant for a comparison.
pub(in crate::store) fn bind_instant(mut query: Query<'_>, at: StripeTime) -> Query<'_> {
    match query.dialect() {
        Dialect::Sqlite => query.add(at.to_string()),
        Dialect::Postgres => query.add(at.0),
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_other_types_than_their_columns_are_no_row() {
        let columns = [BindType::Integer, BindType::Text];
        let lengths = |bind: fn(&mut RowBinder<'_, '_>)| {
            let mut arrays = ColumnArrays::new(&columns);
            bind(&mut RowBinder::Postgres(&mut arrays));
            arrays.columns.iter().map(ColumnArray::len).collect::<Vec<_>>()
        };
        assert_eq!(
            lengths(|to| {
                to.integer(7);
                to.value(&Value::Null);
            }),
            [1, 1]
        );
        assert_eq!(
            lengths(|to| {
                to.text("7");
                to.text("x");
            }),
            [0, 1]
        );
    }
}
