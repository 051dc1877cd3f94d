//! Opening of SQLite files, and their identity.

use std::path::Path;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::store::error::StoreError;
use crate::store::failure::DatabaseFailure;

/// Maximum time that an operation waits for the lock of another process.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
/// Number of bytes of a file that readers map into memory. It is only address space until it is read.
const READER_MMAP_BYTES: &str = "1099511627776";

/// Options of every connection. Statements are not logged, because their values include bodies.
pub(in crate::store) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .busy_timeout(BUSY_TIMEOUT)
        .disable_statement_logging()
}

/// Options of read connections.
pub(super) fn reader_options(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options.pragma("query_only", "ON").pragma("mmap_size", READER_MMAP_BYTES)
}

/// Opens a connection. The error names the file.
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

/// Reason why a file cannot be opened, for a message.
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
        Some("5" | "261" | "517") => "another program has locked it".to_owned(),
        Some("8" | "14" | "1032" | "1544") => "it cannot be written".to_owned(),
        Some("13" | "778" | "4874") => "its disk is full".to_owned(),
        _ => "it cannot be read or written".to_owned(),
    }
}

/// Identity of the file at a path. It changes if the file is moved, replaced or deleted: writes to the old file would
/// be lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct FileIdentity {
    device: u64,
    inode: u64,
}

impl FileIdentity {
    /// Reads the identity of the file at a path, if there is one. On a system without inodes all files are equal.
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
