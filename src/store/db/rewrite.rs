//! Rewriting of a SQLite file, so that it holds no deleted bytes.
//!
//! With `secure_delete` SQLite overwrites deleted cells, but a rebuilt page keeps old bytes in its gaps. `VACUUM`
//! therefore rewrites every page. Then the write-ahead log, which holds older versions of pages, is moved into the file
//! and truncated. A reader of an older state prevents the second step.

use std::time::Duration;

use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Row as _};

use super::database::Database;
use super::sqlite;
use crate::store::error::StoreError;

/// Outcome of a rewrite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RewriteOutcome {
    /// Neither the file nor its write-ahead log holds deleted bytes.
    Complete,
    /// A reader of an older state needs the write-ahead log, which may hold deleted bytes.
    BlockedByReader,
    /// The database is on a server; there is no file to rewrite.
    NoFile,
}

impl Database {
    /// Rewrites the file. Waits at most `patience` for the lock of another process.
    pub(in crate::store) async fn rewrite(
        &self,
        patience: Duration,
    ) -> Result<RewriteOutcome, StoreError> {
        let Self::Sqlite { writer, .. } = self else { return Ok(RewriteOutcome::NoFile) };
        // Held until the end, so that other writers of this process wait here and not at the file.
        let mut writer = writer.lock().await;
        let own = writer.take().await?;
        writer.put_back(own);
        // A separate connection: the writer may keep temporary tables in memory, and VACUUM needs as much space as the
        // file.
        let path = writer.path().to_owned();
        let options = sqlite::options(&path).busy_timeout(patience);
        let mut connection = sqlite::connect(&path, options).await?;
        let rewritten = rewrite(&mut connection).await;
        // A failed close loses nothing that was committed.
        let _ = connection.close().await;
        rewritten
    }
}

async fn rewrite(connection: &mut SqliteConnection) -> Result<RewriteOutcome, StoreError> {
    // Checked first, so that an attempt beside a reader does not grow the write-ahead log by the whole file.
    if !truncate_wal(connection).await? {
        return Ok(RewriteOutcome::BlockedByReader);
    }
    sqlx::raw_sql(sql::VACUUM.sqlite).execute(&mut *connection).await?;
    let is_truncated = truncate_wal(connection).await?;
    Ok(if is_truncated { RewriteOutcome::Complete } else { RewriteOutcome::BlockedByReader })
}

/// Moves the write-ahead log into the file and truncates it. False if a reader needs it.
async fn truncate_wal(connection: &mut SqliteConnection) -> Result<bool, StoreError> {
    let row = sqlx::raw_sql(sql::TRUNCATE_WAL.sqlite).fetch_one(connection).await?;
    Ok(row.try_get::<i64, _>(0)? == 0)
}

pub(in crate::store) mod sql {
    crate::store::db::statement::statements! {
        VACUUM = sqlite "VACUUM";
        /// Columns: busy, pages in the write-ahead log, pages moved.
        TRUNCATE_WAL = sqlite "PRAGMA wal_checkpoint(TRUNCATE)";
    }
}
