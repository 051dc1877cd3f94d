//! The connections to one file of SQLite's that read.
//!
//! sqlx has a pool, but it asks every connection that is given back whether it still answers: of a short read
//! of a file, a third.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Session;
use super::database::{ACQUIRE_TIMEOUT, PING_AFTER_IDLE, sql};
use crate::clock::{Clock, Stopwatch};
use crate::store::StoreError;

/// Connections that read one file at the same time.
const READERS: u32 = 4;

/// Connections that are opened when they are needed, and kept.
#[derive(Clone, Debug)]
pub(in crate::store) struct ReaderPool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: SqliteConnectOptions,
    permits: Arc<Semaphore>,
    /// The one that was used last is taken first: it knows the statements.
    free: Mutex<Vec<(SqliteConnection, Stopwatch)>>,
}

/// A connection, until it is dropped.
#[derive(Debug)]
pub(in crate::store) struct PooledReader {
    connection: Option<SqliteConnection>,
    /// Whether it is inside a transaction: dropped then, it is not given back but closed, which ends that.
    is_in_transaction: bool,
    from: Arc<Inner>,
    /// Given back last, when the connection is there for the next.
    _permit: OwnedSemaphorePermit,
}

impl ReaderPool {
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        let permits = Arc::new(Semaphore::new(READERS as usize));
        Self(Arc::new(Inner { options, permits, free: Mutex::default() }))
    }

    /// Waits for a connection that is free, but not for long.
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
        let from = Arc::clone(&self.0);
        Ok(PooledReader {
            connection: Some(connection),
            is_in_transaction: false,
            from,
            _permit: permit,
        })
    }

    /// A connection that is not one of those that are kept, and that may write other files.
    pub(super) async fn connect(&self, path: &Path) -> Result<SqliteConnection, StoreError> {
        super::sqlite::connect(path, self.0.options.clone().pragma("query_only", "OFF")).await
    }

    /// Waits until nobody reads, closes the connections, and keeps others from opening any until the answer is dropped.
    pub(in crate::store) async fn close_and_block(
        &self,
    ) -> Result<OwnedSemaphorePermit, StoreError> {
        let all = Arc::clone(&self.0.permits).acquire_many_owned(READERS).await;
        let all = all.map_err(|_| sqlx::Error::PoolClosed)?;
        while let Some((connection, _)) = self.0.take() {
            // It wrote nothing that could be lost.
            let _ = connection.close().await;
        }
        Ok(all)
    }

    /// Closes them all, each when it is given back.
    pub(super) async fn close(&self) {
        let all = self.0.permits.acquire_many(READERS).await;
        self.0.permits.close();
        drop(all);
        while let Some((connection, _)) = self.0.take() {
            // It wrote nothing that could be lost.
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

    /// Begins a transaction that reads.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.is_in_transaction = true;
        self.session().run(sql::BEGIN_READ).await
    }

    /// Ends it.
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
            let mut free = self.from.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.push((connection, Clock::stopwatch()));
        }
    }
}
