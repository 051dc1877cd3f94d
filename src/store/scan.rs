//! Reading the log: ranges of positions in short transactions, and single events.

use futures_util::TryStreamExt as _;
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, Row as _};

use super::StoreError;
use super::event::{EventFacts, LoggedEvent, Source};
use super::log::{self, Log};
use super::statements::with_rows;
use super::tree::Hash;
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::time::{ReceivedAt, StripeTime};

/// Positions that one statement looks up, at most.
const POSITIONS_PER_LOOKUP: usize = 500;

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
        let mut rows = sqlx::query(sql::SCAN).bind(after.0).bind(limit).fetch(&self.0.readers);
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
        let rows = sqlx::query(sql::EVENT)
            .bind(event_id.as_str())
            .bind(account.map(AccountId::as_str))
            .bind(livemode)
            .fetch_all(&self.0.readers)
            .await?;
        rows.iter().map(read).collect()
    }

    /// The events at these positions, in the order of the log.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<LoggedEvent>, StoreError> {
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        positions.dedup();
        let mut events = Vec::with_capacity(positions.len());
        for chunk in positions.chunks(POSITIONS_PER_LOOKUP) {
            let mut query =
                sqlx::query(AssertSqlSafe(with_rows(sql::AT, 1, chunk.len().next_power_of_two())));
            for position in chunk {
                query = query.bind(position.0);
            }
            for row in query.fetch_all(&self.0.readers).await? {
                events.push(read(&row)?);
            }
        }
        Ok(events)
    }

    /// The leaf hash at a position, if the log reaches that far.
    pub async fn leaf_hash_at(&self, position: Position) -> Result<Option<Hash>, StoreError> {
        let bytes: Option<Vec<u8>> = sqlx::query_scalar(sql::LEAF_HASH)
            .bind(position.0)
            .fetch_optional(&self.0.readers)
            .await?;
        bytes.map(|bytes| log::hash(&bytes)).transpose()
    }
}

/// Reads the columns in the order that all statements here give them.
fn read(row: &SqliteRow) -> Result<LoggedEvent, StoreError> {
    let corrupt = |what: &str| StoreError::Corrupt(what.to_owned());
    let source: &str = row.try_get(9)?;
    let salt: Option<&[u8]> = row.try_get(13)?;
    Ok(LoggedEvent {
        position: Position(row.try_get(0)?),
        facts: EventFacts {
            event_id: EventId::new(row.try_get::<String, _>(1)?),
            scope: Scope {
                account: AccountId::new(row.try_get::<String, _>(2)?),
                livemode: row.try_get(3)?,
            },
            event_type: row.try_get(4)?,
            api_version: row.try_get(5)?,
            created: StripeTime(row.try_get(6)?),
            created_nanos: row.try_get(7)?,
        },
        received_at: ReceivedAt(row.try_get(8)?),
        source: Source::parse(source).ok_or_else(|| corrupt("an event has an unknown source"))?,
        signature: row.try_get(10)?,
        payload_hash: log::hash(row.try_get(11)?)?,
        leaf_hash: log::hash(row.try_get(12)?)?,
        salt: salt
            .map(|salt| salt.try_into().map_err(|_| corrupt("a salt has the wrong length")))
            .transpose()?,
        payload: row.try_get(14)?,
    })
}

pub(super) mod sql {
    super::super::statements::statements! {
        SCAN = "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload
            FROM events WHERE position > ? ORDER BY position LIMIT ?";
        EVENT = "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload
            FROM events WHERE event_id = ?1 AND (?2 IS NULL OR account = ?2) AND (?3 IS NULL OR livemode = ?3)
            ORDER BY position";
        AT = "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload
            FROM events WHERE position IN (VALUES {rows}) ORDER BY position";
        LEAF_HASH = "SELECT leaf_hash FROM events WHERE position = ?";
    }
}
