//! Rewriting a file of SQLite's, so that nothing is left of what was deleted from it.
//!
//! SQLite overwrites deleted cells where it is told to, but a page that is rebuilt keeps old bytes in its gaps. So
//! every page is written anew (`VACUUM`), and then the write-ahead log, which holds older versions of pages, is
//! moved into the file and cut off. ReaderPool of an older state prevent the second step.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::{Database, sqlite};
use crate::store::StoreError;

/// Outcome of a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewriteOutcome {
    /// Neither the file nor its write-ahead log holds what was deleted.
    Complete,
    /// A reader of an older state needs the write-ahead log, which may hold what was deleted.
    BlockedByReader,
    /// A server keeps the tables; there is no file to rewrite.
    NoFile,
}

impl Database {
    /// Rewrites the file. Waits so long for each process that reads or writes it.
    pub(in crate::store) async fn rewrite(
        &self,
        patience: Duration,
    ) -> Result<RewriteOutcome, StoreError> {
        let Self::Sqlite { writer, .. } = self else { return Ok(RewriteOutcome::NoFile) };
        // Held until the end: whoever writes in this process waits here, instead of at the file.
        let mut writer = writer.lock().await;
        let own = writer.take().await?;
        writer.put_back(own);
        // A connection of its own: the one that writes may keep temporary tables in memory, and this one needs as
        // much room as the file.
        let path = writer.path().to_owned();
        let options = sqlite::options(&path).busy_timeout(patience);
        let mut connection = sqlite::connect(&path, options).await?;
        let rewritten = rewrite(&mut connection).await;
        // What was committed is on the disk; a connection that closes badly loses nothing.
        let _ = connection.close().await;
        rewritten
    }
}

async fn rewrite(connection: &mut SqliteConnection) -> Result<RewriteOutcome, StoreError> {
    // First, so that a reader does not make the write-ahead log grow by the whole file at every attempt.
    if !cut_off_wal(connection).await? {
        return Ok(RewriteOutcome::BlockedByReader);
    }
    sqlx::raw_sql(sql::VACUUM.sqlite).execute(&mut *connection).await?;
    let is_cut_off = cut_off_wal(connection).await?;
    Ok(if is_cut_off { RewriteOutcome::Complete } else { RewriteOutcome::BlockedByReader })
}

/// Moves the write-ahead log into the file and cuts it off. False where a reader needs it.
async fn cut_off_wal(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let row = sqlx::raw_sql(sql::CUT_OFF.sqlite).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(0)? == 0)
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        VACUUM = sqlite "VACUUM";
        /// (busy, pages in the write-ahead log, pages moved).
        CUT_OFF = sqlite "PRAGMA wal_checkpoint(TRUNCATE)";
    }
}
