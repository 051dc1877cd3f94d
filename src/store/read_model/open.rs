//! Opening of the read models, and their static tables.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use tokio::sync::Mutex;

use super::handle::ReadModel;
use crate::clock::Clock;
use crate::projection::read_model::Projections;
use crate::store::db::{self, Database, Dialect, ReaderPool, Session, Writer};
use crate::store::error::{Source, StoreError};
use crate::store::failure::DatabaseFailure;
use crate::store::url::DatabaseUrl;

/// Version of the static tables. A file of an older version is replaced.
pub(in crate::store) const SCHEMA_VERSION: i64 = 2;
/// Page size in bytes. The state of a customer has some KB.
const PAGE_BYTES: u32 = 8 * 1024;
/// Length of the write-ahead log, in pages, at which a commit moves it into the file: 128 MiB. A row that changes often
/// is moved once, and a backlog is folded a fifth faster than with 32 MiB.
const WAL_PAGES: &str = "16384";
/// Page cache of the writer, in KiB; SQLite takes a negative number as KiB.
const WRITER_CACHE: &str = "-65536";

impl ReadModel {
    /// Opens or creates the read models. A file that cannot be used, or a schema of an older version, is removed first.
    pub(in crate::store) async fn open(
        url: &DatabaseUrl,
        projections: Projections,
        clock: Clock,
    ) -> Result<Self, StoreError> {
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
                    readers: ReaderPool::for_file(&path),
                };
                create(&db, url).await?;
                db
            }
        };
        let read_model = Self::new(db, true, projections, clock);
        if url.read_path().is_some()
            && let Err(error) = read_model.renew_view().await
        {
            // This program does not read the view, and the next open retries.
            tracing::debug!(%error, "the view current_subscriptions is not renewed yet: {error}");
        }
        Ok(read_model)
    }
}

/// Options of the writer. A commit does not wait for the disk, because a read model can be rebuilt.
pub(in crate::store) fn options(path: &Path) -> SqliteConnectOptions {
    db::options(path)
        .create_if_missing(true)
        .page_size(PAGE_BYTES)
        .auto_vacuum(SqliteAutoVacuum::Incremental)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Normal)
        .pragma("wal_autocheckpoint", WAL_PAGES)
        // Holds the journal of each statement, whose size is limited by the changes of one statement.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", WRITER_CACHE)
}

/// Reads the schema version and the number of tables.
pub(in crate::store) async fn version(session: &mut Session<'_>) -> Result<(i64, i64), StoreError> {
    let row = session.query(sql::VERSION).fetch_one().await?;
    Ok((row.get(0)?, row.get(1)?))
}

/// True if the file has this version or a newer one, or is empty.
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
        // A newer version is refused later and not removed, because a newer program may be using the file.
        version => version.map(|(version, tables)| version >= SCHEMA_VERSION || tables == 0),
    }
}

/// Refuses the schema of a newer program.
pub(in crate::store) fn require_known_version(
    url: &DatabaseUrl,
    found: i64,
) -> Result<(), StoreError> {
    if found <= SCHEMA_VERSION {
        return Ok(());
    }
    let read_path = url.read_path().map(|path| path.display().to_string());
    let ledger = read_path.unwrap_or_else(|| url.to_string());
    Err(StoreError::NewerSchema { ledger, found, known: SCHEMA_VERSION })
}

/// Creates the static tables, unless they exist.
async fn create(db: &Database, url: &DatabaseUrl) -> Result<(), StoreError> {
    let mut reader = db.read().await?;
    let (found, tables) = version(&mut reader.session()).await?;
    drop(reader);
    require_known_version(url, found)?;
    if found == SCHEMA_VERSION && has_layers(db).await? {
        return Ok(());
    }
    let mut write = db.write().await?;
    let mut session = write.session();
    if session.dialect() == Dialect::Postgres {
        session.run(sql::SCHEMA_LOCK).await?;
        if tables > 0 && version(&mut session).await?.0 < SCHEMA_VERSION {
            session.run(sql::REMOVE).await?;
        }
    }
    create_tables(&mut session).await?;
    write.commit().await
}

/// Creates the static tables inside a transaction, and what a version without fold layers lacks.
pub(super) async fn create_tables(session: &mut Session<'_>) -> Result<(), StoreError> {
    session.run(sql::SCHEMA).await?;
    if !has_column(session, "layer").await? {
        session.run(sql::LAYERS).await?;
    }
    if !has_column(session, "read_models").await? {
        session.run(sql::READ_MODELS).await?;
    }
    Ok(())
}

/// True if generations have fold layers and versions of read models. An earlier version of this program knew none, and
/// its generations stay as they are.
pub(in crate::store) async fn has_layers(db: &Database) -> Result<bool, StoreError> {
    has_column(&mut db.read().await?.session(), "read_models").await
}

/// True if the table of generations has a column.
async fn has_column(session: &mut Session<'_>, name: &str) -> Result<bool, StoreError> {
    Ok(session.query(sql::HAS_COLUMN).bind(name).fetch_one().await?.get::<i64, _>(0)? > 0)
}

/// True if the file is damaged or not a database.
fn is_no_database(source: &Source) -> bool {
    matches!(source.downcast_ref().and_then(DatabaseFailure::code), Some("26" | "11"))
}

/// Removes a file of the read models together with its write-ahead log.
pub(super) fn remove(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut file = path.as_os_str().to_owned();
        file.push(suffix);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::CannotOpen {
                    path: file.into(),
                    reason: "it cannot be used and cannot be removed".to_owned(),
                    source: Some(error.into()),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

pub(in crate::store) mod sql {
    use crate::store::db::Statement;

    crate::store::db::statements! {
        VERSION = sqlite "SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)",
            postgres "SELECT coalesce((SELECT substring(obj_description(oid, 'pg_namespace') FROM 'version ([0-9]+)')::bigint
                    FROM pg_namespace WHERE nspname = 'subledger_read'), 0),
                (SELECT count(*) FROM pg_tables WHERE schemaname = 'subledger_read')";
        /// Takes a lock until the end of the transaction. The number identifies the lock and is arbitrary.
        SCHEMA_LOCK = postgres "SELECT pg_advisory_xact_lock(7163520240002)";
        /// Drops all tables and views. The schema stays, with its grants.
        REMOVE = postgres "DO $$ DECLARE it record; BEGIN
            FOR it IN SELECT oid::regclass AS name, CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END AS kind
                FROM pg_class WHERE relnamespace = 'subledger_read'::regnamespace AND relkind IN ('r', 'v') LOOP
                EXECUTE format('DROP %s IF EXISTS %s CASCADE', it.kind, it.name);
            END LOOP; END $$";
        HAS_COLUMN = sqlite "SELECT count(*) FROM pragma_table_info('generations') WHERE name = $1",
            postgres "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass('subledger_read.generations') AND attname::text = $1";
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
            COMMENT ON SCHEMA subledger_read IS 'Read models of subledger, version 2; rebuilt from the log'";
    }

    /// Adds fold layers to the tables of a version that knew none.
    pub(super) const LAYERS: Statement = Statement::new(
        "ALTER TABLE generations ADD COLUMN layer INTEGER;
            CREATE TABLE fold_layers (
                id                 INTEGER PRIMARY KEY,
                fingerprint        TEXT    NOT NULL,
                position           INTEGER NOT NULL DEFAULT 0,
                leaf_hash          BLOB,
                folded_received_at INTEGER NOT NULL DEFAULT 0
            )",
        "ALTER TABLE subledger_read.generations ADD COLUMN layer bigint;
            CREATE TABLE subledger_read.fold_layers (
                id                 bigint PRIMARY KEY,
                fingerprint        text   NOT NULL,
                position           bigint NOT NULL DEFAULT 0,
                leaf_hash          bytea,
                folded_received_at bigint NOT NULL DEFAULT 0
            )",
    );

    /// Adds the versions of read models, and the customers that are parked in one of them. `generation` there is the one
    /// that made the tables of the read model.
    pub(super) const READ_MODELS: Statement = Statement::new(
        "ALTER TABLE generations ADD COLUMN read_models TEXT;
            CREATE TABLE IF NOT EXISTS parked_customers (
                generation  INTEGER NOT NULL,
                read_model  TEXT    NOT NULL,
                account     TEXT    NOT NULL,
                livemode    INTEGER NOT NULL,
                customer_id TEXT    NOT NULL,
                reason      TEXT    NOT NULL,
                PRIMARY KEY (generation, read_model, account, livemode, customer_id)
            ) WITHOUT ROWID",
        r#"ALTER TABLE subledger_read.generations ADD COLUMN read_models text;
            CREATE TABLE IF NOT EXISTS subledger_read.parked_customers (
                generation  bigint  NOT NULL,
                read_model  text    COLLATE "C" NOT NULL,
                account     text    COLLATE "C" NOT NULL,
                livemode    boolean NOT NULL,
                customer_id text    COLLATE "C" NOT NULL,
                reason      text    NOT NULL,
                PRIMARY KEY (generation, read_model, account, livemode, customer_id)
            )"#,
    );
}
