//! Reading of the values of a row.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::types::Json;

use crate::projection::column::{Column, ColumnType, Value};
use crate::store::db::Row;
use crate::store::error::StoreError;
use crate::time::StripeTime;

/// Reads the columns of a row, beginning at `first`.
pub(super) fn read(row: &Row, first: usize, columns: &[Column]) -> Result<Vec<Value>, StoreError> {
    columns
        .iter()
        .enumerate()
        .map(|(index, column)| read_one(row, first + index, column.column_type))
        .collect()
}

fn read_one(row: &Row, index: usize, kind: ColumnType) -> Result<Value, StoreError> {
    let value = match kind {
        ColumnType::Bool => row.get::<Option<bool>, _>(index)?.map(Value::Bool),
        ColumnType::Integer => row.get::<Option<i64>, _>(index)?.map(Value::Integer),
        ColumnType::Text => row.get::<Option<String>, _>(index)?.map(Value::Text),
        ColumnType::Json => json(row, index)?.map(Value::Json),
        ColumnType::Instant => instant(row, index)?.map(Value::Instant),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// Reads JSON, which is text in SQLite and a separate type in PostgreSQL.
fn json(row: &Row, index: usize) -> Result<Option<String>, StoreError> {
    Ok(match row {
        Row::Sqlite(row) => row.try_get(index)?,
        Row::Postgres(row) => row
            .try_get::<Option<Json<Box<RawValue>>>, _>(index)?
            .map(|Json(value)| value.get().to_owned()),
    })
}

/// Reads an instant, which is text in SQLite.
pub(super) fn instant(row: &Row, index: usize) -> Result<Option<StripeTime>, StoreError> {
    match row {
        Row::Postgres(row) => {
            let at = row.try_get::<Option<DateTime<Utc>>, _>(index)?;
            Ok(at.map(|at| StripeTime(at.timestamp())))
        }
        Row::Sqlite(row) => {
            let Some(text) = row.try_get::<Option<&str>, _>(index)? else { return Ok(None) };
            let at = StripeTime::parse(text).ok_or_else(|| {
                StoreError::Corrupt("a row of the read model has an invalid time".to_owned())
            })?;
            Ok(Some(at))
        }
    }
}
