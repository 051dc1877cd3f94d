//! Database of a ledger that goes away at any moment, and comes back.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use subledger::clock::Clock;
use subledger::store::{DatabaseUrl, OpenMode, Store};

use crate::order::Dice;
use crate::postgres_only::proxy::Proxy;

/// Time after which a database is back, if what needs it waits for it.
const OUTAGE_MAX: Duration = Duration::from_millis(300);

/// End of each statement that is sent to a server.
const SYNC: &[u8] = b"S\0\0\0\x04";
/// Statement that commits, after which the server has stored everything.
const COMMIT: &[u8] = b"COMMIT\0";

/// Database of a folder, and what takes it away.
pub(crate) enum DatabaseOutage {
    /// The file of the log is elsewhere meanwhile.
    File { path: PathBuf, aside: PathBuf },
    /// The way to the server is closed meanwhile.
    Server(Proxy),
}

impl DatabaseOutage {
    /// Outage of the database of a folder.
    pub(crate) async fn of(folder: &Path) -> Self {
        match crate::database(folder) {
            DatabaseUrl::Sqlite(path) => Self::File { path, aside: folder.join("aside.db") },
            DatabaseUrl::Postgres(_) => Self::Server(Proxy::to(folder).await),
        }
    }

    /// Opens the ledger that the outage will hit.
    pub(crate) async fn open(&self) -> Store {
        let url = match self {
            Self::File { path, .. } => DatabaseUrl::from_path(path),
            Self::Server(proxy) => proxy.url.clone(),
        };
        Store::open(&url, OpenMode::Existing, Clock::System).await.unwrap()
    }

    pub(crate) fn begin(&self) {
        match self {
            Self::File { path, aside } => std::fs::rename(path, aside).unwrap(),
            Self::Server(proxy) => proxy.close(),
        }
    }

    pub(crate) fn end(&self) {
        match self {
            Self::File { path, aside } => std::fs::rename(aside, path).unwrap(),
            Self::Server(proxy) => proxy.reopen(),
        }
    }

    /// Runs a future to its end. An outage begins after some of its steps, and is over after some more, or when
    /// the future has ended. Of a server, some outages are a single answer that is lost.
    pub(crate) async fn hit<F: Future>(&self, dice: &mut Dice, steps: usize, work: F) -> F::Output {
        let mut work = pin!(work);
        if let Some(ended) = first_steps(dice.between(1, steps), work.as_mut()).await {
            return ended;
        }
        let single = [Some(SYNC), Some(COMMIT), None][dice.below(3)];
        match (self, single) {
            (Self::Server(proxy), Some(message)) => proxy.cut_after(message),
            _ => self.begin(),
        }
        let steps = if dice.below(2) == 0 { dice.between(1, 30) } else { usize::MAX };
        let meanwhile = first_steps(steps, work.as_mut());
        // The work may wait for the database.
        let ended = tokio::time::timeout(OUTAGE_MAX, meanwhile).await;
        match (self, single) {
            (Self::Server(proxy), Some(_)) => proxy.cut_no_more(),
            _ => self.end(),
        }
        match ended {
            Ok(Some(ended)) => ended,
            _ => work.await,
        }
    }
}

/// Output of a future, if so many polls are enough for it.
pub(crate) async fn first_steps<F: Future>(
    count: usize,
    mut work: Pin<&mut F>,
) -> Option<F::Output> {
    let mut left = count;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}
