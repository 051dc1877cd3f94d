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
pub(in crate::store) enum Column {
    Bool,
    Integer,
    Text,
    Bytes,
    Instant,
    Json,
}

/// The values of one row on their way, in the order of the columns.
#[derive(Debug)]
pub(in crate::store) enum Cells<'a, 'q> {
    Sqlite(&'a mut Query<'q>),
    Postgres(&'a mut Arrays),
}

/// The columns of PostgreSQL's, and where the next value goes.
#[derive(Debug)]
pub(in crate::store) struct Arrays {
    columns: Vec<Array>,
    at: usize,
}

/// A value of a type that both databases have.
enum Cell<'v> {
    Bool(Option<bool>),
    Integer(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

/// A column of PostgreSQL's.
#[derive(Debug)]
enum Array {
    Bool(Vec<Option<bool>>),
    Integer(Vec<Option<i64>>),
    Text(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
}

impl From<ColumnType> for Column {
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

impl Cells<'_, '_> {
    pub(in crate::store) fn bool(&mut self, value: impl Into<Option<bool>>) {
        self.add(&Cell::Bool(value.into()));
    }

    pub(in crate::store) fn integer(&mut self, value: impl Into<Option<i64>>) {
        self.add(&Cell::Integer(value.into()));
    }

    pub(in crate::store) fn text<'v>(&mut self, value: impl Into<Option<&'v str>>) {
        self.add(&Cell::Text(value.into()));
    }

    pub(in crate::store) fn bytes<'v>(&mut self, value: impl Into<Option<&'v [u8]>>) {
        self.add(&Cell::Bytes(value.into()));
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

    fn add(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Sqlite(query), Cell::Bool(value)) => query.add(*value),
            (Self::Sqlite(query), Cell::Integer(value)) => query.add(*value),
            (Self::Sqlite(query), Cell::Text(value)) => query.add(*value),
            (Self::Sqlite(query), Cell::Bytes(value)) => query.add(*value),
            (Self::Postgres(arrays), cell) => arrays.add(cell),
        }
    }
}

impl Arrays {
    fn of(columns: &[Column]) -> Self {
        Self { columns: columns.iter().map(|it| it.array()).collect(), at: 0 }
    }

    fn add(&mut self, cell: &Cell<'_>) {
        match (self.next(), cell) {
            (Some(Array::Bool(array)), Cell::Bool(value)) => array.push(*value),
            (Some(Array::Integer(array)), Cell::Integer(value)) => array.push(*value),
            (Some(Array::Text(array)), Cell::Text(value)) => array.push(value.map(str::to_owned)),
            (Some(Array::Bytes(array)), Cell::Bytes(value)) => {
                array.push(value.map(<[u8]>::to_vec));
            }
            // Of another type, or one too many: the columns come to be of different lengths.
            _ => {}
        }
    }

    fn add_null(&mut self) {
        match self.next() {
            Some(Array::Bool(array)) => array.push(None),
            Some(Array::Integer(array)) => array.push(None),
            Some(Array::Text(array)) => array.push(None),
            Some(Array::Bytes(array)) => array.push(None),
            None => {}
        }
    }

    fn next(&mut self) -> Option<&mut Array> {
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
                Array::Bool(array) => query.add_postgres(array),
                Array::Integer(array) => query.add_postgres(array),
                Array::Text(array) => query.add_postgres(array),
                Array::Bytes(array) => query.add_postgres(array),
            }
        }
        Ok(())
    }
}

impl Array {
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
        columns: &[Column],
        items: &[T],
        bind: impl Fn(&mut Cells<'_, '_>, &T),
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
        columns: &[Column],
        items: &[T],
        bind: impl Fn(&mut Cells<'_, '_>, &T),
    ) -> Result<Query<'_>, StoreError> {
        let dialect = self.dialect();
        let sql = with_rows(template, dialect, columns, items.len().next_power_of_two());
        let mut query = self.query(sql);
        match dialect {
            Dialect::Sqlite => {
                for item in items {
                    bind(&mut Cells::Sqlite(&mut query), item);
                }
            }
            Dialect::Postgres => {
                let mut arrays = Arrays::of(columns);
                for item in items {
                    arrays.at = 0;
                    bind(&mut Cells::Postgres(&mut arrays), item);
                }
                arrays.bind(&mut query, items.len())?;
            }
        }
        Ok(query)
    }
}

impl Column {
    fn array(self) -> Array {
        match self {
            Self::Bool => Array::Bool(Vec::new()),
            Self::Integer | Self::Instant => Array::Integer(Vec::new()),
            Self::Text | Self::Json => Array::Text(Vec::new()),
            Self::Bytes => Array::Bytes(Vec::new()),
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
    columns: &[Column],
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
        let columns = [Column::Integer, Column::Text];
        let lengths = |bind: fn(&mut Cells<'_, '_>)| {
            let mut arrays = Arrays::of(&columns);
            bind(&mut Cells::Postgres(&mut arrays));
            arrays.columns.iter().map(Array::len).collect::<Vec<_>>()
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
