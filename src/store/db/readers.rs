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
use super::database::{ACQUIRE_TIMEOUT, TRUSTED, sql};
use crate::clock::{Clock, Stopwatch};
use crate::store::StoreError;

/// Connections that read one file at the same time.
const READERS: u32 = 4;

/// Connections that are opened when they are needed, and kept.
#[derive(Clone, Debug)]
pub(in crate::store) struct Readers(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    options: SqliteConnectOptions,
    permits: Arc<Semaphore>,
    /// The one that was used last is taken first: it knows the statements.
    free: Mutex<Vec<(SqliteConnection, Stopwatch)>>,
}

/// A connection, until it is dropped.
#[derive(Debug)]
pub(in crate::store) struct Lent {
    connection: Option<SqliteConnection>,
    /// Whether it is inside a transaction: dropped then, it is not given back but closed, which ends that.
    begun: bool,
    from: Arc<Inner>,
    /// Given back last, when the connection is there for the next.
    _permit: OwnedSemaphorePermit,
}

impl Readers {
    pub(super) fn new(options: SqliteConnectOptions) -> Self {
        let permits = Arc::new(Semaphore::new(READERS as usize));
        Self(Arc::new(Inner { options, permits, free: Mutex::default() }))
    }

    /// Waits for a connection that is free, but not for long.
    pub(super) async fn acquire(&self) -> Result<Lent, StoreError> {
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, permit).await;
        let permit = permit.map_err(|_| sqlx::Error::PoolTimedOut)?;
        let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = match self.0.take() {
            Some(connection) => trusted(connection).await,
            None => None,
        };
        let connection = match connection {
            Some(connection) => connection,
            None => self.0.options.connect().await?,
        };
        let from = Arc::clone(&self.0);
        Ok(Lent { connection: Some(connection), begun: false, from, _permit: permit })
    }

    /// A connection that is not one of those that are kept, and that may write other files.
    pub(super) async fn connect(&self, path: &Path) -> Result<SqliteConnection, StoreError> {
        super::sqlite::connect(path, self.0.options.clone().pragma("query_only", "OFF")).await
    }

    /// Waits until nobody reads, closes the connections, and keeps others from opening any until the answer is dropped.
    pub(in crate::store) async fn hold(&self) -> Result<OwnedSemaphorePermit, StoreError> {
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

async fn trusted(
    (mut connection, since): (SqliteConnection, Stopwatch),
) -> Option<SqliteConnection> {
    (since.elapsed() < TRUSTED || connection.ping().await.is_ok()).then_some(connection)
}

impl Inner {
    fn take(&self) -> Option<(SqliteConnection, Stopwatch)> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

impl Lent {
    pub(super) fn session(&mut self) -> Session<'_> {
        #[expect(clippy::expect_used, reason = "it is taken out when this is dropped")]
        Session::Sqlite(self.connection.as_mut().expect("a connection that was not dropped"))
    }

    /// Begins a transaction that reads.
    pub(super) async fn begin(&mut self) -> Result<(), StoreError> {
        self.begun = true;
        self.session().run(sql::SNAPSHOT).await
    }

    /// Ends it.
    pub(super) async fn end(mut self) -> Result<(), StoreError> {
        if self.begun {
            self.session().run(sql::COMMIT).await?;
            self.begun = false;
        }
        Ok(())
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take().filter(|_| !self.begun) {
            let mut free = self.from.free.lock().unwrap_or_else(PoisonError::into_inner);
            free.push((connection, Clock::stopwatch()));
        }
    }
}
