//! Appending to SQLite: two trips to the database.

use std::sync::{Arc, LazyLock};

use sqlx::AssertSqlSafe;
use sqlx::SqlSafeStr as _;
use sqlx::sqlite::SqliteConnection;

use super::Now;
use super::batch::{
    AppendBatch, COLUMNS, Head, KnownEvents, PositionedEvent, Timestamps, add_known, read_head,
};
use crate::ids::Position;
use crate::store::StoreError;
use crate::store::db::{self, BindType, Dialect, Query, RowBinder, Session, with_rows};
use crate::store::event::NewEvent;
use crate::store::{erase, nodes};

/// Rows in one INSERT, at most. A power of two; 16 values each stay below SQLite's limit of 32,766.
const ROWS_PER_INSERT: usize = 256;

/// The first trip takes the write lock, reads the head, and asks which ids are known; the second moves the
/// head, inserts and commits.
pub(super) async fn append<'e>(
    connection: &mut SqliteConnection,
    events: &'e [NewEvent],
    timestamps: Timestamps,
    erased: &[Position],
    now: impl Now,
) -> Result<AppendBatch<'e>, StoreError> {
    let mut session = Session::Sqlite(connection);
    if !erased.is_empty() {
        erase::prepare(&mut session).await?;
    }
    let (head, known) = begin(&mut session, events).await?;
    erase::bodies(&mut session, erased).await?;
    let batch = AppendBatch::assign(events, head, &known, timestamps, now())?;
    if !erased.is_empty() {
        batch.must_be_new()?;
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
                head = Some(read_head(&row)?);
            } else {
                add_known(&mut known, &row)?;
            }
        }
    }
    let head = head.ok_or_else(|| StoreError::Corrupt("the log has no head".to_owned()))?;
    Ok((head, known))
}

/// Inserts, moves the head, commits.
///
/// The commit is the last statement of its trip, so that an error says that there was none.
async fn write(session: &mut Session<'_>, batch: &AppendBatch<'_>) -> Result<(), StoreError> {
    if batch.is_empty() {
        return session.run(db::sql::ROLLBACK).await;
    }
    // Usually all rows go with the commit; what is before that are full chunks, and all of
    // them where duplicates must be recorded after the rows that they may refer to.
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

/// The smallest variant of a statement that has room for so many rows.
fn variant<'s>(session: &'s mut Session<'_>, variants: &[Arc<str>], rows: usize) -> Query<'s> {
    let sql = Arc::clone(&variants[rows.next_power_of_two().trailing_zeros() as usize]);
    session.query(AssertSqlSafe(sql).into_sql_str())
}

/// The statements for 1, 2, 4, … rows. Parameters beyond those bound are NULL: such rows are not
/// inserted, such ids not found.
struct Statements {
    begin: Vec<Arc<str>>,
    known: Vec<Arc<str>>,
    insert: Vec<Arc<str>>,
    commit: Vec<Arc<str>>,
}

static STATEMENTS: LazyLock<Statements> = LazyLock::new(|| {
    let variants = |statements: &[db::Statement], columns: &[BindType]| {
        let texts: Vec<_> = statements.iter().map(|statement| statement.sqlite).collect();
        let rows = (0..=ROWS_PER_INSERT.ilog2()).map(|power| 1 << power);
        let text = |rows| with_rows(&texts.join("; "), Dialect::Sqlite, columns, rows).into();
        rows.map(text).collect()
    };
    let id = [BindType::Text];
    Statements {
        begin: variants(&[db::sql::BEGIN, sql::HEAD, sql::KNOWN], &id),
        known: variants(&[sql::KNOWN], &id),
        insert: variants(&[sql::INSERT], &COLUMNS),
        commit: variants(&[sql::HEAD_ADVANCE, sql::INSERT, db::sql::COMMIT], &COLUMNS),
    }
});

/// Columns of [`sql::HEAD`], by which its row is told from those of [`sql::KNOWN`].
const HEAD_COLUMNS: usize = 5;

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        HEAD = sqlite "SELECT size, frontier, last_received_at, restored, log_id FROM log_head";
        /// Not numbered, because the rows of an insert follow in the same trip.
        HEAD_ADVANCE = sqlite "UPDATE log_head SET size = ?, root = ?, frontier = ?, last_received_at = ?, restored = ?";
        /// Where the events of these ids stand.
        KNOWN = sqlite "SELECT position, event_id, account, livemode FROM events WHERE event_id IN ({rows})";
        /// OR ROLLBACK, because the whole batch fails anyway, and SQLite then needs no journal of the
        /// statement beside that of the transaction: about a quarter less time for a batch.
        INSERT = sqlite "INSERT OR ROLLBACK INTO events (position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash)
            SELECT * FROM ({rows}) WHERE column1 IS NOT NULL";
    }
}
