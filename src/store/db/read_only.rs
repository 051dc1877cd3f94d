//! Read-only opening of a SQLite file, also on a read-only medium: nothing is created and nothing is written.
//!
//! A file in WAL mode is read together with its write-ahead log, for which SQLite needs a shared-memory file beside it.
//! The options that leave all three unwritten depend on which of them exist.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use super::readers::ReaderPool;
use super::sqlite::{self, cannot_open, options};
use crate::store::error::StoreError;

/// Opens a pool of read-only connections with the first options that work.
pub(in crate::store) async fn read_only_readers(path: &Path) -> Result<ReaderPool, StoreError> {
    let mut last = None;
    for options in open_options(path) {
        match probe(&options).await {
            Ok(()) => return Ok(ReaderPool::new(options)),
            // Other options help only if a file had to be created or written.
            Err(error) if !needs_to_write(&error) => return Err(cannot_open(path, error)),
            Err(error) => last = Some(error),
        }
    }
    Err(match last {
        Some(error) if has_content(&beside(path, "-wal")) => StoreError::CannotOpen {
            path: path.to_owned(),
            reason: format!(
                "its write-ahead log {} cannot be read on a read-only medium: copy both files together to a writable \
                 directory",
                beside(path, "-wal").display()
            ),
            source: Some(error.into()),
        },
        Some(error) => cannot_open(path, error),
        None => StoreError::file_gone(),
    })
}

/// Options with which a file may be opened, in the order in which they are tried.
fn open_options(path: &Path) -> Vec<SqliteConnectOptions> {
    let options = || sqlite::reader_options(options(path));
    if has_content(&beside(path, "-wal")) {
        // A writable connection would move the write-ahead log into the file when it closes.
        return vec![options().read_only(true)];
    }
    // Nobody has written since the file was closed. The files of WAL mode are created and removed again, or, if they
    // cannot be, the file is read as an immutable one.
    let immutable = options().read_only(true).immutable(true);
    if can_be_written(path) { vec![options(), immutable] } else { vec![immutable] }
}

async fn probe(options: &SqliteConnectOptions) -> Result<(), sqlx::Error> {
    let mut connection = options.connect().await?;
    let tried = sqlx::raw_sql(sql::PROBE.sqlite).execute(&mut connection).await;
    let closed = connection.close().await;
    tried?;
    closed
}

/// True if SQLite could not write a file, or could not create one.
fn needs_to_write(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let code = code.and_then(|code| code.parse::<i32>().ok()).unwrap_or(0);
    matches!(code & 0xff, READ_ONLY | CANNOT_OPEN)
}

/// Primary result codes of SQLite. <https://sqlite.org/rescode.html>
const READ_ONLY: i32 = 8;
const CANNOT_OPEN: i32 = 14;

fn can_be_written(path: &Path) -> bool {
    std::fs::OpenOptions::new().write(true).open(path).is_ok()
}

fn has_content(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}

pub(in crate::store) mod sql {
    crate::store::db::statement::statements! {
        /// Reads the file; opening a connection does not.
        PROBE = sqlite "SELECT count(*) FROM sqlite_schema";
    }
}
