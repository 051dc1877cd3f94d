//! A ledger's files as any program may open them, without any of our manners.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use subledger::store::DatabaseUrl;

pub(crate) type Connection = SqliteConnection;

/// Name of the database, as the guides have it.
pub(crate) const NAME: &str = "SQLite";
/// What keeps others from appending, until it is rolled back.
pub(crate) const LOCK_LOG: &str = "BEGIN IMMEDIATE";
/// What keeps others from folding, until it is rolled back.
pub(crate) const LOCK_READ: &str = "BEGIN IMMEDIATE";
/// What drops the views of a table with it.
pub(crate) const CASCADE: &str = "";
/// A byte that is no state.
pub(crate) const ONE_BYTE: &str = "x'ff'";
/// What makes one event fail.
pub(crate) const FAULT_AT_EVT_20: &str =
    "CREATE TRIGGER fault BEFORE INSERT ON events WHEN NEW.event_id = 'evt_20'
    BEGIN SELECT RAISE(ABORT, 'fault'); END";
/// What ends that.
pub(crate) const NO_FAULT: &str = "DROP TRIGGER fault";

/// Makes a log one of before `signed_with`.
pub(crate) const WITHOUT_SIGNED_WITH: &str = "DROP TRIGGER events_are_unchanged;
    ALTER TABLE events DROP COLUMN signed_with; DELETE FROM _sqlx_migrations WHERE version = 3";

/// Statement before an event is appended that is to be in no index of ids.
pub(crate) const UNINDEX_BEFORE: &str = "SELECT 1";
/// Statements after it: a table over the pages of the index is the way to its rows.
pub(crate) const UNINDEX_EVT_5_AFTER: &str = "PRAGMA writable_schema = ON;
    INSERT INTO sqlite_schema SELECT 'table', 'imposter', 'imposter', rootpage,
        'CREATE TABLE imposter (a, b, c, d, PRIMARY KEY (a, b, c, d)) WITHOUT ROWID'
        FROM sqlite_schema WHERE name = 'sqlite_autoindex_events_1';
    PRAGMA writable_schema = RESET;
    DELETE FROM imposter WHERE a = 'evt_5';
    PRAGMA writable_schema = ON;
    DELETE FROM sqlite_schema WHERE name = 'imposter';
    PRAGMA writable_schema = RESET";
/// Findings about that index.
pub(crate) const INDEX_IS_DAMAGED: &[&str] = &[
    "the file of the log is damaged: wrong # of entries in index sqlite_autoindex_events_1",
    "the file of the log is damaged: row 5 missing from index sqlite_autoindex_events_1",
];

/// Copies the ledger that version 0.1.0 left into a folder.
pub(crate) fn lay_out_0_1_0(folder: &Path) {
    for file in ["subledger.db", "subledger.read.db"] {
        std::fs::copy(crate::upgrade::left(file), folder.join(file)).unwrap();
    }
}

/// The statements that make each trigger of the log, and those that drop it: table, name, make, drop.
pub(crate) async fn guards(connection: &mut Connection) -> Vec<[String; 4]> {
    let guards = "SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let guards: Vec<(String, String, String)> =
        sqlx::query_as(guards).fetch_all(connection).await.unwrap();
    let statements = |(table, name, make)| {
        let drop = format!("DROP TRIGGER {name}");
        [table, name, make, drop]
    };
    guards.into_iter().map(statements).collect()
}

/// The log.
pub(crate) async fn log(url: &DatabaseUrl) -> Connection {
    file(url.log_path().unwrap()).await
}

/// The read models.
pub(crate) async fn read(url: &DatabaseUrl) -> Connection {
    file(&url.read_path().unwrap()).await
}

/// A file.
pub(crate) async fn file(path: &Path) -> Connection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

/// Takes away what holds the log's promises against every program, and answers with the statements that bring it
/// back.
pub(crate) async fn drop_guards(connection: &mut Connection) -> Vec<String> {
    let guards = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let guards: Vec<(String, String)> =
        sqlx::query_as(guards).fetch_all(&mut *connection).await.unwrap();
    for (name, _) in &guards {
        let drop = sqlx::AssertSqlSafe(format!("DROP TRIGGER {name}"));
        sqlx::query(drop).execute(&mut *connection).await.unwrap();
    }
    guards.into_iter().map(|(_, sql)| sql).collect()
}

/// What the read models are made of: names and definitions.
pub(crate) async fn schema(connection: &mut Connection) -> Vec<(String, Option<String>)> {
    let sql = "SELECT name, sql FROM sqlite_schema ORDER BY name";
    sqlx::query_as(sql).fetch_all(connection).await.unwrap()
}

/// The bytes of the read models: the file and its write-ahead log.
pub(crate) fn read_model_bytes(folder: &Path) -> u64 {
    let bytes = |name| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    bytes("subledger.read.db") + bytes("subledger.read.db-wal")
}
