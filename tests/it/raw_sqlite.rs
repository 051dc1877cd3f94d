//! A ledger's files as any program may open them, without any of our manners.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use subledger::store::DatabaseUrl;

pub(crate) type Connection = SqliteConnection;

/// What keeps others from appending, until it is rolled back.
pub(crate) const LOCK_LOG: &str = "BEGIN IMMEDIATE";
/// What keeps others from folding, until it is rolled back.
pub(crate) const LOCK_READ: &str = "BEGIN IMMEDIATE";
/// What makes one event fail.
pub(crate) const FAULT_AT_EVT_20: &str =
    "CREATE TRIGGER fault BEFORE INSERT ON events WHEN NEW.event_id = 'evt_20'
    BEGIN SELECT RAISE(ABORT, 'fault'); END";
/// What ends that.
pub(crate) const NO_FAULT: &str = "DROP TRIGGER fault";

/// Makes a log one of before `signed_with`.
pub(crate) const WITHOUT_SIGNED_WITH: &str = "DROP TRIGGER events_are_unchanged;
    ALTER TABLE events DROP COLUMN signed_with; DELETE FROM _sqlx_migrations WHERE version = 3";

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

/// Takes away what holds the log's promises against every program.
pub(crate) async fn drop_guards(connection: &mut Connection) {
    let guards = "SELECT name FROM sqlite_schema WHERE type = 'trigger'";
    let names: Vec<String> = sqlx::query_scalar(guards).fetch_all(&mut *connection).await.unwrap();
    for name in names {
        let drop = sqlx::AssertSqlSafe(format!("DROP TRIGGER {name}"));
        sqlx::query(drop).execute(&mut *connection).await.unwrap();
    }
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
