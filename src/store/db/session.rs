//! Database session: prepares and runs statements on SQLite or PostgreSQL.

use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{
    Arguments as _, ColumnIndex, Decode, Encode, Postgres, Row as _, SqlSafeStr as _, SqlStr,
    Sqlite, Type,
};

use super::postgres_connection::PostgresConnection;
use super::{Dialect, IntoSql, Statement, sql};
use crate::store::StoreError;

/// A connection to one of the databases, for as long as somebody asks.
#[derive(Debug)]
pub(in crate::store) enum Session<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PostgresConnection),
}

/// A statement and what is bound to it.
#[derive(Debug)]
#[must_use = "a query does nothing until it is run"]
pub(in crate::store) struct Query<'c> {
    sql: SqlStr,
    prepared: Prepared<'c>,
    /// The first value that could not be bound.
    failed: Option<StoreError>,
}

#[derive(Debug)]
enum Prepared<'c> {
    Sqlite(&'c mut SqliteConnection, SqliteArguments),
    Postgres(&'c mut PostgresConnection, PgArguments),
}

/// A row of either database.
#[derive(Debug)]
pub(in crate::store) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// What both databases can be given.
pub(in crate::store) trait Bind<'v>:
    Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres>
{
}

impl<'v, T> Bind<'v> for T where
    T: Encode<'v, Sqlite> + Type<Sqlite> + Encode<'v, Postgres> + Type<Postgres>
{
}

impl<'c> Session<'c> {
    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// The same connection, lent on.
    pub(in crate::store) fn reborrow(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => Session::Sqlite(connection),
            Self::Postgres(connection) => Session::Postgres(connection),
        }
    }

    /// A statement's text, to be filled in.
    pub(in crate::store) fn text(&self, statement: Statement) -> &'static str {
        statement.text(self.dialect())
    }

    /// A statement that is prepared once for each connection.
    pub(in crate::store) fn query(&mut self, text: impl IntoSql) -> Query<'_> {
        self.reborrow().into_query(text)
    }

    /// Like [`Self::query`], for as long as the connection is lent.
    pub(in crate::store) fn into_query(self, text: impl IntoSql) -> Query<'c> {
        let sql = text.into_sql(self.dialect());
        let prepared = match self {
            Self::Sqlite(connection) => Prepared::Sqlite(connection, SqliteArguments::default()),
            Self::Postgres(connection) => Prepared::Postgres(connection, PgArguments::default()),
        };
        Query { sql, prepared, failed: None }
    }

    /// Runs statements without parameters, as many as the text has.
    pub(in crate::store) async fn run(&mut self, text: impl IntoSql) -> Result<(), StoreError> {
        let sql = text.into_sql(self.dialect());
        match self {
            Self::Sqlite(connection) => {
                sqlx::raw_sql(sql).execute(&mut **connection).await?;
            }
            Self::Postgres(connection) => connection.run(sql).await?,
        }
        Ok(())
    }

    /// Lets the statements of this transaction take as long as they take. Those of SQLite always may.
    pub(in crate::store) async fn disable_timeouts(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(connection) => {
                connection.disable_timeouts(sql::NO_STATEMENT_TIMEOUT.postgres.into_sql_str()).await
            }
        }
    }
}

impl<'c> Query<'c> {
    /// Binds the next parameter.
    pub(in crate::store) fn bind<'v>(mut self, value: impl Bind<'v>) -> Self {
        self.add(value);
        self
    }

    /// Binds the next parameter.
    pub(in crate::store) fn add<'v>(&mut self, value: impl Bind<'v>) {
        let added = match &mut self.prepared {
            Prepared::Sqlite(_, arguments) => arguments.add(value),
            Prepared::Postgres(_, arguments) => arguments.add(value),
        };
        if let Err(error) = added {
            self.failed.get_or_insert(StoreError::Internal(error));
        }
    }

    /// Binds what only PostgreSQL has: arrays.
    pub(super) fn add_postgres<'v, T>(&mut self, value: T)
    where
        T: Encode<'v, Postgres> + Type<Postgres>,
    {
        if let Prepared::Postgres(_, arguments) = &mut self.prepared
            && let Err(error) = arguments.add(value)
        {
            self.failed.get_or_insert(StoreError::Internal(error));
        }
    }

    pub(in crate::store) fn dialect(&self) -> Dialect {
        match self.prepared {
            Prepared::Sqlite(..) => Dialect::Sqlite,
            Prepared::Postgres(..) => Dialect::Postgres,
        }
    }

    /// The rows one by one, as they come.
    pub(in crate::store) fn fetch(self) -> BoxStream<'c, Result<Row, StoreError>> {
        let Self { sql, prepared, failed } = self;
        if let Some(error) = failed {
            return futures_util::stream::once(async { Err(error) }).boxed();
        }
        match prepared {
            Prepared::Sqlite(connection, arguments) => {
                let rows = sqlx::query_with(sql, arguments).fetch(connection);
                rows.map_ok(Row::Sqlite).map_err(StoreError::from).boxed()
            }
            Prepared::Postgres(connection, arguments) => connection.fetch(sql, arguments),
        }
    }

    pub(in crate::store) async fn fetch_all(self) -> Result<Vec<Row>, StoreError> {
        self.fetch().try_collect().await
    }

    pub(in crate::store) async fn fetch_optional(self) -> Result<Option<Row>, StoreError> {
        // To the end, so that the statement is done.
        Ok(self.fetch_all().await?.into_iter().next())
    }

    pub(in crate::store) async fn fetch_one(self) -> Result<Row, StoreError> {
        self.fetch_optional().await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Runs it, and says how many rows it touched.
    pub(in crate::store) async fn execute(self) -> Result<u64, StoreError> {
        let Self { sql, prepared, failed } = self;
        if let Some(error) = failed {
            return Err(error);
        }
        Ok(match prepared {
            Prepared::Sqlite(connection, arguments) => {
                sqlx::query_with(sql, arguments).execute(connection).await?.rows_affected()
            }
            Prepared::Postgres(connection, arguments) => connection.execute(sql, arguments).await?,
        })
    }
}

impl Row {
    /// The value of a column, by its number or name.
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

    /// The bytes of a column, whatever its type; none where it is NULL.
    pub(in crate::store) fn bytes(&self, column: usize) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(match self {
            Self::Sqlite(row) => row.try_get_unchecked(column)?,
            Self::Postgres(row) => row.try_get_unchecked(column)?,
        })
    }

    /// How many columns it has.
    pub(in crate::store) fn len(&self) -> usize {
        match self {
            Self::Sqlite(row) => row.len(),
            Self::Postgres(row) => row.len(),
        }
    }
}
