//! Checkpoints of SQLite's write-ahead log, which keep it short.
//!
//! Every commit is written to the write-ahead log first. A checkpoint moves its pages into the file, after which a
//! commit may overwrite the log from its beginning. Automatic checkpoints are disabled, because they would run inside a
//! commit that a sender waits for.

use sqlx::Row as _;
use sqlx::sqlite::SqliteConnection;

use super::db::Statement;
use super::error::StoreError;

/// Number of pages that are not yet in the file from which on a checkpoint moves those that no reader needs: 16 MiB.
const PASSIVE_PAGES: i64 = 1024;
/// Length of the write-ahead log, in pages, from which on a checkpoint waits for readers, so that the log restarts from
/// its beginning: 64 MiB.
const RESTART_PAGES: i64 = 4096;

/// Number of committed bytes after which the length of the write-ahead log is queried.
const BYTES_UNASKED: usize = 1024 * 1024;
/// Bytes that a commit writes beside payloads: some pages of indexes and the head.
const BYTES_OF_COMMIT: usize = 128 * 1024;

/// State from which the writer of the log decides about checkpoints.
#[derive(Debug)]
pub(super) struct WalCheckpointer {
    /// Approximate number of bytes committed since the length was queried.
    unasked: usize,
    /// Length of the write-ahead log, in pages, from which on a checkpoint waits for readers.
    restart_from: i64,
}

impl Default for WalCheckpointer {
    fn default() -> Self {
        Self { unasked: 0, restart_from: RESTART_PAGES }
    }
}

impl WalCheckpointer {
    /// Runs a checkpoint if enough pages have accumulated. A checkpoint that cannot finish because of a reader is not
    /// an error: a later one continues.
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
                // A long read is running; appends must not wait for it at every commit.
                self.restart_from = wal.length + PASSIVE_PAGES;
            }
        }
        // Reset last, so that the next commit retries after a failure.
        self.unasked = 0;
        Ok(())
    }
}

/// State of the write-ahead log, in pages.
#[derive(Clone, Copy, Debug)]
struct Wal {
    busy: bool,
    length: i64,
    moved: i64,
}

impl Wal {
    /// Runs one of the statements below and reads its result.
    async fn after(
        statement: Statement,
        connection: &mut SqliteConnection,
    ) -> Result<Self, StoreError> {
        let rows = sqlx::raw_sql(statement.sqlite).fetch_all(connection).await?;
        let row = rows.iter().find(|row| row.len() == COLUMNS).ok_or(sqlx::Error::RowNotFound)?;
        Ok(Self { busy: row.try_get(0)?, length: row.try_get(1)?, moved: row.try_get(2)? })
    }
}

/// Number of columns of the result of a checkpoint, which distinguishes it from the results of other pragmas.
const COLUMNS: usize = 3;

pub(super) mod sql {
    crate::store::db::statements! {
        /// Queries the state without a checkpoint. Columns: busy, pages in the write-ahead log, pages moved.
        LENGTH = sqlite "PRAGMA wal_checkpoint(NOOP)";
        PASSIVE = sqlite "PRAGMA wal_checkpoint(PASSIVE)";
        /// Waits for readers only briefly, because appends wait meanwhile.
        RESTART = sqlite "PRAGMA busy_timeout = 50; PRAGMA wal_checkpoint(RESTART); PRAGMA busy_timeout = 2000";
    }
}
