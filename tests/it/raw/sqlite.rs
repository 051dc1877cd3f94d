//! A ledger's files as any program may open them, without any of our manners.

use std::path::Path;

use sqlx::Connection as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use super::Dialect;

/// SQL as SQLite has it.
pub(super) const DIALECT: Dialect = Dialect {
    name: "SQLite",
    lock_log: "BEGIN IMMEDIATE",
    lock_read: "BEGIN IMMEDIATE",
    cascade: "",
    one_byte: "x'ff'",
    fault_at_evt_20: "CREATE TRIGGER fault BEFORE INSERT ON events WHEN NEW.event_id = 'evt_20'
    BEGIN SELECT RAISE(ABORT, 'fault'); END",
    no_fault: "DROP TRIGGER fault",
    without_signed_with: "DROP TRIGGER events_are_unchanged;
    ALTER TABLE events DROP COLUMN signed_with; DELETE FROM _sqlx_migrations WHERE version = 3",
    unindex_before: "SELECT 1",
    unindex_evt_5_after: "PRAGMA writable_schema = ON;
    INSERT INTO sqlite_schema SELECT 'table', 'imposter', 'imposter', rootpage,
        'CREATE TABLE imposter (a, b, c, d, PRIMARY KEY (a, b, c, d)) WITHOUT ROWID'
        FROM sqlite_schema WHERE name = 'sqlite_autoindex_events_1';
    PRAGMA writable_schema = RESET;
    DELETE FROM imposter WHERE a = 'evt_5';
    PRAGMA writable_schema = ON;
    DELETE FROM sqlite_schema WHERE name = 'imposter';
    PRAGMA writable_schema = RESET",
    index_is_damaged: &[
        "the file of the log is damaged: wrong # of entries in index sqlite_autoindex_events_1",
        "the file of the log is damaged: row 5 missing from index sqlite_autoindex_events_1",
    ],
};

/// Copies the ledger that version 0.1.0 left into a folder.
pub(super) fn lay_out_0_1_0(folder: &Path) {
    for file in ["subledger.db", "subledger.read.db"] {
        std::fs::copy(crate::upgrade::left(file), folder.join(file)).unwrap();
    }
}

/// The statements that make each trigger of the log, and those that drop it: table, name, make, drop.
pub(super) async fn guards(connection: &mut SqliteConnection) -> Vec<[String; 4]> {
    let guards = "SELECT tbl_name, name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let guards: Vec<(String, String, String)> =
        sqlx::query_as(guards).fetch_all(connection).await.unwrap();
    let statements = |(table, name, make)| {
        let drop = format!("DROP TRIGGER {name}");
        [table, name, make, drop]
    };
    guards.into_iter().map(statements).collect()
}

/// A file.
pub(super) async fn file(path: &Path) -> SqliteConnection {
    SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(path)).await.unwrap()
}

/// Takes away what holds the log's promises against every program, and answers with the statements that bring it
/// back.
pub(super) async fn drop_guards(connection: &mut SqliteConnection) -> Vec<String> {
    let guards = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'";
    let guards: Vec<(String, String)> =
        sqlx::query_as(guards).fetch_all(&mut *connection).await.unwrap();
    for (name, _) in &guards {
        let drop = sqlx::AssertSqlSafe(format!("DROP TRIGGER {name}"));
        sqlx::query(drop).execute(&mut *connection).await.unwrap();
    }
    guards.into_iter().map(|(_, sql)| sql).collect()
}

/// Objects of the read models: names and definitions.
pub(super) async fn schema(connection: &mut SqliteConnection) -> Vec<(String, Option<String>)> {
    let sql = "SELECT name, sql FROM sqlite_schema ORDER BY name";
    sqlx::query_as(sql).fetch_all(connection).await.unwrap()
}

/// The bytes of the read models: the file and its write-ahead log.
pub(super) fn read_model_bytes(folder: &Path) -> u64 {
    let bytes = |name| std::fs::metadata(folder.join(name)).map_or(0, |file| file.len());
    bytes("subledger.read.db") + bytes("subledger.read.db-wal")
}
