//! The read models: made from the log, and made again whenever the file is missing, of an older
//! version, or unreadable.
//!
//! A [`Generation`] is one build of all projections, in tables of its own. The view
//! `current_subscriptions` shows the live one.

pub(super) mod access;
mod damage;
pub(super) mod diff;
mod difference;
pub(super) mod filter;
pub(super) mod fold;
pub(super) mod generation;
pub(super) mod item_properties;
pub(super) mod lease;
pub(super) mod reclaim;
mod row_values;
pub(super) mod schema;
pub(super) mod subscriptions;
pub(super) mod swap;
pub(super) mod timeline;

use std::path::Path;
use std::sync::Arc;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::Mutex;

pub use access::{AccessAnswer, AccessHolder, AccessKey, AccessQuestion, Grant};
pub use diff::Comparison;
pub use difference::{
    AccessCounts, AccessEffect, ChangeKind, ChangedSubscription, DiffCounts, FieldChange,
    FieldCount,
};
pub use filter::{ItemFilter, SubscriptionFilter, SubscriptionKey};
pub use fold::{FoldBatch, Parked, TimelineEntry};
pub use generation::{BeginOutcome, Generation, GenerationId, GenerationLogic, GenerationStatus};
pub use lease::Lease;
pub use subscriptions::SubscriptionPages;
pub use swap::SwapOutcome;
pub use timeline::TimelineKey;

use self::schema::GenerationSchema;
use super::db::{self, Database, Dialect, Session, Writer};
use super::failure::DatabaseFailure;
use super::{DatabaseUrl, StoreError};
use crate::clock::Clock;
use crate::ids::Position;
use crate::time::ReceivedAt;

/// The version of the static tables here; a file of an older version is made anew.
pub(super) const SCHEMA_VERSION: i64 = 2;
/// Bytes in a page: customers' states are some KB each.
const PAGE_BYTES: u32 = 8 * 1024;
/// Pages in the write-ahead log before a commit moves them into the file: 128 MiB. Rows that change
/// again and again are moved once, and a backlog is folded a fifth faster than with 32 MiB.
const WAL_PAGES: &str = "16384";
/// The writer's page cache, in KiB (negative is SQLite's way to say so).
const WRITER_CACHE: &str = "-65536";

/// A handle on the read models. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct ReadModel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    clock: Clock,
    db: Database,
    /// The schema of the live generation, once it was read.
    schema: std::sync::Mutex<Option<Arc<GenerationSchema>>>,
    /// DamageReport of damage that reads have met.
    damage_report: std::sync::Mutex<damage::DamageReport>,
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
    /// Opens the read models, or makes them; a file that cannot be used is removed first, and a schema of
    /// an older version too.
    pub(super) async fn open(url: &DatabaseUrl, clock: Clock) -> Result<Self, StoreError> {
        let db = match url {
            DatabaseUrl::Postgres(server) => {
                let db = Database::for_server(server, db::POSTGRES_READ_SCHEMA)?;
                create(&db, url).await?;
                db
            }
            DatabaseUrl::Sqlite(_) => {
                let path = url.read_path().unwrap_or_default();
                db::private::create_if_missing(&path);
                if !is_usable(&path).await? {
                    remove(&path)?;
                    db::private::create_if_missing(&path);
                }
                let options = options(&path);
                let connection = db::connect(&path, options.clone()).await?;
                let db = Database::Sqlite {
                    writer: Mutex::new(Writer::new(connection, options)?),
                    readers: db::reader_pool(&path),
                };
                create(&db, url).await?;
                db
            }
        };
        let read_model = Self::new(db, clock);
        if url.read_path().is_some()
            && let Err(error) = read_model.renew_view().await
        {
            // This program does not read the view. The next one that opens the file tries again.
            tracing::debug!(%error, "the view current_subscriptions is not renewed yet: {error}");
        }
        Ok(read_model)
    }

    pub(super) fn new(db: Database, clock: Clock) -> Self {
        let (schema, damage_report) = (std::sync::Mutex::default(), std::sync::Mutex::default());
        Self(Arc::new(Inner { clock, db, schema, damage_report }))
    }

    pub(super) fn database(&self) -> &Database {
        &self.0.db
    }

    /// True if there is none, or none that can be opened.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.0.db, Database::Absent(_))
    }

    pub(crate) async fn close(&self) {
        self.0.db.close().await;
    }
}

/// Nothing here is lost for good, so a commit need not wait for the disk.
pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    db::options(path)
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

/// The schema's version, and how many tables there are.
pub(super) async fn version(session: &mut Session<'_>) -> Result<(i64, i64), StoreError> {
    let row = session.query(sql::VERSION).fetch_one().await?;
    Ok((row.get(0)?, row.get(1)?))
}

/// Whether the file is of this version or can be made so; a newer one is an error.
async fn is_usable(path: &Path) -> Result<bool, StoreError> {
    let mut connection = match db::connect(path, options(path)).await {
        Err(StoreError::CannotOpen { source: Some(source), .. }) if is_no_database(&source) => {
            return Ok(false);
        }
        connected => connected?,
    };
    let version = version(&mut Session::Sqlite(&mut connection)).await;
    connection.close().await?;
    match version {
        Err(StoreError::Corrupt(_)) => Ok(false),
        // A newer one is refused when it is opened: a newer program may be using it, and it would not
        // find its file again.
        version => version.map(|(version, tables)| version >= SCHEMA_VERSION || tables == 0),
    }
}

/// Refuses a schema of a newer program.
pub(super) fn must_be_known(url: &DatabaseUrl, found: i64) -> Result<(), StoreError> {
    if found <= SCHEMA_VERSION {
        return Ok(());
    }
    let read_path = url.read_path().map(|path| path.display().to_string());
    let ledger = read_path.unwrap_or_else(|| url.to_string());
    Err(StoreError::NewerSchema { ledger, found, known: SCHEMA_VERSION })
}

/// Makes the static tables; where two processes do so at once, the second finds them made.
async fn create(db: &Database, url: &DatabaseUrl) -> Result<(), StoreError> {
    let mut reader = db.read().await?;
    let (found, tables) = version(&mut reader.session()).await?;
    drop(reader);
    must_be_known(url, found)?;
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    let mut write = db.write().await?;
    let mut session = write.session();
    if session.dialect() == Dialect::Postgres {
        session.run(sql::ONE_AT_A_TIME).await?;
        if tables > 0 && version(&mut session).await?.0 < SCHEMA_VERSION {
            session.run(sql::REMOVE).await?;
        }
    }
    session.run(sql::SCHEMA).await?;
    write.commit().await
}

fn is_no_database(source: &super::error::Source) -> bool {
    matches!(source.downcast_ref().and_then(DatabaseFailure::code), Some("26" | "11"))
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
    crate::store::db::statements! {
        VERSION = sqlite "SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)",
            postgres "SELECT coalesce((SELECT substring(obj_description(oid, 'pg_namespace') FROM 'version ([0-9]+)')::bigint
                    FROM pg_namespace WHERE nspname = 'subledger_read'), 0),
                (SELECT count(*) FROM pg_tables WHERE schemaname = 'subledger_read')";
        /// For as long as the transaction lasts; the number is this program's own.
        ONE_AT_A_TIME = postgres "SELECT pg_advisory_xact_lock(7163520240002)";
        /// The schema itself stays, with what was granted on it.
        REMOVE = postgres "DO $$ DECLARE it record; BEGIN
            FOR it IN SELECT oid::regclass AS name, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
                FROM pg_class WHERE relnamespace = 'subledger_read'::regnamespace AND relkind IN ('r', 'v') LOOP
                EXECUTE format('DROP %s IF EXISTS %s CASCADE', it.kind, it.name);
            END LOOP; END $$";
        SCHEMA = sqlite "CREATE TABLE IF NOT EXISTS generations (
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
            );
            PRAGMA user_version = 2",
            postgres "DO $$ BEGIN
                IF to_regnamespace('subledger_read') IS NULL THEN CREATE SCHEMA subledger_read; END IF; END $$;
            CREATE TABLE IF NOT EXISTS subledger_read.generations (
                id                 bigint PRIMARY KEY,
                status             text   NOT NULL,
                fingerprint        text   NOT NULL,
                fold_version       bigint NOT NULL,
                policy             text   NOT NULL,
                user_keys          text   NOT NULL,
                log_id             text   NOT NULL,
                position           bigint NOT NULL DEFAULT 0,
                leaf_hash          bytea,
                folded_received_at bigint NOT NULL DEFAULT 0,
                built              bigint NOT NULL DEFAULT 0,
                token              bigint NOT NULL DEFAULT 0,
                lease_holder       text,
                lease_until        bigint NOT NULL DEFAULT 0,
                created_at         bigint NOT NULL,
                completed_at       bigint,
                pinned             bigint NOT NULL DEFAULT 0
            );
            CREATE TABLE IF NOT EXISTS subledger_read.generation_numbers (
                one  bigint PRIMARY KEY CHECK (one = 1),
                last bigint NOT NULL
            );
            INSERT INTO subledger_read.generation_numbers VALUES (1, 0) ON CONFLICT DO NOTHING;
            COMMENT ON SCHEMA subledger_read IS 'The read models of subledger, version 2; made anew from the log'";
    }
}
