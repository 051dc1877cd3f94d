//! Many rows in few statements.
//!
//! A template with `{rows}` takes them as a table of values in SQLite, where statements of few sizes stay
//! prepared, and as one array a column in PostgreSQL, where one statement does for any number.

use super::{Dialect, Query, Row, Session};
use crate::projection::column::{ColumnType, Value};
use crate::store::StoreError;
use crate::time::StripeTime;

/// Parameters in one statement of SQLite's, at most; its limit is 32,766.
const PARAMETERS: usize = 4_096;
/// Rows in one statement of PostgreSQL's, at most.
const ROWS: usize = 8_192;

/// The type of a column of rows that are bound at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum BindType {
    Bool,
    Integer,
    Text,
    Bytes,
    Instant,
    Json,
}

/// The values of one row on their way, in the order of the columns.
#[derive(Debug)]
pub(in crate::store) enum RowBinder<'a, 'q> {
    Sqlite(&'a mut Query<'q>),
    Postgres(&'a mut ColumnArrays),
}

/// The columns of PostgreSQL's, and where the next value goes.
#[derive(Debug)]
pub(in crate::store) struct ColumnArrays {
    columns: Vec<ColumnArray>,
    at: usize,
}

/// A value of a type that both databases have.
enum BindValue<'v> {
    Bool(Option<bool>),
    Integer(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

/// A column of PostgreSQL's.
#[derive(Debug)]
enum ColumnArray {
    Bool(Vec<Option<bool>>),
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl From<ColumnType> for BindType {
    fn from(kind: ColumnType) -> Self {
        match kind {
            ColumnType::Bool => Self::Bool,
            ColumnType::Integer => Self::Integer,
            ColumnType::Text => Self::Text,
            ColumnType::Instant => Self::Instant,
            ColumnType::Json => Self::Json,
        }
    }
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

    /// A value of a projection's row: in SQLite instants are text, in PostgreSQL seconds that the
    /// statement makes an instant of.
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

    fn add(&mut self, cell: &BindValue<'_>) {
        match (self, cell) {
            (Self::Sqlite(query), BindValue::Bool(value)) => query.add(*value),
            (Self::Sqlite(query), BindValue::Integer(value)) => query.add(*value),
            (Self::Sqlite(query), BindValue::Text(value)) => query.add(*value),
            (Self::Sqlite(query), BindValue::Bytes(value)) => query.add(*value),
            (Self::Postgres(arrays), cell) => arrays.add(cell),
        }
    }
}

impl ColumnArrays {
    fn new(columns: &[BindType]) -> Self {
        Self { columns: columns.iter().map(|it| it.array()).collect(), at: 0 }
    }

    fn add(&mut self, cell: &BindValue<'_>) {
        match (self.next(), cell) {
            (Some(ColumnArray::Bool(array)), BindValue::Bool(value)) => array.push(*value),
            (Some(ColumnArray::Integer(array)), BindValue::Integer(value)) => array.push(*value),
            (Some(ColumnArray::Text(array)), BindValue::Text(value)) => {
                array.push(value.map(str::to_owned))
            }
            (Some(ColumnArray::Bytes(array)), BindValue::Bytes(value)) => {
                array.push(value.map(<[u8]>::to_vec));
            }
            // Of another type, or one too many: the columns come to be of different lengths.
            _ => {}
        }
    }

    fn add_null(&mut self) {
        match self.next() {
            Some(ColumnArray::Bool(array)) => array.push(None),
            Some(ColumnArray::Integer(array)) => array.push(None),
            Some(ColumnArray::Text(array)) => array.push(None),
            Some(ColumnArray::Bytes(array)) => array.push(None),
            None => {}
        }
    }

    fn next(&mut self) -> Option<&mut ColumnArray> {
        self.at += 1;
        self.columns.get_mut(self.at - 1)
    }

    /// Binds them, if each has a value of every row. A shorter one would be filled up with NULLs, and what
    /// stands in it would be another row's.
    fn bind(self, query: &mut Query<'_>, rows: usize) -> Result<(), StoreError> {
        if self.columns.iter().any(|array| array.len() != rows) {
            return Err(StoreError::Internal("a row has other cells than its columns".into()));
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
    /// Runs a template with `{rows}` over many items, as many at a time as one statement holds. `bind`
    /// gives the cells of one item, the first of them never NULL.
    pub(in crate::store) async fn bulk<T>(
        &mut self,
        template: &str,
        columns: &[BindType],
        items: &[T],
        bind: impl Fn(&mut RowBinder<'_, '_>, &T),
    ) -> Result<Vec<Row>, StoreError> {
        // The greatest power of two that fits: statements come in few sizes, and stay prepared.
        let most = match self.dialect() {
            Dialect::Sqlite => 1 << (PARAMETERS / columns.len()).ilog2(),
            Dialect::Postgres => ROWS,
        };
        let mut found = Vec::new();
        for chunk in items.chunks(most) {
            let query = self.query_rows(template, columns, chunk, &bind)?;
            found.extend(query.fetch_all().await?);
        }
        Ok(found)
    }

    /// A statement with `{rows}`, to which these items are bound; the cells of one item as in [`Self::bulk`].
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
                    arrays.at = 0;
                    bind(&mut RowBinder::Postgres(&mut arrays), item);
                }
                arrays.bind(&mut query, items.len())?;
            }
        }
        Ok(query)
    }
}

impl BindType {
    fn array(self) -> ColumnArray {
        match self {
            Self::Bool => ColumnArray::Bool(Vec::new()),
            Self::Integer | Self::Instant => ColumnArray::Integer(Vec::new()),
            Self::Text | Self::Json => ColumnArray::Text(Vec::new()),
            Self::Bytes => ColumnArray::Bytes(Vec::new()),
        }
    }

    /// The type of PostgreSQL's array, and how a column's value is made of an element.
    const fn in_postgres(self) -> (&'static str, &'static str) {
        match self {
            Self::Bool => ("boolean", "{it}"),
            Self::Integer => ("bigint", "{it}"),
            Self::Text => ("text", "{it}"),
            Self::Bytes => ("bytea", "{it}"),
            Self::Instant => ("bigint", "to_timestamp({it})"),
            Self::Json => ("text", "{it}::jsonb"),
        }
    }
}

/// The template with room for so many rows of these columns, which are called `column1` and so on.
/// Parameters that are not bound are NULL in SQLite; the template must take a row without its first
/// column for none.
pub(in crate::store) fn with_rows(
    template: &str,
    dialect: Dialect,
    columns: &[BindType],
    rows: usize,
) -> String {
    let rows = match dialect {
        Dialect::Sqlite => {
            let row = format!("({})", vec!["?"; columns.len()].join(", "));
            format!("VALUES {}", vec![row; rows].join(", "))
        }
        Dialect::Postgres => {
            let (mut values, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
            for (number, column) in (1..).zip(columns) {
                let (sql_type, value) = column.in_postgres();
                let value = value.replace("{it}", &format!("c{number}"));
                values.push(format!("{value} AS column{number}"));
                arrays.push(format!("${number}::{sql_type}[]"));
                names.push(format!("c{number}"));
            }
            let (values, arrays) = (values.join(", "), arrays.join(", "));
            format!("SELECT {values} FROM unnest({arrays}) AS bound ({})", names.join(", "))
        }
    };
    template.replace("{rows}", &rows)
}

/// An instant as it is compared in a statement.
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
