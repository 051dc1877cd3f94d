//! The log: every event as it was received, in the order of the commits.

use std::path::Path;
use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Mutex, watch};

use super::db::{self, Database, Dialect, ReaderPool, Session, Writer};
use super::error::StoreError;
use super::event::random_bytes;
use super::head::{CachedHead, LogHead};
use super::inspect::{ExpectedTriggers, Inspection, check_integrity, check_triggers};
use super::open_mode::OpenMode;
use super::url::DatabaseUrl;
use super::wal_checkpoint::WalCheckpointer;
use crate::clock::Clock;
use crate::ids::Position;
use crate::time::ReceivedAt;
use crate::tree::Frontier;

/// Page size in bytes. Batches of 4 KB events are written 1.5 times as fast as with SQLite's default of 4 KiB.
const PAGE_BYTES: u32 = 16 * 1024;
/// Page cache of the writer, in KiB; SQLite takes a negative number as KiB.
const WRITER_CACHE: &str = "-65536";
/// Maximum size of the write-ahead log after a reset, in bytes. A long read may make it larger; the excess is returned
/// to the disk.
const WAL_BYTES_KEPT: &str = "67108864";

/// Handle of the log. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Log(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) url: DatabaseUrl,
    pub(super) clock: Clock,
    pub(super) db: Database,
    /// Checkpointer of SQLite's write-ahead log. Locked only while the writer is held.
    pub(super) checkpointer: Mutex<WalCheckpointer>,
    /// Head of a PostgreSQL log. Locked during an append.
    pub(super) cached_head: Mutex<Option<CachedHead>>,
    /// Last position that this process appended.
    pub(super) appended: watch::Sender<Position>,
}

/// Schema that a database has when it is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExistingSchema {
    Empty,
    /// Schema version of a log, and its number of applied migrations.
    Log {
        version: i64,
        migrations: i64,
    },
    /// Tables of another program.
    Foreign,
}

impl Log {
    /// Opens the log and migrates its schema.
    pub(super) async fn open(
        url: &DatabaseUrl,
        mode: OpenMode,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let no_ledger = || StoreError::NoLedger { ledger: display_location(url) };
        let db = match url {
            DatabaseUrl::Sqlite(path) => {
                if mode == OpenMode::Existing && !path.exists() {
                    return Err(no_ledger());
                }
                if mode == OpenMode::Create {
                    db::private::create_if_missing(path);
                }
                let options = options(path).create_if_missing(mode == OpenMode::Create);
                let mut connection = db::connect(path, options.clone()).await?;
                let found = detect_schema(&mut Session::Sqlite(&mut connection)).await?;
                if mode == OpenMode::Existing && found == ExistingSchema::Empty {
                    return Err(no_log_error(url));
                }
                if needs_migration(url, Dialect::Sqlite, found)? {
                    let begin = db::sql::BEGIN.sqlite;
                    let mut transaction = connection.begin_with(begin).await?;
                    migrate(&mut Session::Sqlite(&mut transaction)).await?;
                    transaction.commit().await?;
                }
                Database::Sqlite {
                    writer: Mutex::new(Writer::new(connection, options)?),
                    readers: ReaderPool::for_file(path),
                }
            }
            DatabaseUrl::Postgres(server) => {
                let db = Database::connect_server(server, db::POSTGRES_LOG_SCHEMA).await?;
                let mut reader = db.read().await?;
                let found = detect_schema(&mut reader.session()).await?;
                drop(reader);
                if mode == OpenMode::Existing && found == ExistingSchema::Empty {
                    return Err(no_ledger());
                }
                if needs_migration(url, Dialect::Postgres, found)? {
                    let mut write = db.write().await?;
                    let mut session = write.session();
                    session.run(sql::SCHEMA_CREATE).await?;
                    migrate(&mut session).await?;
                    write.commit().await?;
                }
                db
            }
        };
        let log = Self::new(url, clock, db);
        let head = log.head().await?;
        log.0.appended.send_replace(head.size);
        Ok(log)
    }

    pub(super) fn new(url: &DatabaseUrl, clock: Clock, db: Database) -> Self {
        Self(Arc::new(Inner {
            url: url.clone(),
            clock,
            db,
            checkpointer: Mutex::default(),
            cached_head: Mutex::default(),
            appended: watch::Sender::default(),
        }))
    }

    /// Reads the head of the log.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn head(&self) -> Result<LogHead, StoreError> {
        let mut reader = self.0.db.read().await?;
        let row = reader.session().query(sql::HEAD).fetch_one().await?;
        Ok(LogHead {
            log_id: row.get(0)?,
            size: Position(row.get(1)?),
            root: row.hash(2)?,
            last_received_at: ReceivedAt(row.get(3)?),
            restored: Position(row.get(4)?),
        })
    }

    /// Checks the log's database with its own means, and its triggers against those of the migrations.
    #[tracing::instrument(skip_all)]
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut inspection = Inspection::default();
        check_integrity(&self.0.db, "the log", &mut inspection).await?;
        check_triggers(&self.0.db, "the log", ExpectedTriggers::OfLog, &mut inspection).await?;
        Ok(inspection)
    }

    /// Current time by the clock that assigns the times of arrival.
    pub(crate) fn now(&self) -> ReceivedAt {
        self.0.clock.now()
    }

    /// Watches the last position that this process appended. Appends of other processes are not visible here.
    pub fn appended(&self) -> watch::Receiver<Position> {
        self.0.appended.subscribe()
    }

    /// File of the log. None for a server.
    pub fn path(&self) -> Option<&Path> {
        self.0.url.log_path()
    }

    pub(crate) async fn close(&self) {
        self.0.db.close().await;
    }
}

/// Options of the writer.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    use sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous};
    db::options(path)
        .page_size(PAGE_BYTES)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("wal_autocheckpoint", "0")
        .pragma("journal_size_limit", WAL_BYTES_KEPT)
        .pragma("cache_size", WRITER_CACHE)
}

/// Location of a ledger, for a message.
pub(super) fn display_location(url: &DatabaseUrl) -> String {
    url.log_path().map_or_else(|| url.to_string(), |path| path.display().to_string())
}

/// Error of an empty file, or of a database without a ledger.
pub(super) fn no_log_error(url: &DatabaseUrl) -> StoreError {
    match url {
        DatabaseUrl::Sqlite(path) => StoreError::CannotOpen {
            path: path.clone(),
            reason: "it is empty and not a ledger".to_owned(),
            source: None,
        },
        DatabaseUrl::Postgres(_) => StoreError::NoLedger { ledger: display_location(url) },
    }
}

pub(super) async fn detect_schema(session: &mut Session<'_>) -> Result<ExistingSchema, StoreError> {
    let row = session.query(sql::SCHEMA).fetch_one().await?;
    let (tables, is_log): (i64, bool) = (row.get(0)?, row.get(1)?);
    if is_log {
        let version = session.query(sql::VERSION).fetch_one().await?;
        return Ok(ExistingSchema::Log { version: version.get(0)?, migrations: version.get(1)? });
    }
    Ok(if tables > 0 { ExistingSchema::Foreign } else { ExistingSchema::Empty })
}

/// True if the database is empty, or has a log of an older version.
pub(super) fn needs_migration(
    url: &DatabaseUrl,
    dialect: Dialect,
    found: ExistingSchema,
) -> Result<bool, StoreError> {
    let known = db::latest_version(dialect);
    match found {
        ExistingSchema::Empty => Ok(true),
        // An earlier migration may be missing although a later one was applied.
        ExistingSchema::Log { version, migrations } if version <= known => {
            Ok(migrations < db::migration_count(dialect))
        }
        ExistingSchema::Log { version: found, .. } => {
            Err(StoreError::NewerSchema { ledger: display_location(url), found, known })
        }
        ExistingSchema::Foreign => {
            let reason = "it is a database of another program".to_owned();
            Err(match url {
                DatabaseUrl::Sqlite(path) => {
                    StoreError::CannotOpen { path: path.clone(), reason, source: None }
                }
                DatabaseUrl::Postgres(_) => {
                    StoreError::Unreachable { database: url.to_string(), cause: reason.into() }
                }
            })
        }
    }
}

/// Creates or migrates the schema, in the caller's transaction, so that only one process does it.
async fn migrate(session: &mut Session<'_>) -> Result<(), StoreError> {
    db::migrate(session).await?;
    session
        .query(sql::HEAD_CREATE)
        .bind(hex::encode(random_bytes::<16>()))
        .bind(Frontier::default().root().to_vec())
        .execute()
        .await?;
    Ok(())
}

pub(super) mod sql {
    crate::store::db::statements! {
        HEAD = "SELECT log_id, size, root, last_received_at, restored FROM log_head";
        HEAD_CREATE = sqlite "INSERT INTO log_head (one, log_id, size, root, frontier, last_received_at, restored)
            SELECT 1, $1, 0, $2, x'', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM log_head)",
            postgres "INSERT INTO log_head (one, log_id, size, root, frontier, last_received_at, restored)
            SELECT 1, $1, 0, $2::bytea, '', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM log_head)";
        /// Number of tables, and whether one of them is the head of a log.
        SCHEMA = sqlite "SELECT count(*), ifnull(max(name = 'log_head'), 0) FROM sqlite_schema WHERE type = 'table'",
            postgres "SELECT count(*), coalesce(bool_or(tablename = 'log_head'), FALSE) FROM pg_tables WHERE schemaname = 'subledger'";
        VERSION = "SELECT coalesce(max(version), 0), count(*) FROM _sqlx_migrations";
        /// Takes a lock until the end of the transaction, so that one process at a time migrates. The number identifies
        /// the lock and is arbitrary.
        SCHEMA_CREATE = postgres "SELECT pg_advisory_xact_lock(7163520240001); DO $$ BEGIN
                IF to_regnamespace('subledger') IS NULL THEN CREATE SCHEMA subledger; END IF; END $$";
    }
}
