//! The connections of this process to one schema of PostgreSQL's.
//!
//! sqlx has a pool, but it takes back a connection that failed, or that was left in the middle of a statement, and
//! then waits without a limit for what it says.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::database::{ACQUIRE_TIMEOUT, TRUSTED};
use super::link::Link;
use super::postgres::{Connector, not_a_session};
use crate::clock::{Clock, Stopwatch};
use crate::store::cause::Cause;
use crate::store::{Server, StoreError};

/// Time that a connection may be silent before it is closed.
const IDLE: Duration = Duration::from_mins(5);
/// Time for which a connection is used: what the address leads to may change.
const AGE: Duration = Duration::from_mins(30);
/// The same where it leads to a standby: perhaps only for the moment.
const AGE_OF_STANDBY: Duration = Duration::from_secs(1);
/// Pauses between two attempts to connect to a server that starts, or has no connection free.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Time that the server is given to hear that connections are closed.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Connections that are made when they are needed, and kept. Cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::store) struct Pool(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connector: Connector,
    connections: u32,
    permits: Arc<Semaphore>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one that was used last is taken first: it knows the statements.
    free: Vec<(Link, Stopwatch)>,
    /// Rises when all connections that there are by then are given up.
    era: u64,
    closed: bool,
}

/// A connection, until it is dropped: then it is kept, or closed where it is in doubt.
#[derive(Debug)]
pub(in crate::store) struct PgLent {
    link: Option<Link>,
    pool: Arc<Inner>,
    /// Given back last, when the connection is there for the next.
    permit: Option<OwnedSemaphorePermit>,
}

impl Pool {
    /// A pool whose first connection is made when it is needed.
    pub(super) fn new(server: &Server, schema: &'static str) -> Result<Self, StoreError> {
        let connections = (server.connections() / 2).max(2);
        let connector = Connector::new(server, schema).map_err(Cause::from)?;
        Ok(Self(Arc::new(Inner {
            connector,
            connections,
            permits: Arc::new(Semaphore::new(connections as usize)),
            kept: Mutex::default(),
        })))
    }

    /// Makes two connections, and refuses a pooler that leads both to one session.
    pub(super) async fn check(&self) -> Result<(), StoreError> {
        let one = self.acquire().await?;
        let other = self.acquire().await?;
        if one.link().backend.process == other.link().backend.process {
            return Err(not_a_session().into());
        }
        Ok(())
    }

    /// Waits for a connection that is free, or makes one; but not for long.
    pub(in crate::store) async fn acquire(&self) -> Result<PgLent, StoreError> {
        let stopwatch = Clock::stopwatch();
        let permit = Arc::clone(&self.0.permits).acquire_owned();
        let permit = tokio::time::timeout(ACQUIRE_TIMEOUT, permit).await;
        let permit = permit.map_err(|_| self.0.busy())?.map_err(|_| sqlx::Error::PoolClosed)?;
        let link = match self.0.take() {
            Some((mut link, since)) => {
                let is_there = since.elapsed() < TRUSTED || Box::pin(link.answers()).await;
                if !is_there {
                    self.0.give_up();
                }
                Some(link).filter(|_| is_there)
            }
            None => None,
        };
        let link = if let Some(link) = link {
            link
        } else {
            let patience = ACQUIRE_TIMEOUT.saturating_sub(stopwatch.elapsed());
            // Rare, and large: whoever asks for a connection is not to carry it.
            Box::pin(self.0.connect(patience)).await?
        };
        Ok(PgLent { link: Some(link), pool: Arc::clone(&self.0), permit: Some(permit) })
    }

    /// Closes the connections that nobody uses now, and each of the others when it is given back. Waits for nobody.
    pub(super) async fn close(&self) {
        self.0.permits.close();
        let free = {
            let mut kept = self.0.lock();
            kept.closed = true;
            std::mem::take(&mut kept.free)
        };
        let closing = join_all(free.into_iter().map(|(link, _)| link.close()));
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl Inner {
    /// Makes a connection. A server that starts, or has none free, is asked again.
    async fn connect(&self, patience: Duration) -> Result<Link, StoreError> {
        let era = self.lock().era;
        let mut refused = None;
        let connecting = async {
            let mut pause = PAUSE_MIN;
            loop {
                match self.connector.connect().await {
                    Err(cause) if cause.is_of_a_server_that_starts() => refused = Some(cause),
                    connected => return connected,
                }
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        };
        let connected = tokio::time::timeout(patience, connecting).await;
        let mut link = connected.unwrap_or_else(|_| {
            Err(refused.unwrap_or_else(|| {
                Cause::new(
                    "the server did not answer while it was connected to",
                    "host and port in DATABASE_URL, and the network, must lead to the server",
                )
            }))
        })?;
        link.era = era;
        Ok(link)
    }

    /// Takes a connection that is free and not too old.
    fn take(&self) -> Option<(Link, Stopwatch)> {
        let mut kept = self.lock();
        kept.free.retain(|(link, since)| since.elapsed() < IDLE && !is_old(link));
        kept.free.pop()
    }

    fn give_back(&self, link: Link) {
        if link.condemns() {
            self.give_up();
        }
        let mut kept = self.lock();
        if link.is_sound() && link.era == kept.era && !kept.closed {
            kept.free.push((link, Clock::stopwatch()));
        }
    }

    /// Closes all connections that there are now, those in use when they are given back.
    fn give_up(&self) {
        let mut kept = self.lock();
        kept.era += 1;
        kept.free.clear();
    }

    fn busy(&self) -> StoreError {
        let what = format!("all {} connections of this process are in use", self.connections);
        let to_do = "set SUBLEDGER_POSTGRES_CONNECTIONS to more, if the server has them";
        Cause::new(what, to_do).into()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_old(link: &Link) -> bool {
    link.since.elapsed() >= if link.backend.is_standby { AGE_OF_STANDBY } else { AGE }
}

impl PgLent {
    #[expect(clippy::expect_used, reason = "it is taken out when this is dropped")]
    fn link(&self) -> &Link {
        self.link.as_ref().expect("a connection that was not dropped")
    }

    /// The bare connection, for a test.
    #[cfg(test)]
    pub(in crate::store) fn detach(mut self) -> sqlx::PgConnection {
        self.link.take().unwrap().into_connection()
    }

    #[expect(clippy::expect_used, reason = "it is taken out when this is dropped")]
    pub(super) fn link_mut(&mut self) -> &mut Link {
        self.link.as_mut().expect("a connection that was not dropped")
    }
}

impl Drop for PgLent {
    fn drop(&mut self) {
        let Some(link) = self.link.take() else { return };
        // None where this is the connection whose transaction is being ended, and its task is not run to the end.
        let permit = self.permit.take();
        match (tokio::runtime::Handle::try_current(), permit) {
            // Whoever asked left in the middle of a transaction, but not of a statement.
            (Ok(runtime), Some(permit)) if link.is_idle_in_transaction() => {
                let pool = Arc::clone(&self.pool);
                let mut lent = Self { link: Some(link), pool, permit: None };
                runtime.spawn(async move {
                    lent.link_mut().abandon().await;
                    drop(lent);
                    drop(permit);
                });
            }
            (_, permit) => {
                self.pool.give_back(link);
                drop(permit);
            }
        }
    }
}
