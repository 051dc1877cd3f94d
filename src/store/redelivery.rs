//! Redeliveries: later deliveries of an event, with the same or other bytes.
//!
//! Stripe may deliver the same event with other bytes: `pending_webhooks` counts down, and a second endpoint renders
//! another API version. This is not treated as tampering, and the bytes that were logged first stay.

use super::damage::{Damage, DamageCause};
use super::db::{Row, Session};
use super::error::StoreError;
use super::event::{NewEvent, payload_hash};
use super::log::Log;
use crate::ids::Position;
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Later deliveries of an event with the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redelivery {
    /// Position of the event.
    pub position: Position,
    /// Hash of the content with the event's salt. It equals the hash of the event if the bytes are equal.
    pub payload_hash: Hash,
    /// API version that rendered the content.
    pub api_version: Option<String>,
    /// Time of the first of these deliveries.
    pub first_received_at: ReceivedAt,
    /// Time of the last of these deliveries.
    pub last_received_at: ReceivedAt,
    /// Number of these deliveries, without the one that was logged as the event.
    pub count: i64,
    /// Content, if its API version differs from that of the event.
    pub payload: Option<String>,
}

/// Delivery of an event that is already in the log.
pub(super) struct Duplicate<'a> {
    pub(super) position: Position,
    pub(super) event: &'a NewEvent,
    pub(super) received_at: ReceivedAt,
}

impl Duplicate<'_> {
    /// Records the delivery, inside the transaction of the append.
    pub(super) async fn record(&self, session: &mut Session<'_>) -> Result<(), StoreError> {
        let first = session.query(sql::FIRST).bind(self.position.0).fetch_one().await?;
        let (salt, first_hash, first_version): (Option<Vec<u8>>, Vec<u8>, Option<String>) =
            (first.get(0)?, first.get(1)?, first.get(2)?);
        let version = self.event.facts.api_version.as_deref();
        // An erased event stays erased: without its salt, all bytes are counted as the first ones.
        let salt = salt.and_then(|salt| <[u8; 16]>::try_from(salt).ok());
        let (hash, payload) = match (salt, self.event.payload.as_deref()) {
            (Some(salt), Some(payload)) => (
                payload_hash(&salt, payload).to_vec(),
                (version != first_version.as_deref()).then_some(payload),
            ),
            _ => (first_hash, None),
        };
        session
            .query(sql::COUNT)
            .bind(self.position.0)
            .bind(hash)
            .bind(version)
            .bind(self.received_at.0)
            .bind(payload)
            .execute()
            .await?;
        Ok(())
    }
}

impl Log {
    /// Reads the redeliveries of the events from one position to another, both included.
    pub async fn redeliveries(
        &self,
        from: Position,
        to: Position,
    ) -> Result<Vec<Redelivery>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = session.query(sql::SCAN).bind(from.0).bind(to.0).fetch_all().await?;
        rows.iter().map(read).collect()
    }
}

/// Reads a redelivery. The error names its event.
fn read(row: &Row) -> Result<Redelivery, StoreError> {
    let position = Position(row.get(0)?);
    let read = || {
        Ok::<_, StoreError>(Redelivery {
            position,
            payload_hash: row.hash(1)?,
            api_version: row.get(2)?,
            first_received_at: ReceivedAt(row.get(3)?),
            last_received_at: ReceivedAt(row.get(4)?),
            count: row.get(5)?,
            payload: row.get(6)?,
        })
    };
    let cause = DamageCause::Column { name: "a redelivery of it", wrong: "cannot be read" };
    read().map_err(|_| Damage::new(position, position, cause).into())
}

/// Number of redeliveries of an event with the same content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedeliveryCount {
    /// Position of the event.
    pub position: Position,
    /// Time of the first of these deliveries.
    pub first_received_at: ReceivedAt,
    /// Time of the last of these deliveries.
    pub last_received_at: ReceivedAt,
    /// Number of these deliveries, without the one that was logged as the event.
    pub count: i64,
}

impl Log {
    /// Counts the redeliveries of these events, separately for each content.
    pub async fn redelivery_counts(
        &self,
        positions: &[Position],
    ) -> Result<Vec<RedeliveryCount>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = session.bulk(sql::COUNTS, positions, |to, position| {
            to.integer(position.0);
        });
        let read = |row: &Row| {
            Ok(RedeliveryCount {
                position: Position(row.get(0)?),
                first_received_at: ReceivedAt(row.get(1)?),
                last_received_at: ReceivedAt(row.get(2)?),
                count: row.get(3)?,
            })
        };
        rows.await?.iter().map(read).collect()
    }
}

impl Log {
    /// Restores the redeliveries of an export. Existing ones stay, and those of an erased event get no body.
    ///
    /// The log must have only restored events, as for [`Log::restore`].
    #[tracing::instrument(skip_all)]
    pub async fn restore_redeliveries(&self, rows: &[Redelivery]) -> Result<(), StoreError> {
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        let head = session.query(sql::RESTORED).fetch_one().await?;
        let (size, restored): (i64, i64) = (head.get(0)?, head.get(1)?);
        if size != restored {
            return Err(StoreError::NotEmpty { size: Position(size) });
        }
        for row in rows {
            session
                .query(sql::RESTORE)
                .bind(row.position.0)
                .bind(&row.payload_hash[..])
                .bind(row.api_version.as_deref())
                .bind(row.first_received_at.0)
                .bind(row.last_received_at.0)
                .bind(row.count)
                .bind(row.payload.as_deref())
                .execute()
                .await?;
        }
        write.commit().await
    }
}

pub(super) mod sql {
    crate::store::db::statements! {
        FIRST = "SELECT salt, payload_hash, api_version FROM events WHERE position = $1";
        /// Counts a delivery with this content, or records it. Not an upsert, because the trigger against REPLACE would
        /// reject it.
        COUNT = sqlite "UPDATE redeliveries SET count = count + 1, last_received_at = max(last_received_at, $4)
                WHERE position = $1 AND payload_hash = $2;
            INSERT INTO redeliveries (position, payload_hash, api_version, first_received_at, last_received_at, count, payload)
                SELECT $1, $2, $3, $4, $4, 1, $5 WHERE changes() = 0",
            postgres "WITH counted AS (UPDATE redeliveries SET count = count + 1, last_received_at = greatest(last_received_at, $4)
                WHERE position = $1 AND payload_hash = $2 RETURNING position)
            INSERT INTO redeliveries (position, payload_hash, api_version, first_received_at, last_received_at, count, payload)
                SELECT $1, $2, $3, $4, $4, 1, $5 WHERE NOT EXISTS (SELECT 1 FROM counted)";
        RESTORED = sqlite "SELECT size, restored FROM log_head",
            postgres "SELECT size, restored FROM log_head FOR UPDATE";
        RESTORE = sqlite "INSERT INTO redeliveries (position, payload_hash, api_version, first_received_at, last_received_at, count, payload)
            SELECT $1, $2, $3, $4, $5, $6, iif(EXISTS (SELECT 1 FROM events WHERE position = $1 AND payload IS NOT NULL), $7, NULL)
            WHERE NOT EXISTS (SELECT 1 FROM redeliveries WHERE position = $1 AND payload_hash = $2)",
            postgres "INSERT INTO redeliveries (position, payload_hash, api_version, first_received_at, last_received_at, count, payload)
            VALUES ($1, $2, $3, $4, $5, $6, CASE WHEN EXISTS (SELECT 1 FROM events WHERE position = $1 AND payload IS NOT NULL) THEN $7 END)
            ON CONFLICT DO NOTHING";
        COUNTS [Integer] = sqlite "SELECT position, first_received_at, last_received_at, count FROM redeliveries
            WHERE position IN ({rows}) ORDER BY position",
            postgres "SELECT r.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT position, first_received_at, last_received_at, count
                FROM redeliveries WHERE position = k.column1 OFFSET 0) AS r ORDER BY r.position";
        SCAN = "SELECT position, payload_hash, api_version, first_received_at, last_received_at, count, payload FROM redeliveries
            WHERE position BETWEEN $1 AND $2 ORDER BY position, first_received_at, payload_hash";
    }
}
