//! Rows of either database.

use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type};

use crate::store::error::StoreError;
use crate::tree::Hash;

/// Row of either database.
#[derive(Debug)]
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// Reads the value of a column, by its index or name.
    pub(in crate::store) fn get<'r, T, I>(&'r self, column: I) -> Result<T, StoreError>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
        I: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        Ok(match self {
            Self::Sqlite(row) => row.try_get(column)?,
            Self::Postgres(row) => row.try_get(column)?,
        })
    }

    /// Reads the bytes of a column of any type. None if it is NULL.
    pub(in crate::store) fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get_unchecked(column)?,
            Self::Postgres(row) => row.try_get_unchecked(column)?,
        })
    }

    /// Reads a hash.
    pub(in crate::store) fn hash(&self, column: usize) -> Result<Hash, StoreError> {
        to_hash(self.get(column)?)
    }

    /// Number of columns.
    pub(in crate::store) fn len(&self) -> usize {
        match self {
            Self::Sqlite(row) => row.len(),
            Self::Postgres(row) => row.len(),
        }
    }
}

/// Converts stored bytes to a hash.
pub(in crate::store) fn to_hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash has the wrong length".to_owned()))
}
