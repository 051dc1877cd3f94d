//! Database session: prepares and runs statements on SQLite or PostgreSQL.

use futures_util::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::PgArguments;
use sqlx::sqlite::{SqliteArguments, SqliteConnection};
use sqlx::{Arguments as _, Encode, Postgres, SqlSafeStr as _, SqlStr, Sqlite, Type};

use super::postgres_connection::PostgresConnection;
use super::row::Row;
use super::sql;
use super::statement::{Dialect, IntoSql, Statement};
use crate::store::error::StoreError;

/// Borrowed connection to one of the databases.
#[derive(Debug)]
pub(in crate::store) enum Session<'c> {
    Sqlite(&'c mut SqliteConnection),
    Postgres(&'c mut PostgresConnection),
}

/// Statement with its bound values.
#[derive(Debug)]
#[must_use = "a query does nothing until it is run"]
pub(in crate::store) struct Query<'c> {
    sql: SqlStr,
    prepared: Prepared<'c>,
    /// Error of the first value that could not be bound.
    failed: Option<StoreError>,
}

#[derive(Debug)]
enum Prepared<'c> {
    Sqlite(&'c mut SqliteConnection, SqliteArguments),
    Postgres(&'c mut PostgresConnection, PgArguments),
}

/// Value that can be bound in both databases.
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

    /// Borrows the same connection for a shorter time.
    pub(in crate::store) fn reborrow(&mut self) -> Session<'_> {
        match self {
            Self::Sqlite(connection) => Session::Sqlite(connection),
            Self::Postgres(connection) => Session::Postgres(connection),
        }
    }

    /// Text of a statement in the dialect of this connection.
    pub(in crate::store) fn text(&self, statement: Statement) -> &'static str {
        statement.text(self.dialect())
    }

    /// Creates a query. Its statement is prepared once for each connection.
    pub(in crate::store) fn query(&mut self, text: impl IntoSql) -> Query<'_> {
        self.reborrow().into_query(text)
    }

    /// Creates a query that lives as long as the borrowed connection.
    pub(in crate::store) fn into_query(self, text: impl IntoSql) -> Query<'c> {
        let sql = text.into_sql(self.dialect());
        let prepared = match self {
            Self::Sqlite(connection) => Prepared::Sqlite(connection, SqliteArguments::default()),
            Self::Postgres(connection) => Prepared::Postgres(connection, PgArguments::default()),
        };
        Query { sql, prepared, failed: None }
    }

    /// Runs all statements of a text without parameters.
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

    /// Disables the statement timeout for this transaction. SQLite has none.
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

    /// Binds an array, which only PostgreSQL has.
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

    /// Streams the rows.
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
        // All rows are read, so that the statement is finished.
        Ok(self.fetch_all().await?.into_iter().next())
    }

    pub(in crate::store) async fn fetch_one(self) -> Result<Row, StoreError> {
        self.fetch_optional().await?.ok_or_else(|| sqlx::Error::RowNotFound.into())
    }

    /// Runs the statement, and returns the number of affected rows.
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
