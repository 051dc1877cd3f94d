//! Chunks of events with the fields that the fold needs.

use std::borrow::Cow;

use serde::Deserialize;

use super::bodies::{BYTES_MAX, Bodies, chunk_end, corrupt};
use crate::ids::{AccountId, Position, Scope};
use crate::store::damage::DamageCause;
use crate::store::db::Row;
use crate::store::error::StoreError;
use crate::store::event::{EventSource, LoggedEvent};
use crate::store::event_row::{EventRow, LogEntry};
use crate::store::log::Log;
use crate::store::scan::ScanRange;
use crate::time::{ReceivedAt, StripeTime};

/// Consecutive events of the log with the fields that the fold needs.
pub struct EventChunk {
    /// Last position.
    pub to: Position,
    /// Time of arrival of the first event.
    pub first_received_at: ReceivedAt,
    /// Time of arrival of the last event.
    pub last_received_at: ReceivedAt,
    /// True if the chunk ends at the requested position or because of its size, so that there may be more events.
    pub is_full: bool,
    /// Position before the first event.
    after: Position,
    content: Content,
}

/// Events of a chunk.
enum Content {
    /// Row with the fields and the concatenated bodies, from which events are borrowed.
    Joined(Row),
    /// Separate events, if one of them is damaged.
    Each(Vec<LogEntry>),
}

/// Event of a chunk.
#[derive(Debug)]
pub struct ChunkEvent<'a> {
    /// Position in the log.
    pub position: Position,
    /// Event id, unique within the scope.
    pub event_id: Cow<'a, str>,
    /// Account and mode.
    pub scope: Scope,
    /// Event type.
    pub event_type: Cow<'a, str>,
    /// API version that rendered the event, if it is stated.
    pub api_version: Option<Cow<'a, str>>,
    /// Time of the event by Stripe's clock.
    pub created: StripeTime,
    /// Way in which the event arrived.
    pub source: EventSource,
    /// Body exactly as received. None if it was erased. For a damaged event, its readable rest.
    pub body: Option<&'a str>,
    /// Reason why the event cannot be read. None if its row is intact.
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
    /// Creates a damaged event from its readable rest.
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
    /// Reads the events after a position and up to another. None if there are none. The chunk ends earlier if the
    /// bodies together exceed a few MiB.
    ///
    /// This or [`EventChunk::events`] fails with [`StoreError::Corrupt`] if an event is damaged or missing: then use
    /// [`Self::event_chunk_by_event`].
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
            // The head, read in the same statement, shows whether events are missing.
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

    /// Like [`Self::event_chunk`], but reads each event separately, and marks damaged events.
    ///
    /// [`StoreError::Damaged`] if the log is shorter than its head: such a log is not folded.
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
        let entries: Vec<_> = rows.map(|row| row.and_then(EventRow::into_fold_entry)).collect();
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
}

impl EventChunk {
    /// Parses the events, in the order of the log: one for each position.
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

/// Event in the list of [`sql::CHUNK`].
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

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// SQLite reads in the order of the key, which is checked when the row is parsed: an ordered subquery would
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
    }
}
