//! Connection to PostgreSQL that knows whether it may be reused.
//!
//! A caller that stops waiting for a statement leaves an unread answer on the connection, which the next user would
//! read as its own. A connection on which a statement failed may lead to a server that is gone or only reads. A
//! connection is therefore in doubt from the start of a statement until its end was read without an error, and while a
//! transaction is open. A connection in doubt is closed. No statement waits forever: if the server is silent for longer
//! than it may work on a statement, the connection has failed.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgConnection, PgDatabaseError, PgRow};
use sqlx::{Connection as _, SqlStr};

use super::row::Row;
use super::sql;
use super::statement::{Dialect, IntoSql as _};
use crate::clock::{Clock, Stopwatch};
use crate::store::error::StoreError;
use crate::store::failure::DatabaseFailure;

/// Maximum silence of the server during a statement: slightly more than `statement_timeout`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// Maximum silence of the server during a statement without `statement_timeout`.
const LONG_ANSWER_TIMEOUT: Duration = Duration::from_hours(6);
/// Maximum time of a ping.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// Prefixes of SQLSTATE codes after which all older connections are closed: the connection broke, the server shuts
/// down, or it is read-only.
const POOL_INVALIDATING_CODES: [&str; 3] = ["08", "57P", "25006"];

/// Server process that a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) process: i32,
    pub(super) is_standby: bool,
}

/// Connection to PostgreSQL.
#[derive(Debug)]
pub(in crate::store) struct PostgresConnection {
    connection: PgConnection,
    pub(super) backend: Backend,
    pub(super) age: Stopwatch,
    /// Epoch of the pool in which this connection was made.
    pub(super) epoch: u64,
    answer_timeout: Duration,
    /// True while a statement runs, and after one failed.
    is_in_doubt: bool,
    is_in_transaction: bool,
    /// True if the failure concerns all connections of the pool.
    invalidates_pool: bool,
}

impl PostgresConnection {
    pub(super) fn new(connection: PgConnection, backend: Backend) -> Self {
        Self {
            connection,
            backend,
            age: Clock::stopwatch(),
            epoch: 0,
            answer_timeout: ANSWER_TIMEOUT,
            is_in_doubt: false,
            is_in_transaction: false,
            invalidates_pool: false,
        }
    }

    /// True if the connection may be used again.
    pub(super) fn is_reusable(&self) -> bool {
        !self.is_in_doubt && !self.is_in_transaction
    }

    /// True if the failure concerns all connections of the pool.
    pub(super) fn invalidates_pool(&self) -> bool {
        self.invalidates_pool
    }

    /// Underlying connection, for migrations inside a transaction. If one fails, the transaction stays open, so that
    /// the connection is not reused.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    #[cfg(test)]
    pub(super) fn into_connection(self) -> PgConnection {
        self.connection
    }

    /// True if the server answers a ping.
    pub(super) async fn is_alive(&mut self) -> bool {
        let ping = tokio::time::timeout(PING_TIMEOUT, self.connection.ping());
        matches!(ping.await, Ok(Ok(())))
    }

    /// Closes the connection.
    pub(super) async fn close(self) {
        // A failed close loses nothing.
        let _ = self.connection.close().await;
    }

    /// Begins a transaction with this statement.
    pub(super) async fn begin(&mut self, sql: SqlStr) -> Result<(), StoreError> {
        self.is_in_transaction = true;
        self.run(sql).await
    }

    /// Commits the transaction. Refused if a statement of it failed.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        if self.is_in_doubt {
            return Err(StoreError::Internal(
                "a transaction in which a statement failed cannot be committed".into(),
            ));
        }
        self.run(sql::COMMIT.into_sql(Dialect::Postgres)).await?;
        self.end_transaction();
        Ok(())
    }

    /// Ends a read transaction.
    pub(super) async fn end(&mut self) -> Result<(), StoreError> {
        if self.is_in_transaction && !self.is_in_doubt { self.commit().await } else { Ok(()) }
    }

    pub(super) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run(sql::ROLLBACK.into_sql(Dialect::Postgres)).await?;
        self.end_transaction();
        Ok(())
    }

    /// Marks the connection as not reusable.
    pub(super) fn discard(&mut self) {
        self.is_in_doubt = true;
    }

    /// True if a transaction is open and no statement runs or failed.
    pub(super) fn is_idle_in_transaction(&self) -> bool {
        self.is_in_transaction && !self.is_in_doubt
    }

    /// Rolls back a transaction whose caller is gone.
    pub(super) async fn roll_back_abandoned(&mut self) {
        // If this fails, the connection stays in doubt.
        let _ = tokio::time::timeout(PING_TIMEOUT, self.rollback()).await;
    }

    /// Disables the timeouts of this transaction with this statement.
    pub(super) async fn disable_timeouts(&mut self, sql: SqlStr) -> Result<(), StoreError> {
        self.run(sql).await?;
        self.answer_timeout = LONG_ANSWER_TIMEOUT;
        Ok(())
    }

    pub(super) async fn run(&mut self, sql: SqlStr) -> Result<(), StoreError> {
        self.complete(async |it| sqlx::raw_sql(sql).execute(it).await.map(drop)).await
    }

    pub(super) async fn execute(
        &mut self,
        sql: SqlStr,
        arguments: PgArguments,
    ) -> Result<u64, StoreError> {
        let done = async |it: &mut PgConnection| {
            sqlx::query_with(sql, arguments).execute(it).await.map(|done| done.rows_affected())
        };
        self.complete(done).await
    }

    /// Streams the rows.
    pub(super) fn fetch<'l>(
        &'l mut self,
        sql: SqlStr,
        arguments: PgArguments,
    ) -> BoxStream<'l, Result<Row, StoreError>> {
        self.is_in_doubt = true;
        let Self { connection, is_in_doubt, invalidates_pool, answer_timeout, .. } = self;
        let timeout = *answer_timeout;
        let rows: BoxStream<'l, _> = sqlx::query_with(sql, arguments).fetch(connection);
        let next = move |mut rows: Rows<'l>| async move {
            let row = within(timeout, rows.left.try_next(), rows.invalidates_pool).await?;
            *rows.is_in_doubt = row.is_some();
            Ok(row.map(|row| (Row::Postgres(row), rows)))
        };
        stream::try_unfold(Rows { left: rows, is_in_doubt, invalidates_pool }, next).boxed()
    }

    async fn complete<T>(
        &mut self,
        ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, StoreError> {
        self.is_in_doubt = true;
        let answer = Box::pin(ask(&mut self.connection));
        let answer = within(self.answer_timeout, answer, &mut self.invalidates_pool).await?;
        self.is_in_doubt = false;
        Ok(answer)
    }

    fn end_transaction(&mut self) {
        self.is_in_transaction = false;
        self.answer_timeout = ANSWER_TIMEOUT;
    }
}

/// Rows of an answer that are not read yet.
struct Rows<'l> {
    left: BoxStream<'l, Result<PgRow, sqlx::Error>>,
    is_in_doubt: &'l mut bool,
    invalidates_pool: &'l mut bool,
}

/// Waits for an answer, and notes whether a failure concerns all connections of the pool.
async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
    invalidates_pool: &mut bool,
) -> Result<T, StoreError> {
    let Ok(answered) = tokio::time::timeout(timeout, answer).await else {
        *invalidates_pool = true;
        return Err(DatabaseFailure::new(
            format!("the server sent nothing for {} s", timeout.as_secs()),
            "the network may have lost the connection; a new one is opened",
        )
        .into());
    };
    answered.map_err(|error| {
        *invalidates_pool |= is_pool_invalidating(&error);
        error.into()
    })
}

fn is_pool_invalidating(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            let code =
                error.try_downcast_ref::<PgDatabaseError>().map_or("", PgDatabaseError::code);
            POOL_INVALIDATING_CODES.iter().any(|it| code.starts_with(it))
        }
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => true,
        _ => false,
    }
}
