//! Keeping the write-ahead log short.
//!
//! Every commit is written to it first. A checkpoint moves its pages into the file; the next commit
//! then starts it from the front again. Automatic checkpointer are off, because they run inside a
//! commit that someone waits for.

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::StoreError;
use super::db::Statement;

/// Pages that wait to be moved before a checkpoint moves what no reader holds: 16 MiB.
const PASSIVE_PAGES: i64 = 1024;
/// Pages in the write-ahead log before a checkpoint waits for its readers, so that it can start from the
/// front: 64 MiB.
const RESTART_PAGES: i64 = 4096;

/// Bytes that may be committed before the length of the write-ahead log is asked for.
const BYTES_UNASKED: usize = 1024 * 1024;
/// What a commit writes beside payloads, in bytes: some pages of indexes and the head.
const BYTES_OF_COMMIT: usize = 128 * 1024;

/// When the log's writer runs which checkpoint.
#[derive(Debug)]
pub(super) struct WalCheckpointer {
    /// Bytes committed since the length was asked for, roughly.
    unasked: usize,
    /// Pages in the write-ahead log from which on a checkpoint waits for readers.
    restart_from: i64,
}

impl Default for WalCheckpointer {
    fn default() -> Self {
        Self { unasked: 0, restart_from: RESTART_PAGES }
    }
}

impl WalCheckpointer {
    /// Runs a checkpoint if enough has gathered. One that cannot finish because of a reader is no
    /// error: a later one goes on.
    pub(super) async fn after_commit(
        &mut self,
        connection: &mut SqliteConnection,
        bytes: usize,
    ) -> Result<(), StoreError> {
        self.unasked = self.unasked.saturating_add(bytes + BYTES_OF_COMMIT);
        if self.unasked < BYTES_UNASKED {
            return Ok(());
        }
        let wal = Wal::after(sql::LENGTH, connection).await?;
        if wal.length < RESTART_PAGES {
            self.restart_from = RESTART_PAGES;
        }
        if wal.length - wal.moved >= PASSIVE_PAGES {
            if wal.length < self.restart_from {
                Wal::after(sql::PASSIVE, connection).await?;
            } else if Wal::after(sql::RESTART, connection).await?.busy {
                // The reader is a long one: who appends does not wait for it at every commit.
                self.restart_from = wal.length + PASSIVE_PAGES;
            }
        }
        // Only now: where something failed, the next commit tries again.
        self.unasked = 0;
        Ok(())
    }
}

/// The state of the write-ahead log, in pages.
#[derive(Clone, Copy, Debug)]
struct Wal {
    busy: bool,
    length: i64,
    moved: i64,
}

impl Wal {
    /// Runs one of the statements below.
    async fn after(
        statement: Statement,
        connection: &mut SqliteConnection,
    ) -> Result<Self, StoreError> {
        let rows = sqlx::raw_sql(statement.sqlite).fetch_all(connection).await?;
        let row = rows.iter().find(|row| row.len() == COLUMNS).ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self { busy: row.try_get(0)?, length: row.try_get(1)?, moved: row.try_get(2)? })
    }
}

/// Columns of a checkpoint's row, by which it is told from those of other pragmas.
const COLUMNS: usize = 3;

pub(super) mod sql {
    crate::store::db::statements! {
        /// (busy, pages in the write-ahead log, pages moved), doing nothing.
        LENGTH = sqlite "PRAGMA wal_checkpoint(NOOP)";
        PASSIVE = sqlite "PRAGMA wal_checkpoint(PASSIVE)";
        /// Waits for readers only briefly: who appends is waiting, too.
        RESTART = sqlite "PRAGMA busy_timeout = 50; PRAGMA wal_checkpoint(RESTART); PRAGMA busy_timeout = 2000";
    }
}
