//! Pool of connections that read one SQLite file.
//!
//! The pool of sqlx pings every connection that is returned, which takes a third of the time of a short read.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::session::Session;
use super::timeouts::{ACQUIRE_TIMEOUT, PING_AFTER_IDLE};
use super::{sql, sqlite};
use crate::clock::{Clock, Stopwatch};
use crate::store::error::StoreError;

/// Number of connections that read one file.
const READERS: u32 = 4;

/// Pool of read connections. They are opened on demand and kept.
#[derive(Clone, Debug)]
pub(in crate::store) struct ReaderPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: SqliteConnectOptions,
    permits: Arc<Semaphore>,
    /// Idle connections. The one that was used last is taken first, because its statements are prepared.
    free: Mutex<Vec<(SqliteConnection, Stopwatch)>>,
}

/// Connection of the pool. Dropping it returns it.
#[derive(Debug)]
pub(in crate::store) struct PooledReader {
    connection: Option<SqliteConnection>,
    /// True inside a transaction. Dropping it then closes the connection, which ends the transaction.
    is_in_transaction: bool,
    pool: Arc<Inner>,
    /// Released last, after the connection was returned.
    _permit: OwnedSemaphorePermit,
}

impl ReaderPool {
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        let permits = Arc::new(Semaphore::new(READERS as usize));
        Self(Arc::new(Inner { options, permits, free: Mutex::default() }))
    }

    /// Creates a pool of connections that cannot write.
    pub(in crate::store) fn for_file(path: &Path) -> Self {
        Self::new(sqlite::reader_options(sqlite::options(path)))
    }

    /// Takes an idle connection or opens one, waiting at most [`ACQUIRE_TIMEOUT`].
    pub(super) async fn acquire(&self) -> Result<PooledReader, StoreError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, permit).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = match self.0.take() {
            Some(connection) => ping_if_idle(connection).await,
            None => None,
        };
        let connection = match connection {
            Some(connection) => connection,
            None => self.0.options.connect().await?,
        };
        let pool = Arc::clone(&self.0);
        Ok(PooledReader {
            connection: Some(connection),
            is_in_transaction: false,
            pool,
            _permit: permit,
        })
    }

    /// Opens a separate connection, which may write other files.
    pub(super) async fn connect(&self, path: &Path) -> Result<SqliteConnection, StoreError> {
        sqlite::connect(path, self.0.options.clone().pragma("query_only", "OFF")).await
    }

    /// Waits until nobody reads, closes the connections, and blocks new ones until the returned permit is dropped.
    pub(in crate::store) async fn close_and_block(
        &self,
    ) -> Result<OwnedSemaphorePermit, StoreError> {
        let all = Arc::clone(&self.0.permits).acquire_many_owned(READERS).await;
        let all = all.map_err(|_| sqlx::Error::PoolClosed)?;
        while let Some((connection, _)) = self.0.take() {
            // A read connection has nothing to lose.
            let _ = connection.close().await;
        }
        Ok(all)
    }

    /// Waits until nobody reads, and closes all connections.
    pub(super) async fn close(&self) {
        let all = self.0.permits.acquire_many(READERS).await;
        self.0.permits.close();
        drop(all);
        while let Some((connection, _)) = self.0.take() {
            // A read connection has nothing to lose.
            let _ = connection.close().await;
        }
    }
}

async fn ping_if_idle(
    (mut connection, since): (SqliteConnection, Stopwatch),
) -> Option<SqliteConnection> {
    (since.elapsed() < PING_AFTER_IDLE || connection.ping().await.is_ok()).then_some(connection)
}

impl Inner {
    fn take(&self) -> Option<(SqliteConnection, Stopwatch)> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl PooledReader {
    pub(super) fn session(&mut self) -> Session<'_> {
        #[expect(clippy::expect_used, reason = "it is taken out when this is dropped")]
        Session::Sqlite(self.connection.as_mut().expect("a connection that was not dropped"))
    }

    /// Begins a read transaction.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.is_in_transaction = true;
        self.session().run(sql::BEGIN_READ).await
    }

    /// Ends the read transaction.
    pub(super) async fn end(mut self) -> Result<(), StoreError> {
        if self.is_in_transaction {
            self.session().run(sql::COMMIT).await?;
            self.is_in_transaction = false;
        }
        Ok(())
    }
}

impl Drop for PooledReader {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.is_in_transaction) {
            let mut free = self.pool.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.push((connection, Clock::stopwatch()));
        }
    }
}
