//! The read models: made from the log, and made again whenever the file is missing, of an older
//! version, or unreadable.
//!
//! A [`Generation`] is one build of all projections, in tables of its own. The view
//! `current_subscriptions` shows the live one.

mod bulk;
mod cells;
pub(super) mod diff;
mod difference;
pub(super) mod fold;
pub(super) mod generation;
pub(super) mod lease;
pub(super) mod shape;
pub(super) mod space;
pub(super) mod subscriptions;
pub(super) mod swap;
pub(super) mod timeline;

use std::path::Path;
use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::sqlite::{
    SqliteAutoVacuum, SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool,
    SqliteSynchronous,
};
use tokio::sync::Mutex;

pub use diff::Comparison;
pub use difference::{
    AccessCounts, ChangeKind, ChangedSubscription, DiffCounts, Effect, FieldChange, FieldCount,
};
pub use fold::{FoldBatch, Parked, TimelineEntry};
pub use generation::{Begun, Generation, GenerationId, GenerationLogic, GenerationStatus};
pub use lease::Lease;
pub use subscriptions::{SubscriptionFilter, SubscriptionKey};
pub use swap::Completion;
pub use timeline::Subject;

use self::shape::Shape;
use super::writer::Writer;
use super::{StoreError, append, sqlite};
use crate::clock::Clock;
use crate::ids::Position;
use crate::time::ReceivedAt;

/// The version of the static tables here; a file of an older version is made anew.
const SCHEMA_VERSION: i64 = 2;
/// Bytes in a page: customers' states are some KB each.
const PAGE_BYTES: u32 = 8 * 1024;
/// Pages in the write-ahead log before a commit moves them into the file: 128 MiB. Rows that change
/// again and again are moved once, and a backlog is folded a fifth faster than with 32 MiB.
const WAL_PAGES: &str = "16384";
/// The writer's page cache, in KiB (negative is SQLite's way to say so).
const WRITER_CACHE: &str = "-65536";

/// A handle on the read models. Cheap to clone; all clones share one writer.
#[derive(Clone, Debug)]
pub struct ReadModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    writer: Mutex<Writer>,
    readers: SqlitePool,
    /// The shape of the live generation, once it was read.
    shape: std::sync::Mutex<Option<Arc<Shape>>>,
}

/// Which generation an answer was read from, and how far it had folded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationStamp {
    /// The generation.
    pub generation: GenerationId,
    /// The last event that is in the answer.
    pub position: Position,
    /// When that event was received; zero before the first.
    pub folded_received_at: ReceivedAt,
}

impl ReadModel {
    /// Opens the file, or makes it; one that cannot be used is removed first.
    pub(super) async fn open(path: &Path, clock: Clock) -> Result<Self, StoreError> {
        let options = options(path);
        let connection = match usable(&options).await {
            Ok(Some(connection)) => connection,
            Ok(None) | Err(StoreError::Corrupt(_)) => {
                remove(path)?;
                let mut connection = sqlite::connect(path, options.clone()).await?;
                create(&mut connection).await?;
                connection
            }
            Err(error) => return Err(error),
        };
        Ok(Self(Arc::new(Inner {
            clock,
            writer: Mutex::new(Writer::new(connection, options)?),
            readers: sqlite::readers(path),
            shape: std::sync::Mutex::default(),
        })))
    }

    /// The read models that are there, to be read as they are: nothing is made, and nothing removed. None
    /// where [`Self::open`] would begin from nothing.
    pub(crate) async fn look(path: &Path, clock: Clock) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let readers = sqlite::readers(path);
        let version = sqlx::query_as(sql::VERSION).fetch_one(&readers).await;
        let (version, _): (i64, i64) = match version.map_err(StoreError::from) {
            Err(StoreError::Corrupt(_)) => return Ok(None),
            version => version?,
        };
        let model = Self(Arc::new(Inner {
            clock,
            writer: Mutex::new(Writer::unopened(options(path))?),
            readers,
            shape: std::sync::Mutex::default(),
        }));
        Ok((version >= SCHEMA_VERSION).then_some(model))
    }

    pub(super) async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.lock().await.close().await;
    }
}

/// Nothing here is lost for good, so a commit need not wait for the disk.
fn options(path: &Path) -> SqliteConnectOptions {
    sqlite::options(path)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", WAL_PAGES)
        // Where the journal of each statement goes: bounded by what one statement changes.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", WRITER_CACHE)
}

/// A connection to the file, if it is of this version; one that is empty is made so.
async fn usable(options: &SqliteConnectOptions) -> Result<Option<SqliteConnection>, StoreError> {
    let path = options.get_filename();
    let mut connection = match sqlite::connect(path, options.clone()).await {
        Err(StoreError::CannotOpen { source: Some(source), .. }) if is_no_database(&source) => {
            return Ok(None);
        }
        connected => connected?,
    };
    let (version, tables): (i64, i64) =
        sqlx::query_as(sql::VERSION).fetch_one(&mut connection).await?;
    if version == 0 && tables == 0 {
        create(&mut connection).await?;
    } else if version > SCHEMA_VERSION {
        // A newer program may be using it, and it would not find its file again.
        return Err(StoreError::NewerSchema {
            path: path.to_owned(),
            found: version,
            known: SCHEMA_VERSION,
        });
    } else if version < SCHEMA_VERSION {
        connection.close().await?;
        return Ok(None);
    }
    Ok(Some(connection))
}

fn is_no_database(source: &super::error::Source) -> bool {
    let code = source.downcast_ref::<sqlx::Error>().and_then(sqlx::Error::as_database_error);
    matches!(code.and_then(sqlx::error::DatabaseError::code).as_deref(), Some("26" | "11"))
}

/// Makes the static tables; where two processes do so at once, the second finds them made.
async fn create(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
    sqlx::raw_sql(sql::SCHEMA).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::CannotOpen {
                    path: file.into(),
                    reason: "it cannot be used, nor removed".to_owned(),
                    source: Some(error.into()),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        VERSION = "SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
        SCHEMA = "CREATE TABLE IF NOT EXISTS generations (
                id                 INTEGER PRIMARY KEY AUTOINCREMENT,
                status             TEXT    NOT NULL,
                fingerprint        TEXT    NOT NULL,
                fold_version       INTEGER NOT NULL,
                policy             TEXT    NOT NULL,
                user_keys          TEXT    NOT NULL,
                log_id             TEXT    NOT NULL,
                position           INTEGER NOT NULL DEFAULT 0,
                leaf_hash          BLOB,
                folded_received_at INTEGER NOT NULL DEFAULT 0,
                built              INTEGER NOT NULL DEFAULT 0,
                token              INTEGER NOT NULL DEFAULT 0,
                lease_holder       TEXT,
                lease_until        INTEGER NOT NULL DEFAULT 0,
                created_at         INTEGER NOT NULL,
                completed_at       INTEGER,
                pinned             INTEGER NOT NULL DEFAULT 0
            ) STRICT;
            PRAGMA user_version = 2";
    }
}
