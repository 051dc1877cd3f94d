//! Redeliveries: events that came again, with the same bytes or others.
//!
//! The same event can honestly arrive with other bytes: `pending_webhooks` counts down, a second
//! endpoint renders another API version. It is never taken for tampering, and never changes what
//! was logged first.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::event::{NewEvent, Redelivery};
use super::log::{self, Log};
use super::{StoreError, append, record};
use crate::ids::Position;
use crate::time::ReceivedAt;

/// A delivery of an event that the log knows.
pub(super) struct Duplicate<'a> {
    pub(super) position: Position,
    pub(super) event: &'a NewEvent,
    pub(super) received_at: ReceivedAt,
}

impl Duplicate<'_> {
    /// Counts the delivery, inside the append's transaction.
    pub(super) async fn record(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let (salt, first_hash, first_version): (Option<Vec<u8>>, Vec<u8>, Option<String>) =
            sqlx::query_as(sql::FIRST).bind(self.position.0).fetch_one(&mut *connection).await?;
        let version = &self.event.facts.api_version;
        // An erased event stays erased: without its salt, all bytes count as the first ones.
        let salt = salt.and_then(|salt| <[u8; 16]>::try_from(salt).ok());
        let (hash, payload) = match (salt, &self.event.payload) {
            (Some(salt), Some(payload)) => (
                record::payload_hash(&salt, payload).to_vec(),
                (*version != first_version).then_some(payload),
            ),
            _ => (first_hash, None),
        };
        sqlx::query(sql::COUNT)
            .bind(self.position.0)
            .bind(hash)
            .bind(version)
            .bind(self.received_at.0)
            .bind(payload)
            .execute(connection)
            .await?;
        Ok(())
    }
}

impl Log {
    /// The redeliveries of the events from one position to another, both included.
    pub async fn redeliveries(
        &self,
        from: Position,
        to: Position,
    ) -> Result<Vec<Redelivery>, StoreError> {
        type Row = (i64, Vec<u8>, Option<String>, i64, i64, i64, Option<String>);
        let rows: Vec<Row> =
            sqlx::query_as(sql::SCAN).bind(from.0).bind(to.0).fetch_all(&self.0.readers).await?;
        rows.into_iter()
            .map(|(position, payload_hash, api_version, first, last, count, payload)| {
                Ok(Redelivery {
                    position: Position(position),
                    payload_hash: log::hash(&payload_hash)?,
                    api_version,
                    first_received_at: ReceivedAt(first),
                    last_received_at: ReceivedAt(last),
                    count,
                    payload,
                })
            })
            .collect()
    }
}

impl Log {
    /// Puts back the redeliveries of an export; those that are there already stay.
    ///
    /// Only while the log holds nothing but what was restored, like [`Log::restore`].
    pub async fn restore_redeliveries(&self, rows: &[Redelivery]) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let (size, restored): (i64, i64) =
            sqlx::query_as(sql::RESTORED).fetch_one(&mut *transaction).await?;
        if size != restored {
            return Err(StoreError::NotEmpty { size: Position(size) });
        }
        for row in rows {
            sqlx::query(sql::RESTORE)
                .bind(row.position.0)
                .bind(&row.payload_hash[..])
                .bind(&row.api_version)
                .bind(row.first_received_at.0)
                .bind(row.last_received_at.0)
                .bind(row.count)
                .bind(&row.payload)
                .execute(&mut *transaction)
                .await?;
        }
        transaction.commit().await?;
        writer.put_back(connection);
        Ok(())
    }
}

pub(super) mod sql {
    super::super::statements::statements! {
        FIRST = "SELECT salt, payload_hash, api_version FROM events WHERE position = ?";
        /// Counts these bytes once more, or records them. Not an upsert: the trigger that guards
        /// against REPLACE would take it for one.
        COUNT = "UPDATE redeliveries SET count = count + 1, last_received_at = max(last_received_at, ?4)
                WHERE position = ?1 AND payload_hash = ?2;
            INSERT INTO redeliveries (position, payload_hash, api_version, first_received_at, last_received_at, count, payload)
                SELECT ?1, ?2, ?3, ?4, ?4, 1, ?5 WHERE changes() = 0";
        RESTORED = "SELECT size, restored FROM log_head";
        RESTORE = "INSERT INTO redeliveries (position, payload_hash, api_version, first_received_at, last_received_at, count, payload)
            SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7
            WHERE NOT EXISTS (SELECT 1 FROM redeliveries WHERE position = ?1 AND payload_hash = ?2)";
        SCAN = "SELECT position, payload_hash, api_version, first_received_at, last_received_at, count, payload FROM redeliveries
            WHERE position BETWEEN ? AND ? ORDER BY position, first_received_at, payload_hash";
    }
}
