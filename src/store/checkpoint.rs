//! Keeping the write-ahead log short.
//!
//! Every commit is written to it first. A checkpoint moves its pages into the file; the next commit
//! then starts it from the front again. Automatic checkpoints are off, because they run inside a
//! commit that someone waits for.

use sqlx::Row as _;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::StoreError;

/// Pages that wait to be moved before a checkpoint moves what no reader holds: 16 MiB.
const PASSIVE_PAGES: i64 = 1024;
/// Pages in the write-ahead log before a checkpoint waits for its readers, so that it can start from the
/// front: 64 MiB.
const RESTART_PAGES: i64 = 4096;

/// The state of the write-ahead log, in pages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wal {
    length: i64,
    moved: i64,
}

impl Wal {
    pub(super) fn read(row: &SqliteRow) -> Result<Self, StoreError> {
        Ok(Self { length: row.try_get(1)?, moved: row.try_get(2)? })
    }
}

/// Runs a checkpoint if enough has gathered. One that cannot finish because of a reader is no
/// error: the next one goes on.
pub(super) async fn run_if_due(
    connection: &mut SqliteConnection,
    wal: Wal,
) -> Result<(), StoreError> {
    if wal.length - wal.moved < PASSIVE_PAGES {
        return Ok(());
    }
    let statement = if wal.length < RESTART_PAGES { sql::PASSIVE } else { sql::RESTART };
    sqlx::raw_sql(statement).execute(connection).await?;
    Ok(())
}

pub(super) mod sql {
    super::super::statements::statements! {
        /// (busy, pages in the write-ahead log, pages moved), doing nothing.
        LENGTH = "PRAGMA wal_checkpoint(NOOP)";
        PASSIVE = "PRAGMA wal_checkpoint(PASSIVE)";
        /// Waits for readers only briefly: who appends is waiting, too.
        RESTART = "PRAGMA busy_timeout = 50; PRAGMA wal_checkpoint(RESTART); PRAGMA busy_timeout = 2000";
    }
}
