//! How SQLite writes and reads the values of a row.

use sqlx::Row as _;
use sqlx::sqlite::{SqliteArguments, SqliteRow};

use super::bulk::add;
use crate::projection::column::{Column, Kind, Value};
use crate::store::StoreError;
use crate::time::StripeTime;

/// Binds a value: truth values as 0 and 1, instants and JSON as text.
pub(super) fn bind(arguments: &mut SqliteArguments, value: &Value) -> Result<(), StoreError> {
    match value {
        Value::Null => add(arguments, None::<i64>),
        Value::Bool(truth) => add(arguments, *truth),
        Value::Integer(number) => add(arguments, *number),
        Value::Text(text) | Value::Json(text) => add(arguments, text.as_str()),
        Value::Instant(at) => add(arguments, at.to_string()),
    }
}

/// Reads the columns of a row, which stand in their order from `first` on.
pub(super) fn read(
    row: &SqliteRow,
    first: usize,
    columns: &[Column],
) -> Result<Vec<Value>, StoreError> {
    columns
        .iter()
        .enumerate()
        .map(|(index, column)| read_one(row, first + index, column.kind))
        .collect()
}

fn read_one(row: &SqliteRow, index: usize, kind: Kind) -> Result<Value, StoreError> {
    let value = match kind {
        Kind::Bool => row.try_get::<Option<bool>, _>(index)?.map(Value::Bool),
        Kind::Integer => row.try_get::<Option<i64>, _>(index)?.map(Value::Integer),
        Kind::Text => row.try_get::<Option<String>, _>(index)?.map(Value::Text),
        Kind::Json => row.try_get::<Option<String>, _>(index)?.map(Value::Json),
        Kind::Instant => match row.try_get::<Option<&str>, _>(index)? {
            Some(text) => Some(Value::Instant(StripeTime::parse(text).ok_or_else(|| {
                StoreError::Corrupt("a row of the read model holds a time that is none".to_owned())
            })?)),
            None => None,
        },
    };
    Ok(value.unwrap_or(Value::Null))
}
