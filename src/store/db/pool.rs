//! The connections of this process to one schema of PostgreSQL's.
//!
//! sqlx has a pool, but it takes back a connection that failed, or that was left in the middle of a statement, and
//! then waits without a limit for what it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::database::{ACQUIRE_TIMEOUT, PING_AFTER_IDLE};
use super::postgres::{Connector, session_mode_required};
use super::postgres_connection::PostgresConnection;
use crate::clock::{Clock, Stopwatch};
use crate::store::failure::DatabaseFailure;
use crate::store::{Server, StoreError};

/// Time that a connection may be silent before it is closed.
const IDLE_MAX: Duration = Duration::from_mins(5);
/// Time for which a connection is used: what the address leads to may change.
const AGE_MAX: Duration = Duration::from_mins(30);
/// The same where it leads to a standby: perhaps only for the moment.
const STANDBY_AGE_MAX: Duration = Duration::from_secs(1);
/// Pauses between two attempts to connect to a server that starts, or has no connection idle.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time that the server is given to hear that connections are closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that are made when they are needed, and state. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::store) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    connections: u32,
    permits: Arc<Semaphore>,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    /// The one that was used last is taken first: it knows the statements.
    idle: Vec<(PostgresConnection, Stopwatch)>,
    /// Rises when all connections that there are by then are given up.
    epoch: u64,
    closed: bool,
}

/// A connection, until it is dropped: then it is state, or closed where it is in doubt.
#[derive(Debug)]
pub(in crate::store) struct PooledConnection {
    connection: Option<PostgresConnection>,
    pool: Arc<Inner>,
    /// Given back last, when the connection is there for the next.
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// A pool whose first connection is made when it is needed.
    pub(super) fn new(server: &Server, schema: &'static str) -> Result<Self, StoreError> {
        let connections = (server.connections() / 2).max(2);
        let connector = Connector::new(server, schema).map_err(DatabaseFailure::from)?;
        Ok(Self(Arc::new(Inner {
            connector,
            connections,
            permits: Arc::new(Semaphore::new(connections as usize)),
            state: Mutex::default(),
        })))
    }

    /// Makes two connections, and refuses a pooler that leads both to one session.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let one = self.acquire().await?;
        let other = self.acquire().await?;
        if one.connection().backend.process == other.connection().backend.process {
            return Err(session_mode_required().into());
        }
        Ok(())
    }

    /// Waits for a connection that is free, or makes one; but not for long.
    pub(in crate::store) async fn acquire(&self) -> Result<PooledConnection, StoreError> {
        let stopwatch = Clock::stopwatch();
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, permit).await;
        let permit =
            permit.map_err(|_| self.0.exhausted())?.map_err(|_| sqlx::Error::PoolClosed)?;
        let connection = match self.0.take() {
            Some((mut connection, since)) => {
                let is_there =
                    since.elapsed() < PING_AFTER_IDLE || Box::pin(connection.is_alive()).await;
                if !is_there {
                    self.0.invalidate_all();
                }
                Some(connection).filter(|_| is_there)
            }
            None => None,
        };
        let connection = if let Some(connection) = connection {
            connection
        } else {
            let patience = ACQUIRE_TIMEOUT.saturating_sub(stopwatch.elapsed());
            // Rare, and large: whoever asks for a connection is not to carry it.
            Box::pin(self.0.connect(patience)).await?
        };
        Ok(PooledConnection {
            connection: Some(connection),
            pool: Arc::clone(&self.0),
            permit: Some(permit),
        })
    }

    /// Closes the connections that nobody uses now, and each of the others when it is given back. Waits for nobody.
    pub(super) async fn close(&self) {
        self.0.permits.close();
        let idle = {
            let mut state = self.0.lock();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        let closing = join_all(idle.into_iter().map(|(connection, _)| connection.close()));
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl Inner {
    /// Makes a connection. A server that starts, or has none free, is asked again.
    async fn connect(&self, patience: Duration) -> Result<PostgresConnection, StoreError> {
        let epoch = self.lock().epoch;
        let mut refused = None;
        let connecting = async {
            let mut pause = PAUSE_MIN;
            loop {
                match self.connector.connect().await {
                    Err(cause) if cause.is_server_starting() => refused = Some(cause),
                    connected => return connected,
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        };
        let connected = tokio::time::timeout(patience, connecting).await;
        let mut connection = connected.unwrap_or_else(|_| {
            Err(refused.unwrap_or_else(|| {
                DatabaseFailure::new(
                    "the server did not answer while it was connected to",
                    "host and port in DATABASE_URL, and the network, must lead to the server",
                )
            }))
        })?;
        connection.epoch = epoch;
        Ok(connection)
    }

    /// Takes a connection that is free and not too old.
    fn take(&self) -> Option<(PostgresConnection, Stopwatch)> {
        let mut state = self.lock();
        state.idle.retain(|(connection, since)| since.elapsed() < IDLE_MAX && !is_old(connection));
        state.idle.pop()
    }

    fn give_back(&self, connection: PostgresConnection) {
        if connection.invalidates_pool() {
            self.invalidate_all();
        }
        let mut state = self.lock();
        if connection.is_reusable() && connection.epoch == state.epoch && !state.closed {
            state.idle.push((connection, Clock::stopwatch()));
        }
    }

    /// Closes all connections that there are now, those in use when they are given back.
    fn invalidate_all(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.idle.clear();
    }

    fn exhausted(&self) -> StoreError {
        let what = format!("all {} connections of this process are in use", self.connections);
        let hint = "set SUBLEDGER_POSTGRES_CONNECTIONS to more, if the server has them";
        DatabaseFailure::new(what, hint).into()
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_old(connection: &PostgresConnection) -> bool {
    connection.since.elapsed()
        >= if connection.backend.is_standby { STANDBY_AGE_MAX } else { AGE_MAX }
}

impl PooledConnection {
    #[expect(clippy::expect_used, reason = "it is taken out when this is dropped")]
    fn connection(&self) -> &PostgresConnection {
        self.connection.as_ref().expect("a connection that was not dropped")
    }

    /// The bare connection, for a test.
    #[cfg(test)]
    pub(in crate::store) fn detach(mut self) -> sqlx::PgConnection {
        self.connection.take().unwrap().into_connection()
    }

    #[expect(clippy::expect_used, reason = "it is taken out when this is dropped")]
    pub(super) fn connection_mut(&mut self) -> &mut PostgresConnection {
        self.connection.as_mut().expect("a connection that was not dropped")
    }
}

impl Drop for PooledConnection {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        // None where this is the connection whose transaction is being ended, and its task is not run to the end.
        let permit = self.permit.take();
        match (tokio::runtime::Handle::try_current(), permit) {
            // Whoever asked left in the middle of a transaction, but not of a statement.
            (Ok(runtime), Some(permit)) if connection.is_idle_in_transaction() => {
                let pool = Arc::clone(&self.pool);
                let mut connection = Self { connection: Some(connection), pool, permit: None };
                runtime.spawn(async move {
                    connection.connection_mut().roll_back_abandoned().await;
                    drop(connection);
                    drop(permit);
                });
            }
            (_, permit) => {
                self.pool.give_back(connection);
                drop(permit);
            }
        }
    }
}
