//! Connection pool of one PostgreSQL schema.
//!
//! The pool of sqlx reuses a connection that failed or that was left in the middle of a statement, and then waits for
//! its answer without a limit.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::postgres::{Connector, session_mode_required};
use super::postgres_connection::PostgresConnection;
use super::timeouts::{ACQUIRE_TIMEOUT, PING_AFTER_IDLE};
use crate::clock::{Clock, Stopwatch};
use crate::store::error::StoreError;
use crate::store::failure::DatabaseFailure;
use crate::store::url::Server;

/// Idle time after which a connection is closed.
const IDLE_MAX: Duration = Duration::from_mins(5);
/// Age at which a connection is closed, because the address may lead to another server by then.
const AGE_MAX: Duration = Duration::from_mins(30);
/// Age at which a connection to a standby is closed, because the address may lead to the primary soon.
const STANDBY_AGE_MAX: Duration = Duration::from_secs(1);
/// Shortest and longest pause between two attempts to connect to a server that is starting or has no free connection.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Maximum time to close connections.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connection pool. Connections are opened on demand and kept. Cheap to clone.
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
    /// Idle connections. The one that was used last is taken first, because its statements are prepared.
    idle: Vec<(PostgresConnection, Stopwatch)>,
    /// Counter that rises when all existing connections are invalidated.
    epoch: u64,
    closed: bool,
}

/// Connection of a pool. Dropping it returns it to the pool, or closes it if it is in doubt.
#[derive(Debug)]
pub(in crate::store) struct PooledConnection {
    connection: Option<PostgresConnection>,
    pool: Arc<Inner>,
    /// Released last, after the connection was returned.
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// Creates a pool without connections.
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

    /// Opens two connections, and refuses a pooler that leads both to the same session.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let one = self.acquire().await?;
        let other = self.acquire().await?;
        if one.connection().backend.process == other.connection().backend.process {
            return Err(session_mode_required().into());
        }
        Ok(())
    }

    /// Takes an idle connection or opens one, waiting at most [`ACQUIRE_TIMEOUT`].
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
            // Boxed, because this future is large and rare.
            Box::pin(self.0.connect(patience)).await?
        };
        Ok(PooledConnection {
            connection: Some(connection),
            pool: Arc::clone(&self.0),
            permit: Some(permit),
        })
    }

    /// Closes the idle connections now, and each of the others when it is returned.
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
    /// Opens a connection. Retries while the server is starting or has no free connection.
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
                    "the server did not accept the connection in time",
                    "check host and port in DATABASE_URL, and the network",
                )
            }))
        })?;
        connection.epoch = epoch;
        Ok(connection)
    }

    /// Takes an idle connection that is not too old.
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

    /// Closes all idle connections now, and those in use when they are returned.
    fn invalidate_all(&self) {
        let mut state = self.lock();
        state.epoch += 1;
        state.idle.clear();
    }

    fn exhausted(&self) -> StoreError {
        let what = format!("all {} connections of this process are in use", self.connections);
        let hint =
            "set SUBLEDGER_POSTGRES_CONNECTIONS to a larger number, if the server allows more";
        DatabaseFailure::new(what, hint).into()
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_old(connection: &PostgresConnection) -> bool {
    connection.age.elapsed()
        >= if connection.backend.is_standby { STANDBY_AGE_MAX } else { AGE_MAX }
}

impl PooledConnection {
    #[expect(clippy::expect_used, reason = "it is taken out when this is dropped")]
    fn connection(&self) -> &PostgresConnection {
        self.connection.as_ref().expect("a connection that was not dropped")
    }

    /// Takes the underlying connection out of the pool.
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
        // None if the task below, which ends the transaction, was dropped before its end.
        let permit = self.permit.take();
        match (tokio::runtime::Handle::try_current(), permit) {
            // The caller left in the middle of a transaction, but not of a statement.
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
