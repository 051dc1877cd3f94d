//! Database of a ledger that goes away at any moment, and comes back.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use subledger::clock::Clock;
use subledger::store::{DatabaseUrl, OpenMode, Store};

use crate::order::Dice;
use crate::postgres_only::proxy::Proxy;

/// Time after which a database is back, if what needs it waits for it.
const OUTAGE_MAX: Duration = Duration::from_millis(300);

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

    /// Runs a future to its end. An outage begins after some of its steps, and lasts until the future has ended or has
    /// waited long enough. Some outages begin when a commit has reached the server, and its answer is lost.
    pub(crate) async fn hit<F: Future>(&self, dice: &mut Dice, steps: usize, work: F) -> F::Output {
        let mut work = pin!(work);
        let is_answer_lost = dice.below(4) == 0;
        let mut left = dice.between(1, steps);
        let before = std::future::poll_fn(|context| {
            if left == 0 {
                return Poll::Ready(None);
            }
            left -= 1;
            work.as_mut().poll(context).map(Some)
        });
        if let Some(ended) = before.await {
            return ended;
        }
        match self {
            Self::Server(proxy) if is_answer_lost => proxy.cut_after(b"COMMIT\0"),
            _ => self.begin(),
        }
        let ended = tokio::time::timeout(OUTAGE_MAX, work.as_mut()).await;
        match self {
            Self::Server(proxy) if is_answer_lost => proxy.cut_no_more(),
            _ => self.end(),
        }
        match ended {
            Ok(ended) => ended,
            Err(_) => work.await,
        }
    }
}
