//! How SQLite is opened here, and how a file is recognised.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::readers::ReaderPool;
use crate::store::StoreError;
use crate::store::failure::DatabaseFailure;

/// How long a verb waits for another process's lock before it is unavailable.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// How much of a file readers map into memory, in bytes. Only address space until it is read.
const READER_MMAP_BYTES: &str = "1099511627776";

/// What every connection has in common. Statements are not logged: they would carry bodies.
pub(in crate::store) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// Connections that cannot write.
pub(in crate::store) fn reader_pool(path: &Path) -> ReaderPool {
    ReaderPool::new(reader_options(options(path)))
}

/// Options of connections that read.
pub(super) fn reader_options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.pragma("query_only", "ON").pragma("mmap_size", READER_MMAP_BYTES)
}

/// Opens a connection; failing that, says which file it was.
pub(in crate::store) async fn connect(
    path: &Path,
    options: SqliteConnectOptions,
) -> Result<SqliteConnection, StoreError> {
    options.connect().await.map_err(|error| cannot_open(path, error))
}

/// Error of a file that cannot be opened.
pub(super) fn cannot_open(path: &Path, error: sqlx::Error) -> StoreError {
    StoreError::CannotOpen {
        path: path.to_owned(),
        reason: reason(path, &error),
        source: Some(DatabaseFailure::from(error).into()),
    }
}

/// Why a file cannot be opened, for people.
fn reason(path: &Path, error: &sqlx::Error) -> String {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    if path.is_dir() {
        return "it is a directory".to_owned();
    }
    if let Some(parent) = parent.filter(|parent| !parent.is_dir()) {
        return format!("the directory {} does not exist", parent.display());
    }
    match error.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() {
        Some("26") => "it is not a ledger".to_owned(),
        Some("5" | "261" | "517") => "another program holds it locked".to_owned(),
        Some("8" | "14" | "1032" | "1544") => "it cannot be written".to_owned(),
        Some("13" | "778" | "4874") => "its disk is full".to_owned(),
        _ => "it cannot be read or written".to_owned(),
    }
}

/// Which file a path names: a file that was moved away, replaced or deleted is another one, and
/// what is written to it would be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// The file at this path, if there is one. Where the system has no inodes, all files are one.
    pub(in crate::store) fn for_path(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        #[cfg(unix)]
        let (device, inode) = {
            use std::os::unix::fs::MetadataExt as _;
            (metadata.dev(), metadata.ino())
        };
        #[cfg(not(unix))]
        let (device, inode) = (0, u64::from(!metadata.is_file()));
        Some(Self { device, inode })
    }
}
