//! Reading the log: ranges of positions in short transactions, and single events.

use futures_util::TryStreamExt as _;

use super::StoreError;
use super::db::{Column, Row};
use super::event::{EventFacts, EventHeader, LoggedEvent, Source};
use super::log::{self, Log};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

impl Log {
    /// The events after a position, in order, until either limit is reached; at least one if there
    /// is one. Payloads count towards the bytes.
    pub async fn scan(
        &self,
        after: Position,
        limit_events: usize,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let limit = i64::try_from(limit_events).unwrap_or(i64::MAX);
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let mut rows = session.query(sql::SCAN).bind(after.0).bind(limit).fetch();
        let mut events = Vec::new();
        let mut bytes = 0;
        while let Some(row) = rows.try_next().await? {
            let event = read(&row)?;
            bytes += event.payload.as_ref().map_or(0, String::len);
            events.push(event);
            if bytes >= limit_bytes {
                break;
            }
        }
        Ok(events)
    }

    /// The events of this id: one for each account and mode that has it, narrowed where either is
    /// given.
    pub async fn event(
        &self,
        event_id: &EventId,
        account: Option<&AccountId>,
        livemode: Option<bool>,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let query = session.query(sql::EVENT).bind(event_id.as_str());
        let query = query.bind(account.map(AccountId::as_str)).bind(livemode);
        let rows = query.fetch_all().await?;
        rows.iter().map(read).collect()
    }

    /// The events at these positions, in the order of the log.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<LoggedEvent>, StoreError> {
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        positions.dedup();
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let template = session.text(sql::AT);
        let rows = session.bulk(template, &[Column::Integer], &positions, |to, position| {
            to.integer(position.0);
        });
        rows.await?.iter().map(read).collect()
    }

    /// The same events without their bodies.
    pub async fn headers_at(&self, positions: &[Position]) -> Result<Vec<EventHeader>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let template = session.text(sql::HEADERS);
        let rows = session.bulk(template, &[Column::Integer], positions, |to, position| {
            to.integer(position.0);
        });
        rows.await?.iter().map(read_header).collect()
    }

    /// The leaf hash at a position, if the log reaches that far.
    pub async fn leaf_hash_at(&self, position: Position) -> Result<Option<Hash>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let row = session.query(sql::LEAF_HASH).bind(position.0).fetch_optional().await?;
        row.map(|row| log::hash(row.get(0)?)).transpose()
    }
}

fn read_header(row: &Row) -> Result<EventHeader, StoreError> {
    Ok(EventHeader {
        position: Position(row.get(0)?),
        created: StripeTime(row.get(1)?),
        received_at: ReceivedAt(row.get(2)?),
        source: read_source(row.get(3)?)?,
        payload_bytes: u32::try_from(row.get::<i64, _>(4)?).unwrap_or(u32::MAX),
    })
}

fn read_source(source: &str) -> Result<Source, StoreError> {
    Source::parse(source)
        .ok_or_else(|| StoreError::Corrupt("an event has an unknown source".to_owned()))
}

/// Reads the columns in the order that the statements of whole events give them.
fn read(row: &Row) -> Result<LoggedEvent, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(what.to_owned());
    let salt: Option<&[u8]> = row.get(13)?;
    Ok(LoggedEvent {
        position: Position(row.get(0)?),
        facts: EventFacts {
            event_id: EventId::new(row.get::<String, _>(1)?),
            scope: Scope {
                account: AccountId::new(row.get::<String, _>(2)?),
                livemode: row.get(3)?,
            },
            event_type: row.get(4)?,
            api_version: row.get(5)?,
            created: StripeTime(row.get(6)?),
            created_nanos: u32::try_from(row.get::<i64, _>(7)?)
                .map_err(|_| corrupt("an event has no fraction of a second"))?,
        },
        received_at: ReceivedAt(row.get(8)?),
        source: read_source(row.get(9)?)?,
        signature: row.get(10)?,
        payload_hash: log::hash(row.get(11)?)?,
        leaf_hash: log::hash(row.get(12)?)?,
        salt: salt
            .map(|salt| salt.try_into().map_err(|_| corrupt("a salt has the wrong length")))
            .transpose()?,
        payload: row.get(14)?,
        signed_with: row.get(15)?,
        signature_hash: row.get::<Option<&[u8]>, _>(16)?.map(log::hash).transpose()?,
    })
}

pub(super) mod sql {
    crate::store::db::statements! {
        SCAN = "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
            FROM events WHERE position > $1 ORDER BY position LIMIT CAST($2 AS bigint)";
        EVENT = "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
            FROM events WHERE event_id = $1 AND account = coalesce($2, account) AND livemode = coalesce($3, livemode)
            ORDER BY position";
        AT = sqlite "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
            FROM events WHERE position IN ({rows}) ORDER BY position",
            postgres "SELECT e.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT position, event_id, account, livemode, type, api_version, created,
                created_nanos, received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
                FROM events WHERE position = k.column1 OFFSET 0) AS e ORDER BY e.position";
        /// The length is read without the payload.
        HEADERS = sqlite "SELECT position, created, received_at, source, coalesce(octet_length(payload), 0) AS payload_bytes
            FROM events WHERE position IN ({rows}) ORDER BY position",
            postgres "SELECT e.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT position, created, received_at, source,
                coalesce(octet_length(payload), 0)::bigint AS payload_bytes
                FROM events WHERE position = k.column1 OFFSET 0) AS e ORDER BY e.position";
        LEAF_HASH = "SELECT leaf_hash FROM events WHERE position = $1";
    }
}
