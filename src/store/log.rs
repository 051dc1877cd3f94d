//! The log: every event as it was received, in the order it was committed.

use std::path::Path;
use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnectOptions;
use tokio::sync::{Mutex, watch};

use super::append;
use super::db::{self, Database, Dialect, Session, Writer};
use super::event::random_bytes;
use super::wal_checkpoint::WalCheckpointer;
use super::{Damage, DamageCause, DatabaseUrl, LogHead, OpenMode, StoreError};
use crate::clock::Clock;
use crate::ids::Position;
use crate::time::ReceivedAt;
use crate::tree::{Frontier, Hash};

/// Bytes in a page: batches of 4 KB events are written half again as fast as with SQLite's 4 KiB.
const PAGE_BYTES: u32 = 16 * 1024;
/// The writer's page cache, in KiB (negative is SQLite's way to say so).
const WRITER_CACHE: &str = "-65536";
/// Bytes that the write-ahead log keeps when it starts from the front again: what a long reader
/// made it grow beyond is given back to the disk.
const WAL_BYTES_KEPT: &str = "67108864";

/// A handle on the log. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct Log(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) url: DatabaseUrl,
    pub(super) clock: Clock,
    pub(super) db: Database,
    /// Of SQLite's write-ahead log; locked only by who holds the writer.
    pub(super) checkpointer: Mutex<WalCheckpointer>,
    /// The head of PostgreSQL's log; locked by who appends.
    pub(super) cached_head: Mutex<Option<append::postgres::CachedHead>>,
    pub(super) appended: watch::Sender<Position>,
}

/// What is found where a log may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExistingSchema {
    Empty,
    /// A log of this schema version, and how many migrations made it.
    Log {
        version: i64,
        migrations: i64,
    },
    /// Tables of another program.
    Foreign,
}

impl Log {
    /// Opens the log and brings its schema up to date.
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
                    readers: db::reader_pool(path),
                }
            }
            DatabaseUrl::Postgres(server) => {
                let db = Database::for_server(server, db::POSTGRES_LOG_SCHEMA)?;
                db.check().await.map_err(|error| error.into_unreachable(url))?;
                let mut reader = db.read().await?;
                let found = detect_schema(&mut reader.session()).await?;
                drop(reader);
                if mode == OpenMode::Existing && found == ExistingSchema::Empty {
                    return Err(no_ledger());
                }
                if needs_migration(url, Dialect::Postgres, found)? {
                    let mut write = db.write().await?;
                    let mut session = write.session();
                    session.run(sql::MAKE_SCHEMA).await?;
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

    /// The end of the log.
    pub async fn head(&self) -> Result<LogHead, StoreError> {
        let mut reader = self.0.db.read().await?;
        let row = reader.session().query(sql::HEAD).fetch_one().await?;
        Ok(LogHead {
            log_id: row.get(0)?,
            size: Position(row.get(1)?),
            root: hash(row.get(2)?)?,
            last_received_at: ReceivedAt(row.get(3)?),
            restored: Position(row.get(4)?),
        })
    }

    /// The instant now, by the clock that the log receives events by.
    pub(crate) fn now(&self) -> ReceivedAt {
        self.0.clock.now()
    }

    /// Wakes whoever waits for events that this process appends; holds the last position. What
    /// other processes append does not show here.
    pub fn appended(&self) -> watch::Receiver<Position> {
        self.0.appended.subscribe()
    }

    /// The file; none where a server keeps the log.
    pub fn path(&self) -> Option<&Path> {
        self.0.url.log_path()
    }

    pub(crate) async fn close(&self) {
        self.0.db.close().await;
    }
}

/// The options of the one connection that writes.
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

/// A ledger's display_location, for people.
pub(super) fn display_location(url: &DatabaseUrl) -> String {
    url.log_path().map_or_else(|| url.to_string(), |path| path.display().to_string())
}

/// Error of a file that is there and holds nothing, or of a database without a ledger.
pub(super) fn no_log_error(url: &DatabaseUrl) -> StoreError {
    match url {
        DatabaseUrl::Sqlite(path) => StoreError::CannotOpen {
            path: path.clone(),
            reason: "it is empty, and no ledger".to_owned(),
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

/// Whether what was found is no log of this version yet.
pub(super) fn needs_migration(
    url: &DatabaseUrl,
    dialect: Dialect,
    found: ExistingSchema,
) -> Result<bool, StoreError> {
    let known = db::latest_version(dialect);
    match found {
        ExistingSchema::Empty => Ok(true),
        // Counted as well: one of them may be missing although a later one was applied.
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

/// Makes or updates the schema, in the caller's transaction, so that two processes do not do it at once.
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

/// A stored hash.
pub(super) fn hash(bytes: &[u8]) -> Result<Hash, StoreError> {
    bytes.try_into().map_err(|_| StoreError::Corrupt("a hash has the wrong length".to_owned()))
}

/// The stored leaf hash of the event at a position, which must have one.
pub(super) fn leaf_hash(
    position: Position,
    bytes: Result<Option<&[u8]>, StoreError>,
) -> Result<Hash, StoreError> {
    let damaged = |wrong| {
        let cause = DamageCause::Column { name: "leaf_hash", wrong };
        Damage::new(position, position, cause)
    };
    let bytes = bytes.map_err(|_| damaged("is of a wrong type"))?;
    let bytes = bytes.ok_or_else(|| damaged("is missing"))?;
    Ok(bytes.try_into().map_err(|_| damaged("has a wrong length"))?)
}

pub(super) mod sql {
    crate::store::db::statements! {
        HEAD = "SELECT log_id, size, root, last_received_at, restored FROM log_head";
        HEAD_CREATE = sqlite "INSERT INTO log_head (one, log_id, size, root, frontier, last_received_at, restored)
            SELECT 1, $1, 0, $2, x'', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM log_head)",
            postgres "INSERT INTO log_head (one, log_id, size, root, frontier, last_received_at, restored)
            SELECT 1, $1, 0, $2::bytea, '', 0, 0 WHERE NOT EXISTS (SELECT 1 FROM log_head)";
        /// How many tables there are, and whether they are a log's.
        SCHEMA = sqlite "SELECT count(*), ifnull(max(name = 'log_head'), 0) FROM sqlite_schema WHERE type = 'table'",
            postgres "SELECT count(*), coalesce(bool_or(tablename = 'log_head'), FALSE) FROM pg_tables WHERE schemaname = 'subledger'";
        VERSION = "SELECT coalesce(max(version), 0), count(*) FROM _sqlx_migrations";
        /// One process at a time, for as long as its transaction lasts; the number is this program's own.
        MAKE_SCHEMA = postgres "SELECT pg_advisory_xact_lock(7163520240001); DO $$ BEGIN
                IF to_regnamespace('subledger') IS NULL THEN CREATE SCHEMA subledger; END IF; END $$";
    }
}
