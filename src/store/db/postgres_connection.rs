//! A connection to PostgreSQL, and whether it may be used again.
//!
//! Whoever stops waiting for a statement leaves a connection behind that somebody else must not get: what it reads
//! next is the answer to that statement. And a connection on which a statement failed may lead to a server that is
//! gone, or only reads. So a connection is in doubt from the beginning of a statement until its end was read without
//! an error, and while a transaction is open; in doubt, it is closed. No statement waits for ever: where the server
//! says nothing for longer than it would work on a statement, the connection has failed.

use std::time::Duration;

use futures_util::stream::{self, BoxStream, StreamExt as _, TryStreamExt as _};
use sqlx::postgres::{PgArguments, PgConnection, PgDatabaseError, PgRow};
use sqlx::{Connection as _, SqlStr};

use super::postgres::Backend;
use super::{Dialect, IntoSql as _, Row, sql};
use crate::clock::{Clock, Stopwatch};
use crate::store::StoreError;
use crate::store::failure::DatabaseFailure;

/// Time in which the server says something: a little more than `statement_timeout`.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(35);
/// The same for a statement without `statement_timeout`.
const LONG_ANSWER_TIMEOUT: Duration = Duration::from_hours(6);
/// Time in which a connection that was silent shows that it is there.
const PING_TIMEOUT: Duration = Duration::from_secs(2);

/// The classes and codes after which no connection of the same age is used again: the way to the server broke, the
/// server ends, or it only reads.
const POOL_INVALIDATING_CODES: [&str; 3] = ["08", "57P", "25006"];

/// A connection to PostgreSQL.
#[derive(Debug)]
pub(in crate::store) struct PostgresConnection {
    connection: PgConnection,
    pub(super) backend: Backend,
    pub(super) since: Stopwatch,
    /// Number of the pool's connections that were given up together before this one was made.
    pub(super) epoch: u64,
    answer_timeout: Duration,
    /// A statement is under way, or one failed.
    is_in_doubt: bool,
    /// A transaction is open.
    is_in_transaction: bool,
    /// The failure concerns other connections, too.
    invalidates_pool: bool,
}

impl PostgresConnection {
    pub(super) fn new(connection: PgConnection, backend: Backend) -> Self {
        Self {
            connection,
            backend,
            since: Clock::stopwatch(),
            epoch: 0,
            answer_timeout: ANSWER_TIMEOUT,
            is_in_doubt: false,
            is_in_transaction: false,
            invalidates_pool: false,
        }
    }

    /// True if somebody else may use it.
    pub(super) fn is_reusable(&self) -> bool {
        !self.is_in_doubt && !self.is_in_transaction
    }

    /// True if it failed in a way that others of its age share.
    pub(super) fn invalidates_pool(&self) -> bool {
        self.invalidates_pool
    }

    /// The connection, for what migrations do in a transaction. Where that fails the transaction stays open, and so the
    /// connection is not used again.
    pub(super) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    #[cfg(test)]
    pub(super) fn into_connection(self) -> PgConnection {
        self.connection
    }

    /// True if the server is there.
    pub(super) async fn is_alive(&mut self) -> bool {
        let ping = tokio::time::timeout(PING_TIMEOUT, self.connection.ping());
        matches!(ping.await, Ok(Ok(())))
    }

    /// Says good-bye, where the server hears it.
    pub(super) async fn close(self) {
        // Nothing is lost where it does not.
        let _ = self.connection.close().await;
    }

    /// Begins a transaction, with a statement that does.
    pub(super) async fn begin(&mut self, sql: SqlStr) -> Result<(), StoreError> {
        self.is_in_transaction = true;
        self.run(sql).await
    }

    /// Commits what was done since. A transaction in which a statement failed is none.
    pub(super) async fn commit(&mut self) -> Result<(), StoreError> {
        if self.is_in_doubt {
            return Err(StoreError::Internal(
                "a transaction was to be committed in which a statement failed".into(),
            ));
        }
        self.run(sql::COMMIT.into_sql(Dialect::Postgres)).await?;
        self.end_transaction();
        Ok(())
    }

    /// Ends a transaction that only read.
    pub(super) async fn end(&mut self) -> Result<(), StoreError> {
        if self.is_in_transaction && !self.is_in_doubt { self.commit().await } else { Ok(()) }
    }

    pub(super) async fn rollback(&mut self) -> Result<(), StoreError> {
        self.run(sql::ROLLBACK.into_sql(Dialect::Postgres)).await?;
        self.end_transaction();
        Ok(())
    }

    /// Lets nobody use it any more: it is not what it was made for.
    pub(super) fn discard(&mut self) {
        self.is_in_doubt = true;
    }

    /// True if a transaction is open and nothing else is wrong.
    pub(super) fn is_idle_in_transaction(&self) -> bool {
        self.is_in_transaction && !self.is_in_doubt
    }

    /// Ends a transaction that nobody asks about any more.
    pub(super) async fn roll_back_abandoned(&mut self) {
        // Where it does not end, the connection is in doubt.
        let _ = tokio::time::timeout(PING_TIMEOUT, self.rollback()).await;
    }

    /// Lets the statements of this transaction take as long as they take.
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

    /// The rows one by one, as they come.
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

/// The rest of an answer.
struct Rows<'l> {
    left: BoxStream<'l, Result<PgRow, sqlx::Error>>,
    is_in_doubt: &'l mut bool,
    invalidates_pool: &'l mut bool,
}

/// Waits for the server so long. Takes note of a failure that concerns other connections, too.
async fn within<T>(
    timeout: Duration,
    answer: impl Future<Output = Result<T, sqlx::Error>>,
    invalidates_pool: &mut bool,
) -> Result<T, StoreError> {
    let Ok(answered) = tokio::time::timeout(timeout, answer).await else {
        *invalidates_pool = true;
        return Err(DatabaseFailure::new(
            format!("the server said nothing for {} s", timeout.as_secs()),
            "the network may have lost the connection: it is closed, and another one made",
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
