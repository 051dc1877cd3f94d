//! Chunks of events with all of their fields.

use std::borrow::Cow;

use serde::Deserialize;

use super::bodies::{Bodies, chunk_end, corrupt};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::store::db::Row;
use crate::store::error::StoreError;
use crate::store::event::{EventFacts, EventSource, LoggedEvent};
use crate::store::event_row::{EventRow, LogEntry};
use crate::store::log::Log;
use crate::store::scan::ScanRange;
use crate::time::{ReceivedAt, StripeTime};

/// Consecutive events of the log with all of their fields.
pub struct RecordChunk {
    /// Position up to which this chunk has all events.
    pub up_to: Position,
    /// Row with the fields and the concatenated bodies.
    row: Row,
}

impl Log {
    /// Reads the events after a position and up to another, with all fields. Missing events are ignored.
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

    /// Like [`Self::records`], but reads each event separately, and returns damage in place of a damaged event.
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

impl RecordChunk {
    /// Parses the events, in the order of the log.
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

/// Event in the list of [`sql::RECORDS`].
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
    /// In hex, as the next three fields.
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

pub(in crate::store) mod sql {
    crate::store::db::statements! {
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
