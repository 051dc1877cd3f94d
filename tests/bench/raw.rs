//! Benchmark of SQLite alone: the same rows, as many to a statement as connections would wait.

use anyhow::Context as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};
use subledger::clock::Clock;

use crate::load::Measured;

/// (c) One autocommitted INSERT of `rows` rows after the other, each durable when it returns.
pub(crate) async fn insert(bodies: &[String], rows: usize) -> anyhow::Result<Measured> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut connection: SqliteConnection = SqliteConnectOptions::new()
        .filename(directory.path().join("raw.db"))
        .create_if_missing(true)
        .page_size(16 * 1024)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .disable_statement_logging()
        .connect()
        .await?;
    connection
        .execute(
            "CREATE TABLE events (position INTEGER PRIMARY KEY, event_id TEXT NOT NULL, account TEXT NOT NULL,
                livemode INTEGER NOT NULL, type TEXT NOT NULL, api_version TEXT, created INTEGER NOT NULL,
                received_at INTEGER NOT NULL, source TEXT NOT NULL, signature TEXT, payload_hash BLOB NOT NULL,
                leaf_hash BLOB NOT NULL, salt BLOB, payload TEXT, UNIQUE (event_id, account, livemode)) STRICT",
        )
        .await?;
    let row = "(?, ?, '', 1, ?, ?, ?, ?, 'webhook', ?, ?, ?, ?, ?)";
    let signature = format!("t=1767225600,v1={},v0={}", "0".repeat(64), "f".repeat(64));
    let mut latencies = Vec::with_capacity(bodies.len());
    let mut position = 0_i64;
    let stopwatch = Clock::stopwatch();
    for chunk in bodies.chunks(rows) {
        let sql = format!("INSERT INTO events VALUES {}", vec![row; chunk.len()].join(", "));
        let mut query = sqlx::query(AssertSqlSafe(sql));
        for body in chunk {
            position += 1;
            let id =
                body.split('"').find(|it| it.starts_with("evt_")).context("a body has an id")?;
            query = query.bind(position).bind(id).bind("customer.subscription.updated");
            query = query.bind("2025-03-31.basil").bind(1_767_225_600_i64).bind(position);
            query = query.bind(&signature).bind(&[1_u8; 32][..]).bind(&[2_u8; 32][..]);
            query = query.bind(&[3_u8; 16][..]).bind(body);
        }
        let commit = Clock::stopwatch();
        query.execute(&mut connection).await?;
        latencies.extend(std::iter::repeat_n(commit.elapsed().as_micros(), chunk.len()));
    }
    let measured = Measured::new(stopwatch.elapsed(), latencies);
    connection.close().await?;
    Ok(measured)
}
