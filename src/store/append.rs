//! Appending: one transaction for a whole batch, two trips to the database.
//!
//! The first trip takes the write lock, reads the head, and asks which ids are known; in between,
//! positions, times and hashes are given; the second trip moves the head, inserts and commits.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{Arguments as _, AssertSqlSafe, Connection as _, Row as _};

use super::event::{Appended, NewEvent};
use super::log::Log;
use super::statements::with_rows;
use super::tree::{Frontier, Hash};
use super::{StoreError, redelivery};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::time::ReceivedAt;

/// Rows in one INSERT, at most. A power of two; 16 values each stay below SQLite's limit of 32,766.
const ROWS_PER_INSERT: usize = 256;

impl Log {
    /// Appends a batch in one transaction; the answers are in the order of the events, and are
    /// given after the commit has reached the disk.
    ///
    /// An event whose id the log knows (or that stands twice in the batch) is a duplicate: it is
    /// recorded as a redelivery and the first bytes stay. On an error nothing was appended, and the
    /// next append starts anew.
    pub async fn append(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.write(events, Times::Now).await
    }

    /// Appends the events of an export with the times they were received at, so that the log has
    /// the root of the one that was exported.
    ///
    /// Only into an empty log, or to go on with such a restore; known ids are skipped.
    pub async fn restore(&self, events: &[NewEvent]) -> Result<Vec<Appended>, StoreError> {
        self.write(events, Times::Exported).await
    }

    /// Whether the log accepts events now: takes the write lock and lets it go.
    ///
    /// While this process appends, the answer is yes without asking.
    pub async fn check_append(&self) -> Result<(), StoreError> {
        // Somebody is appending right now; whoever asks must not stand in the queue before events.
        let Ok(mut writer) = self.0.writer.try_lock() else { return Ok(()) };
        let mut connection = writer.take().await?;
        connection.begin_with(sql::BEGIN).await?.rollback().await?;
        writer.put_back(connection);
        Ok(())
    }

    async fn write(&self, events: &[NewEvent], times: Times) -> Result<Vec<Appended>, StoreError> {
        if events.is_empty() {
            return Ok(Vec::new());
        }
        let mut writer = self.0.writer.lock().await;
        // Whatever fails or is cancelled below drops the connection, and so rolls back.
        let mut connection = writer.take().await?;
        let (end, known) = begin(&mut connection, events).await?;
        let batch = Batch::assign(events, end, &known, times, self.0.clock.now())?;
        batch.write(&mut connection).await?;
        if batch.end.size > batch.start {
            self.0.appended.send_replace(batch.end.size);
        }
        // The events are on the disk now: nothing that goes wrong from here on is the sender's.
        match self.0.checkpoints.lock().await.after_commit(&mut connection, batch.bytes()).await {
            Ok(()) => writer.put_back(connection),
            Err(error) => {
                tracing::warn!(%error, "a checkpoint of the log failed; it is tried again");
            }
        }
        Ok(batch.answers)
    }
}

/// Where `received_at` comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Times {
    Now,
    Exported,
}

/// The end of the log inside a transaction.
#[derive(Clone, Debug)]
struct End {
    size: Position,
    tree: Frontier,
    last_received_at: ReceivedAt,
    restored: i64,
}

/// What makes an event one: its id, within an account and mode.
type Identity<'a> = (&'a EventId, &'a Scope);
/// Where the events that the log knew before a batch stand.
type Known = HashMap<(EventId, Scope), Position>;

/// Takes the write lock; reads the head and where the known ones of these ids stand.
async fn begin(
    connection: &mut SqliteConnection,
    events: &[NewEvent],
) -> Result<(End, Known), StoreError> {
    let mut end = None;
    let mut known = Known::new();
    for (number, chunk) in events.chunks(ROWS_PER_INSERT).enumerate() {
        let mut ids = SqliteArguments::default();
        for event in chunk {
            add(&mut ids, event.facts.event_id.as_str())?;
        }
        let variants = if number == 0 { &STATEMENTS.begin } else { &STATEMENTS.known };
        for row in fetch(connection, variants, chunk.len(), ids).await? {
            if row.len() == END_COLUMNS {
                end = Some(read_end(&row)?);
                continue;
            }
            let event_id = EventId::new(row.try_get::<String, _>(1)?);
            let account = AccountId::new(row.try_get::<String, _>(2)?);
            let scope = Scope { account, livemode: row.try_get(3)? };
            known.insert((event_id, scope), Position(row.try_get(0)?));
        }
    }
    let end = end.ok_or_else(|| StoreError::Corrupt("the log has no head".to_owned()))?;
    Ok((end, known))
}

fn identity(event: &NewEvent) -> Identity<'_> {
    (&event.facts.event_id, &event.facts.scope)
}

fn read_end(row: &SqliteRow) -> Result<End, StoreError> {
    let size: i64 = row.try_get(0)?;
    let frontier: Vec<u8> = row.try_get(1)?;
    let tree = u64::try_from(size).ok().and_then(|size| Frontier::from_bytes(size, &frontier));
    Ok(End {
        size: Position(size),
        tree: tree
            .ok_or_else(|| StoreError::Corrupt("the head's tree is not of its size".into()))?,
        last_received_at: ReceivedAt(row.try_get(2)?),
        restored: row.try_get(3)?,
    })
}

/// A batch whose positions, times and hashes are given.
struct Batch<'a> {
    start: Position,
    end: End,
    new: Vec<Placed<'a>>,
    duplicates: Vec<redelivery::Duplicate<'a>>,
    answers: Vec<Appended>,
}

/// A new event and its place.
struct Placed<'a> {
    event: &'a NewEvent,
    position: Position,
    received_at: ReceivedAt,
    leaf_hash: Hash,
}

impl<'a> Batch<'a> {
    fn assign(
        events: &'a [NewEvent],
        mut end: End,
        known: &Known,
        times: Times,
        now: ReceivedAt,
    ) -> Result<Self, StoreError> {
        if times == Times::Exported && end.restored != end.size.0 {
            return Err(StoreError::NotEmpty { size: end.size });
        }
        let start = end.size;
        let mut places: HashMap<Identity<'a>, Position> = HashMap::with_capacity(events.len());
        if !known.is_empty() {
            places.extend(events.iter().filter_map(|event| {
                let (event_id, scope) = identity(event);
                Some(((event_id, scope), *known.get(&(event_id.clone(), scope.clone()))?))
            }));
        }
        let mut new = Vec::with_capacity(events.len());
        let mut duplicates = Vec::new();
        let mut answers = Vec::with_capacity(events.len());
        for event in events {
            if let Some(&position) = places.get(&identity(event)) {
                if times == Times::Now {
                    duplicates.push(redelivery::Duplicate { position, event, received_at: now });
                }
                answers.push(Appended { position, duplicate: true });
                continue;
            }
            let after_last = ReceivedAt(end.last_received_at.0 + 1);
            let received_at = match (times, event.received_at) {
                (Times::Exported, Some(exported)) if exported < after_last && end.size.0 > 0 => {
                    return Err(StoreError::NotInOrder { event_id: event.facts.event_id.clone() });
                }
                (Times::Exported, Some(exported)) => exported,
                _ => now.max(after_last),
            };
            let leaf_hash = event.leaf_hash(received_at);
            end.tree.push(leaf_hash);
            end.size = end.size.next();
            end.last_received_at = received_at;
            places.insert(identity(event), end.size);
            new.push(Placed { event, position: end.size, received_at, leaf_hash });
            answers.push(Appended { position: end.size, duplicate: false });
        }
        if times == Times::Exported {
            end.restored = end.size.0;
        }
        Ok(Self { start, end, new, duplicates, answers })
    }

    /// Bytes of the new payloads.
    fn bytes(&self) -> usize {
        let payloads = self.new.iter().filter_map(|placed| placed.event.payload.as_deref());
        payloads.map(str::len).sum()
    }

    /// Inserts, moves the head, commits.
    ///
    /// The commit is the last statement of its trip, so that an error says that there was none.
    async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        if self.new.is_empty() && self.duplicates.is_empty() {
            sqlx::query(sql::ROLLBACK).execute(&mut *connection).await?;
            return Ok(());
        }
        // Usually all rows go with the commit; what is before that are full chunks, and all of
        // them where duplicates must be recorded after the rows that they may refer to.
        let whole = if self.duplicates.is_empty() {
            self.new.len().saturating_sub(1) / ROWS_PER_INSERT * ROWS_PER_INSERT
        } else {
            self.new.len()
        };
        let (before, last) = self.new.split_at(whole);
        for rows in before.chunks(ROWS_PER_INSERT) {
            let mut arguments = SqliteArguments::default();
            rows.iter().try_for_each(|row| row.add_to(&mut arguments))?;
            fetch(connection, &STATEMENTS.insert, rows.len(), arguments).await?;
        }
        for duplicate in &self.duplicates {
            duplicate.record(connection).await?;
        }
        let mut arguments = SqliteArguments::default();
        let end = &self.end;
        add(&mut arguments, end.size.0)?;
        add(&mut arguments, end.tree.root().to_vec())?;
        add(&mut arguments, end.tree.to_bytes())?;
        add(&mut arguments, end.last_received_at.0)?;
        add(&mut arguments, end.restored)?;
        last.iter().try_for_each(|row| row.add_to(&mut arguments))?;
        fetch(connection, &STATEMENTS.commit, last.len(), arguments).await?;
        Ok(())
    }
}

impl Placed<'_> {
    /// Binds the columns in the order of [`sql::INSERT`].
    fn add_to(&self, to: &mut SqliteArguments) -> Result<(), StoreError> {
        let event = self.event;
        let facts = &event.facts;
        add(to, self.position.0)?;
        add(to, facts.event_id.as_str())?;
        add(to, facts.scope.account.as_str())?;
        add(to, facts.scope.livemode)?;
        add(to, facts.event_type.as_str())?;
        add(to, facts.api_version.as_deref())?;
        add(to, facts.created.0)?;
        add(to, facts.created_nanos)?;
        add(to, self.received_at.0)?;
        add(to, event.source.as_str())?;
        add(to, event.signature.as_deref())?;
        add(to, &event.payload_hash[..])?;
        add(to, &self.leaf_hash[..])?;
        add(to, event.salt.as_ref().map(|salt| &salt[..]))?;
        add(to, event.payload.as_deref())
    }
}

fn add<'q, T>(arguments: &mut SqliteArguments, value: T) -> Result<(), StoreError>
where
    T: sqlx::Encode<'q, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    arguments.add(value).map_err(StoreError::Internal)
}

/// Runs the smallest variant of a statement that has room for so many rows.
async fn fetch(
    connection: &mut SqliteConnection,
    variants: &[Arc<str>],
    rows: usize,
    arguments: SqliteArguments,
) -> Result<Vec<SqliteRow>, StoreError> {
    let sql = &variants[rows.next_power_of_two().trailing_zeros() as usize];
    let query = sqlx::query_with(AssertSqlSafe(Arc::clone(sql)), arguments);
    Ok(query.fetch_all(connection).await?)
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
    let variants = |template: &str, columns: usize| {
        let rows = (0..=ROWS_PER_INSERT.ilog2()).map(|power| 1 << power);
        rows.map(|rows| with_rows(template, columns, rows).into()).collect()
    };
    Statements {
        begin: variants(&[sql::BEGIN, sql::END, sql::KNOWN].join("; "), 1),
        known: variants(sql::KNOWN, 1),
        insert: variants(sql::INSERT, EVENT_COLUMNS),
        commit: variants(&[sql::END_MOVE, sql::INSERT, sql::COMMIT].join("; "), EVENT_COLUMNS),
    }
});

/// Columns of [`sql::END`], by which its row is told from those of [`sql::KNOWN`].
const END_COLUMNS: usize = 5;
/// Columns of [`sql::INSERT`].
const EVENT_COLUMNS: usize = 15;

pub(super) mod sql {
    super::super::statements::statements! {
        BEGIN = "BEGIN IMMEDIATE";
        COMMIT = "COMMIT";
        ROLLBACK = "ROLLBACK";
        END = "SELECT size, frontier, last_received_at, restored, log_id FROM log_head";
        END_MOVE = "UPDATE log_head SET size = ?, root = ?, frontier = ?, last_received_at = ?, restored = ?";
        /// Where the events of these ids stand.
        KNOWN = "SELECT position, event_id, account, livemode FROM events WHERE event_id IN (VALUES {rows})";
        /// OR ROLLBACK, because the whole batch fails anyway, and SQLite then needs no journal of the
        /// statement beside that of the transaction: about a quarter less time for a batch.
        INSERT = "INSERT OR ROLLBACK INTO events (position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload)
            SELECT * FROM (VALUES {rows}) WHERE column1 IS NOT NULL";
    }
}
