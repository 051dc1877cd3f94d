//! Append to SQLite, in two calls to the database.

use std::sync::{Arc, LazyLock};

use sqlx::AssertSqlSafe;
use sqlx::SqlSafeStr as _;
use sqlx::sqlite::SqliteConnection;

use super::batch::{AppendBatch, KnownEvents, PositionedEvent, Timestamps, add_known};
use crate::ids::Position;
use crate::store::db::{self, Dialect, Query, RowBinder, Session, Statement, with_rows};
use crate::store::error::StoreError;
use crate::store::event::NewEvent;
use crate::store::head::Head;
use crate::store::{erase, nodes};
use crate::time::ReceivedAt;

/// Maximum number of rows in an INSERT. A power of two; with 17 values each they stay below SQLite's limit of 32,766
/// parameters.
const ROWS_PER_INSERT: usize = 256;

/// Appends a batch. The first call takes the write lock, reads the head, and looks up which ids are known. The second
/// call advances the head, inserts and commits.
pub(super) async fn append<'e>(
    connection: &mut SqliteConnection,
    events: &'e [NewEvent],
    timestamps: Timestamps,
    erased: &[Position],
    now: impl Fn() -> ReceivedAt,
) -> Result<AppendBatch<'e>, StoreError> {
    let mut session = Session::Sqlite(connection);
    if !erased.is_empty() {
        erase::prepare(&mut session).await?;
    }
    let (head, known) = begin(&mut session, events).await?;
    erase::bodies(&mut session, erased).await?;
    let batch = AppendBatch::assign(events, head, &known, timestamps, now())?;
    if !erased.is_empty() {
        batch.require_new()?;
    }
    write(&mut session, &batch).await?;
    Ok(batch)
}

async fn begin(
    session: &mut Session<'_>,
    events: &[NewEvent],
) -> Result<(Head, KnownEvents), StoreError> {
    let mut head = None;
    let mut known = KnownEvents::new();
    for (number, chunk) in events.chunks(ROWS_PER_INSERT).enumerate() {
        let variants = if number == 0 { &STATEMENTS.begin } else { &STATEMENTS.known };
        let mut query = variant(session, variants, chunk.len());
        for event in chunk {
            query.add(event.facts.event_id.as_str());
        }
        for row in query.fetch_all().await? {
            if row.len() == HEAD_COLUMNS {
                head = Some(Head::read(&row)?);
            } else {
                add_known(&mut known, &row)?;
            }
        }
    }
    let head = head.ok_or_else(|| StoreError::Corrupt("the log has no head".to_owned()))?;
    Ok((head, known))
}

/// Inserts the events, advances the head and commits.
///
/// The commit is the last statement of its call, so that an error means that nothing was committed.
async fn write(session: &mut Session<'_>, batch: &AppendBatch<'_>) -> Result<(), StoreError> {
    if batch.is_empty() {
        return session.run(db::sql::ROLLBACK).await;
    }
    // Usually all rows are inserted together with the commit. Full chunks are inserted before it, and all rows if there
    // are duplicates, which must be recorded after the rows that they may refer to.
    let whole = if batch.duplicates.is_empty() {
        batch.new.len().saturating_sub(1) / ROWS_PER_INSERT * ROWS_PER_INSERT
    } else {
        batch.new.len()
    };
    let (before, last) = batch.new.split_at(whole);
    for rows in before.chunks(ROWS_PER_INSERT) {
        let mut query = variant(session, &STATEMENTS.insert, rows.len());
        add_rows(&mut query, rows);
        query.fetch_all().await?;
    }
    nodes::insert(session, &batch.nodes).await?;
    for duplicate in &batch.duplicates {
        duplicate.record(session).await?;
    }
    let mut query = batch.head.bind(variant(session, &STATEMENTS.commit, last.len()));
    add_rows(&mut query, last);
    query.fetch_all().await?;
    Ok(())
}

fn add_rows(query: &mut Query<'_>, rows: &[PositionedEvent<'_>]) {
    for row in rows {
        row.bind(&mut RowBinder::Sqlite(query));
    }
}

/// Creates a query of the smallest variant of a statement for this number of rows.
fn variant<'s>(session: &'s mut Session<'_>, variants: &[Arc<str>], rows: usize) -> Query<'s> {
    let sql = Arc::clone(&variants[rows.next_power_of_two().trailing_zeros() as usize]);
    session.query(AssertSqlSafe(sql).into_sql_str())
}

/// Variants of the statements for 1, 2, 4, … rows. Parameters that are not bound are NULL: such a row is not inserted,
/// and such an id is not found.
struct Statements {
    begin: Vec<Arc<str>>,
    known: Vec<Arc<str>>,
    insert: Vec<Arc<str>>,
    commit: Vec<Arc<str>>,
}

static STATEMENTS: LazyLock<Statements> = LazyLock::new(|| {
    let variants = |statements: &[Statement]| {
        let columns = statements.iter().map(|it| it.columns).find(|it| !it.is_empty());
        let columns = columns.unwrap_or_default();
        let texts: Vec<_> = statements.iter().map(|statement| statement.sqlite).collect();
        let rows = (0..=ROWS_PER_INSERT.ilog2()).map(|power| 1 << power);
        let text = |rows| with_rows(&texts.join("; "), Dialect::Sqlite, columns, rows).into();
        rows.map(text).collect()
    };
    Statements {
        begin: variants(&[db::sql::BEGIN, sql::HEAD, sql::KNOWN]),
        known: variants(&[sql::KNOWN]),
        insert: variants(&[sql::INSERT]),
        commit: variants(&[sql::HEAD_ADVANCE, sql::INSERT, db::sql::COMMIT]),
    }
});

/// Number of columns of [`sql::HEAD`], which distinguishes its row from the rows of [`sql::KNOWN`].
const HEAD_COLUMNS: usize = 5;

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        HEAD = sqlite "SELECT size, frontier, last_received_at, restored, log_id FROM log_head";
        /// Its parameters have no numbers, because the rows of an INSERT follow in the same call.
        HEAD_ADVANCE = sqlite "UPDATE log_head SET size = ?, root = ?, frontier = ?, last_received_at = ?, restored = ?";
        /// Positions of the events with these ids.
        KNOWN [Text] = sqlite "SELECT position, event_id, account, livemode FROM events WHERE event_id IN ({rows})";
        /// OR ROLLBACK, because the whole batch fails anyway: then SQLite needs no journal of the statement beside the
        /// journal of the transaction, which saves about a quarter of the time of a batch.
        INSERT of crate::store::append::batch::COLUMNS = sqlite "INSERT OR ROLLBACK INTO events (position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash)
            SELECT * FROM ({rows}) WHERE column1 IS NOT NULL";
    }
}
