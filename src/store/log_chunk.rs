//! Reading the log a chunk of events at a time: with what the fold needs of them and no more, or with
//! all that there is.
//!
//! A row that is handed over costs more than what stands in it, so a chunk is one row: the bodies
//! one after the other, and beside them where each ends and whose it is. That is four times as fast as
//! a row an event, and takes half of the processor.

use std::borrow::Cow;

use serde::Deserialize;

use super::db::{Row, Session};
use super::event::{EventFacts, EventSource, LoggedEvent};
use super::event_row::EventRow;
use super::log::Log;
use super::scan::{LogEntry, ScanRange};
use super::{DamageCause, StoreError};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::time::{ReceivedAt, StripeTime};

/// Bytes of bodies in a chunk, at most, unless a single one is larger.
const BYTES_MAX: i64 = 8 << 20;

/// Some successive events of the log.
pub struct EventChunk {
    /// The last of their positions.
    pub to: Position,
    /// When the first of them was received.
    pub first_received_at: ReceivedAt,
    /// When the last of them was received.
    pub last_received_at: ReceivedAt,
    /// Whether it ends where it was asked to, or for its size, so that there may be more.
    pub is_full: bool,
    /// The position before the first.
    after: Position,
    content: Content,
}

/// Events of a chunk.
enum Content {
    /// A row that holds the texts, which are read where they are.
    Joined(Row),
    /// Event by event, where one of them is damaged.
    Each(Vec<LogEntry>),
}

/// An event in a chunk.
#[derive(Debug)]
pub struct ChunkEvent<'a> {
    /// Its place.
    pub position: Position,
    /// The event; unique within the scope.
    pub event_id: Cow<'a, str>,
    /// The account and mode.
    pub scope: Scope,
    /// Its type.
    pub event_type: Cow<'a, str>,
    /// The API version that rendered it, where it says so.
    pub api_version: Option<Cow<'a, str>>,
    /// When it happened, by Stripe's clock.
    pub created: StripeTime,
    /// How it reached us.
    pub source: EventSource,
    /// The body exactly as received; none where it was erased. Of a damaged event, what is left of it.
    pub body: Option<&'a str>,
    /// Reason why the event cannot be read; none where its row is sound.
    pub damage: Option<&'a DamageCause>,
}

impl<'a> From<&'a LoggedEvent> for ChunkEvent<'a> {
    fn from(event: &'a LoggedEvent) -> Self {
        let facts = &event.facts;
        Self {
            position: event.position,
            event_id: Cow::Borrowed(facts.event_id.as_str()),
            scope: facts.scope.clone(),
            event_type: Cow::Borrowed(&facts.event_type),
            api_version: facts.api_version.as_deref().map(Cow::Borrowed),
            created: facts.created,
            source: event.source,
            body: event.payload.as_deref(),
            damage: None,
        }
    }
}

impl<'a> ChunkEvent<'a> {
    /// An event that cannot be read, with what is left of it.
    pub fn damaged(
        position: Position,
        cause: &'a DamageCause,
        rest: Option<&'a LoggedEvent>,
    ) -> Self {
        let nothing = || Self {
            position,
            event_id: Cow::Borrowed(""),
            scope: Scope::default(),
            event_type: Cow::Borrowed(""),
            api_version: None,
            created: StripeTime(0),
            source: EventSource::Import,
            body: None,
            damage: None,
        };
        Self { damage: Some(cause), ..rest.map_or_else(nothing, Self::from) }
    }
}

impl Log {
    /// The events after a position and up to another; none if there are none. Fewer where their
    /// bodies are more than a few MiB together.
    ///
    /// [`StoreError::Corrupt`] from here or from [`EventChunk::events`] where one of them is damaged or missing:
    /// then [`Self::event_chunk_by_event`] reads them.
    pub async fn event_chunk(
        &self,
        after: Position,
        up_to: Position,
    ) -> Result<Option<EventChunk>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let end = chunk_end(&mut session, after, up_to).await?;
        let row = session.query(sql::CHUNK).bind(after.0).bind(end.0).fetch_one().await?;
        let Some(to) = row.get::<Option<i64>, _>(0)? else {
            // In the same moment the head says whether there should be any.
            return if row.get::<i64, _>(5)? > after.0 { Err(corrupt()) } else { Ok(None) };
        };
        Ok(Some(EventChunk {
            to: Position(to),
            first_received_at: ReceivedAt(row.get(1)?),
            last_received_at: ReceivedAt(row.get(2)?),
            is_full: to == end.0,
            after,
            content: Content::Joined(row),
        }))
    }

    /// Like [`Self::event_chunk`], event by event and around what is damaged.
    ///
    /// [`StoreError::Damaged`] where the log ends before its head says: a shorter log is not folded.
    pub async fn event_chunk_by_event(
        &self,
        after: Position,
        up_to: Position,
    ) -> Result<Option<EventChunk>, StoreError> {
        let head = self.head().await?;
        let limit_bytes = usize::try_from(BYTES_MAX).unwrap_or(usize::MAX);
        let range =
            ScanRange { after, up_to, size: head.size, limit_events: usize::MAX, limit_bytes };
        let rows = self.rows(range).await?.into_iter();
        let entries: Vec<_> = rows.map(|row| row.and_then(EventRow::into_entry_of_fold)).collect();
        let received_at = |entry: &LogEntry| match entry {
            Ok(event) => Some(event.received_at),
            Err(damage) => damage.rest.as_ref().map(|event| event.received_at),
        };
        let known = || entries.iter().filter_map(received_at).filter(|at| *at > ReceivedAt(0));
        let to = match entries.last() {
            None => return Ok(None),
            Some(Ok(event)) => event.position,
            Some(Err(damage)) if damage.cause == DamageCause::CutOff => {
                if entries.len() == 1 {
                    return Err(damage.clone().into());
                }
                Position(damage.first.0 - 1)
            }
            Some(Err(damage)) => damage.last,
        };
        Ok(Some(EventChunk {
            to,
            first_received_at: known().min().unwrap_or(head.last_received_at),
            last_received_at: known().max().unwrap_or(head.last_received_at),
            is_full: to == up_to || to < head.size,
            after,
            content: Content::Each(entries),
        }))
    }

    /// The same with all that the log holds of them, also where events are missing between these positions.
    pub async fn records(
        &self,
        after: Position,
        up_to: Position,
    ) -> Result<RecordChunk, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let end = chunk_end(&mut session, after, up_to).await?;
        let row = session.query(sql::RECORDS).bind(after.0).bind(end.0).fetch_one().await?;
        Ok(RecordChunk { up_to: end, row })
    }
}

impl Log {
    /// Like [`Self::records`], event by event and around what is damaged.
    pub async fn records_by_event(
        &self,
        after: Position,
        up_to: Position,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let (limit_events, limit_bytes) = (usize::MAX, usize::MAX);
        let rows =
            self.rows(ScanRange { after, up_to, size: up_to, limit_events, limit_bytes }).await?;
        Ok(rows.into_iter().map(|row| row.and_then(EventRow::into_entry)).collect())
    }
}

/// Where a chunk ends that is not too large.
async fn chunk_end(
    session: &mut Session<'_>,
    after: Position,
    up_to: Position,
) -> Result<Position, StoreError> {
    let mut count = up_to.0 - after.0;
    while count > 1 {
        let query = session.query(sql::BYTES).bind(after.0).bind(after.0 + count);
        if query.fetch_one().await?.get::<i64, _>(0)? <= BYTES_MAX {
            break;
        }
        count /= 2;
    }
    Ok(after.plus(count))
}

impl EventChunk {
    /// The events, in the order of the log: one for each position.
    pub fn events(&self) -> Result<Vec<ChunkEvent<'_>>, StoreError> {
        match &self.content {
            Content::Joined(row) => self.joined_events(row),
            Content::Each(entries) => {
                Ok(entries.iter().flat_map(|it| self.events_of(it)).collect())
            }
        }
    }

    fn joined_events<'r>(&self, row: &'r Row) -> Result<Vec<ChunkEvent<'r>>, StoreError> {
        let facts: Vec<ChunkRow<'_>> = serde_json::from_str(row.get(3)?).map_err(|_| corrupt())?;
        let mut bodies = Bodies(row.get::<Option<_>, _>(4)?.unwrap_or_default());
        let mut events = Vec::with_capacity(facts.len());
        for ChunkRow(position, id, account, livemode, kind, version, created, source, bytes) in
            facts
        {
            events.push(ChunkEvent {
                position: Position(position),
                event_id: id,
                scope: Scope { account: AccountId::new(account), livemode: livemode != 0 },
                event_type: kind,
                api_version: version,
                created: StripeTime(created),
                source: EventSource::parse(&source).ok_or_else(corrupt)?,
                body: bodies.next(bytes)?,
                damage: None,
            });
        }
        let positions = self.after.0 + 1..=self.to.0;
        let is_dense = events.iter().map(|event| event.position.0).eq(positions);
        (is_dense && bodies.0.is_empty()).then_some(events).ok_or_else(corrupt)
    }

    fn events_of<'e>(&self, entry: &'e LogEntry) -> Vec<ChunkEvent<'e>> {
        let damage = match entry {
            Ok(event) => return vec![event.into()],
            Err(damage) => damage,
        };
        let folded = damage.positions().take_while(|position| *position <= self.to);
        folded.map(|it| ChunkEvent::damaged(it, &damage.cause, damage.rest.as_deref())).collect()
    }
}

/// Some successive events of the log, with all that it holds of them.
pub struct RecordChunk {
    /// The position up to which these are all.
    pub up_to: Position,
    /// Holds the texts.
    row: Row,
}

impl RecordChunk {
    /// The events, in the order of the log.
    pub fn events(&self) -> Result<Vec<LoggedEvent>, StoreError> {
        let list: Option<&str> = self.row.get(0)?;
        let list: Vec<RecordRow<'_>> =
            serde_json::from_str(list.unwrap_or("[]")).map_err(|_| corrupt())?;
        let mut bodies = Bodies(self.row.get::<Option<_>, _>(1)?.unwrap_or_default());
        let mut events = Vec::with_capacity(list.len());
        for row in list {
            events.push(row.event(&mut bodies)?);
        }
        let in_order = events.is_sorted_by_key(|event| event.position);
        (in_order && bodies.0.is_empty()).then_some(events).ok_or_else(corrupt)
    }
}

/// The bodies that have not been taken yet, one after the other.
struct Bodies<'a>(&'a str);

impl<'a> Bodies<'a> {
    /// The next body, of so many bytes; none where it was erased.
    fn next(&mut self, bytes: Option<usize>) -> Result<Option<&'a str>, StoreError> {
        let Some(bytes) = bytes else { return Ok(None) };
        let (body, others) = self.0.split_at_checked(bytes).ok_or_else(corrupt)?;
        self.0 = others;
        Ok(Some(body))
    }
}

fn corrupt() -> StoreError {
    StoreError::Corrupt("a chunk of the log cannot be read".to_owned())
}

/// As [`sql::RECORDS`] lists them.
#[derive(Deserialize)]
struct RecordRow<'a> {
    position: i64,
    #[serde(borrow)]
    event_id: Cow<'a, str>,
    #[serde(borrow)]
    account: Cow<'a, str>,
    livemode: i64,
    #[serde(borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    api_version: Option<Cow<'a, str>>,
    created: i64,
    created_nanos: u32,
    received_at: i64,
    #[serde(borrow)]
    source: Cow<'a, str>,
    #[serde(borrow)]
    signature: Option<Cow<'a, str>>,
    /// This and the next three in hex.
    payload_hash: &'a str,
    leaf_hash: &'a str,
    salt: Option<&'a str>,
    signature_hash: Option<&'a str>,
    bytes: Option<usize>,
    #[serde(borrow)]
    signed_with: Option<Cow<'a, str>>,
}

impl RecordRow<'_> {
    fn event(self, bodies: &mut Bodies<'_>) -> Result<LoggedEvent, StoreError> {
        let livemode = self.livemode != 0;
        Ok(LoggedEvent {
            position: Position(self.position),
            facts: EventFacts {
                scope: Scope { account: AccountId::new(self.account), livemode },
                event_id: EventId::new(self.event_id),
                event_type: self.event_type.into_owned(),
                api_version: self.api_version.map(Cow::into_owned),
                created: StripeTime(self.created),
                created_nanos: self.created_nanos,
            },
            received_at: ReceivedAt(self.received_at),
            source: EventSource::parse(&self.source).ok_or_else(corrupt)?,
            signature: self.signature.map(Cow::into_owned),
            signature_hash: self.signature_hash.map(from_hex).transpose()?,
            payload_hash: from_hex(self.payload_hash)?,
            leaf_hash: from_hex(self.leaf_hash)?,
            salt: self.salt.map(from_hex).transpose()?,
            payload: bodies.next(self.bytes)?.map(str::to_owned),
            signed_with: self.signed_with.map(Cow::into_owned),
        })
    }
}

fn from_hex<const N: usize>(text: &str) -> Result<[u8; N], StoreError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).map_err(|_| corrupt())?;
    Ok(bytes)
}

/// As [`sql::CHUNK`] lists them.
#[derive(Deserialize)]
struct ChunkRow<'a>(
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Cow<'a, str>,
    i64,
    #[serde(borrow)] Cow<'a, str>,
    #[serde(borrow)] Option<Cow<'a, str>>,
    i64,
    #[serde(borrow)] Cow<'a, str>,
    Option<usize>,
);

pub(super) mod sql {
    crate::store::db::statements! {
        BYTES = "SELECT coalesce(sum(octet_length(payload)), 0) FROM events WHERE position > $1 AND position <= $2";
        /// In SQLite in the order of the key, which is checked when it is read: a subquery that is ordered would
        /// copy every body once more.
        CHUNK = sqlite "SELECT max(position), min(received_at), max(received_at),
                json_group_array(json_array(position, event_id, account, livemode, type, api_version, created, source, octet_length(payload))),
                group_concat(payload, ''), (SELECT size FROM log_head WHERE one = 1)
            FROM events WHERE position > $1 AND position <= $2",
            postgres "SELECT max(position), min(received_at), max(received_at),
                json_agg(json_build_array(position, event_id, account, livemode::int, type, api_version, created, source, octet_length(payload))
                    ORDER BY position)::text,
                string_agg(payload, '' ORDER BY position), (SELECT size FROM log_head WHERE one = 1)
            FROM events WHERE position > $1 AND position <= $2";
        RECORDS = sqlite "SELECT json_group_array(json_array(position, event_id, account, livemode, type, api_version, created,
                    created_nanos, received_at, source, signature, hex(payload_hash), hex(leaf_hash), iif(salt IS NULL, NULL, hex(salt)),
                    iif(signature_hash IS NULL, NULL, hex(signature_hash)), octet_length(payload), signed_with)),
                group_concat(payload, '')
            FROM events WHERE position > $1 AND position <= $2",
            postgres "SELECT json_agg(json_build_array(position, event_id, account, livemode::int, type, api_version, created,
                    created_nanos, received_at, source, signature, encode(payload_hash, 'hex'), encode(leaf_hash, 'hex'), encode(salt, 'hex'),
                    encode(signature_hash, 'hex'), octet_length(payload), signed_with) ORDER BY position)::text,
                string_agg(payload, '' ORDER BY position)
            FROM events WHERE position > $1 AND position <= $2";
    }
}
