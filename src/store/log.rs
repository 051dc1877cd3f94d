//! The log: every event as it was received, in the order it was committed.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::migrate::{Migrate as _, MigrateError};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqlitePool};
use tokio::sync::{Mutex, watch};

use super::checkpoint::Checkpoints;
use super::event::draw;
use super::tree::{Frontier, Hash};
use super::writer::Writer;
use super::{LogHead, Opening, StoreError, append, sqlite};
use crate::clock::Clock;
use crate::ids::Position;
use crate::time::ReceivedAt;

/// Schema versions of the log; only ever added to.
static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("migrations/sqlite");

/// Where the schema versions of a log are noted; as `sqlx` names it.
const MIGRATIONS_TABLE: &str = "_sqlx_migrations";

/// Bytes in a page: batches of 4 KB events are written half again as fast as with SQLite's 4 KiB.
const PAGE_BYTES: u32 = 16 * 1024;
/// The writer's page cache, in KiB (negative is SQLite's way to say so).
const WRITER_CACHE: &str = "-65536";
/// Bytes that the write-ahead log keeps when it starts from the front again: what a long reader
/// made it grow beyond is given back to the disk.
const WAL_BYTES_KEPT: &str = "67108864";

/// A handle on the log. Cheap to clone; all clones share one writer.
#[derive(Clone, Debug)]
pub struct Log(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) path: PathBuf,
    pub(super) clock: Clock,
    pub(super) writer: Mutex<Writer>,
    /// Locked only by who holds the writer.
    pub(super) checkpoints: Mutex<Checkpoints>,
    pub(super) readers: SqlitePool,
    pub(super) appended: watch::Sender<Position>,
}

impl Log {
    /// Opens the log and brings its schema up to date.
    pub(super) async fn open(
        path: &Path,
        opening: Opening,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        if opening == Opening::Existing && !path.exists() {
            return Err(StoreError::NoLedger { path: path.to_owned() });
        }
        let options = options(path).create_if_missing(opening == Opening::Create);
        let mut connection = sqlite::connect(path, options.clone()).await?;
        migrate(&mut connection, path).await?;
        let readers = sqlite::readers(path);
        let log = Self(Arc::new(Inner {
            path: path.to_owned(),
            clock,
            writer: Mutex::new(Writer::new(connection, options)?),
            checkpoints: Mutex::default(),
            readers,
            appended: watch::Sender::default(),
        }));
        let head = log.head().await?;
        log.0.appended.send_replace(head.size);
        Ok(log)
    }

    /// A log that is there, to be read as it is: its schema is not brought up to date. None where
    /// there is no log.
    pub(crate) async fn look(path: &Path, clock: Clock) -> Result<Option<Self>, StoreError> {
        if !path.exists() {
            return Ok(None);
        }
        let readers = sqlite::readers(path);
        let (_, is_log): (i64, bool) = sqlx::query_as(sql::SCHEMA).fetch_one(&readers).await?;
        let log = Self(Arc::new(Inner {
            path: path.to_owned(),
            clock,
            writer: Mutex::new(Writer::unopened(options(path))?),
            checkpoints: Mutex::default(),
            readers,
            appended: watch::Sender::default(),
        }));
        Ok(is_log.then_some(log))
    }

    /// The end of the log.
    pub async fn head(&self) -> Result<LogHead, StoreError> {
        let (log_id, size, root, last): (String, i64, Vec<u8>, i64) =
            sqlx::query_as(sql::HEAD).fetch_one(&self.0.readers).await?;
        Ok(LogHead {
            log_id,
            size: Position(size),
            root: hash(&root)?,
            last_received_at: ReceivedAt(last),
        })
    }

    /// Wakes whoever waits for events that this process appends; holds the last position. What
    /// other processes append does not show here.
    pub fn appended(&self) -> watch::Receiver<Position> {
        self.0.appended.subscribe()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Copies the log as it is now into a new file, while it is in use.
    pub async fn backup(&self, to: &Path) -> Result<(), StoreError> {
        if to.exists() {
            return Err(StoreError::FileExists { path: to.to_owned() });
        }
        let cannot = |reason: &str| StoreError::CannotOpen {
            path: to.to_owned(),
            reason: reason.to_owned(),
            source: None,
        };
        let name = to.to_str().ok_or_else(|| cannot("its name is not UTF-8"))?;
        if name.starts_with("file:") {
            return Err(cannot("its name must not start with `file:`"));
        }
        let mut connection = sqlite::connect(&self.0.path, sqlite::options(&self.0.path)).await?;
        sqlx::query(sql::BACKUP).bind(name).execute(&mut connection).await.map_err(|error| {
            match StoreError::from(error) {
                StoreError::Unavailable(source) | StoreError::CannotGrow(source) => {
                    StoreError::CannotOpen {
                        path: to.to_owned(),
                        reason: "it cannot be written".to_owned(),
                        source: Some(source),
                    }
                }
                other => other,
            }
        })?;
        connection.close().await?;
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.0.readers.close().await;
        self.0.writer.lock().await.close().await;
    }
}

/// The options of the one connection that writes.
fn options(path: &Path) -> SqliteConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    sqlite::options(path)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", WAL_BYTES_KEPT)
        .pragma("cache_size", WRITER_CACHE)
}

/// Makes or updates the schema, in one transaction, so that two processes do not do it at once.
async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let known = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
    let (tables, is_log): (i64, bool) =
        sqlx::query_as(sql::SCHEMA).fetch_one(&mut *connection).await?;
    if is_log {
        let found: i64 = sqlx::query_scalar(sql::VERSION).fetch_one(&mut *connection).await?;
        if found == known {
            return Ok(());
        }
        if found > known {
            return Err(StoreError::NewerSchema { path: path.to_owned(), found, known });
        }
    } else if tables > 0 {
        return Err(StoreError::CannotOpen {
            path: path.to_owned(),
            reason: "it is a database of another program".to_owned(),
            source: None,
        });
    }
    let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
    run_migrations(&mut transaction).await.map_err(|error| match error {
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => error.into(),
        other => StoreError::Internal(other.into()),
    })?;
    sqlx::query(sql::HEAD_CREATE)
        .bind(hex::encode(draw::<16>()))
        .bind(Frontier::default().root().to_vec())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Applies what was not yet applied, in the caller's transaction.
async fn run_migrations(connection: &mut SqliteConnection) -> Result<(), MigrateError> {
    connection.ensure_migrations_table(MIGRATIONS_TABLE).await?;
    let applied = connection.list_applied_migrations(MIGRATIONS_TABLE).await?;
    for migration in MIGRATIONS.iter() {
        match applied.iter().find(|it| it.version == migration.version) {
            None => {
                connection.apply(MIGRATIONS_TABLE, migration).await?;
            }
            Some(it) if it.checksum != migration.checksum => {
                return Err(MigrateError::VersionMismatch(migration.version));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

/// A stored hash.
pub(super) fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash has the wrong length".to_owned()))
}

pub(super) mod sql {
    super::super::statements::statements! {
        HEAD = "SELECT log_id, size, root, last_received_at FROM log_head";
        HEAD_CREATE = "INSERT INTO log_head (one, log_id, size, root, frontier, last_received_at, restored)
            SELECT 1, ?, 0, ?, x'', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM log_head)";
        BACKUP = "VACUUM INTO ?";
        /// How many tables there are, and whether they are a log's.
        SCHEMA = "SELECT count(*), ifnull(max(name = 'log_head'), 0) FROM sqlite_schema WHERE type = 'table'";
        VERSION = "SELECT ifnull(max(version), 0) FROM _sqlx_migrations";
    }
}
