//! Reading of ranges of the log, in short transactions.

use futures_util::TryStreamExt as _;

use super::damage::{Damage, DamageCause};
use super::error::StoreError;
use super::event::LoggedEvent;
use super::event_row::{EventRow, LogEntry};
use super::log::Log;
use super::lookup;
use crate::ids::Position;

/// Maximum number of rows that one statement reads, because each may be damaged.
const ROWS_AT_ONCE: usize = 4_096;

impl Log {
    /// Reads the events after a position, in order, until either limit is reached, and at least one. The byte limit
    /// counts payloads.
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn scan(
        &self,
        after: Position,
        limit_events: usize,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let entries = self.entries(after, limit_events, limit_bytes).await?;
        Ok(entries.into_iter().collect::<Result<_, _>>()?)
    }

    /// Like [`Self::scan`], but returns damage in place of damaged events. Each position up to the last one is covered
    /// by its event or by damage.
    pub async fn entries(
        &self,
        after: Position,
        limit_events: usize,
        limit_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        // Read first, so that events appended meanwhile are after it.
        let size = self.head().await?.size;
        let range = ScanRange { after, up_to: Position(i64::MAX), size, limit_events, limit_bytes };
        let rows = self.rows(range).await?;
        Ok(rows.into_iter().map(|row| row.and_then(EventRow::into_entry)).collect())
    }

    /// Reads the rows of a range, or of its beginning, with damage in place of damaged rows.
    pub(super) async fn rows(
        &self,
        range: ScanRange,
    ) -> Result<Vec<Result<EventRow, Damage>>, StoreError> {
        let ScanRange { mut after, up_to, size, limit_events, limit_bytes } = range;
        let mut rows: Vec<Result<EventRow, Damage>> = Vec::new();
        let mut bytes = 0;
        while after < up_to && rows.len() < limit_events && bytes <= limit_bytes {
            let limit = (limit_events - rows.len()).min(ROWS_AT_ONCE);
            let (found, error) = self.rows_after(after, limit, limit_bytes - bytes).await;
            let is_empty = found.is_empty();
            for row in found {
                let at = row.event.position;
                let before = Position(at.0 - 1).min(up_to);
                if before > after {
                    let missing = Damage::new(after.next(), before, DamageCause::Missing);
                    add_damage(&mut rows, missing);
                }
                if at > up_to {
                    after = up_to;
                    break;
                }
                // A body of any size counts, so that the loop ends.
                bytes += row.event.payload.as_ref().map_or(0, String::len);
                rows.push(Ok(row));
                after = at;
            }
            match error {
                Some(error) if !error.is_damage() => return Err(error),
                // The next row, or an index page that leads to it, cannot be read.
                Some(_) if is_empty => {
                    after = after.next();
                    match self.row_at(after).await? {
                        Ok(row) => rows.push(Ok(row)),
                        Err(damage) => add_damage(&mut rows, damage),
                    }
                    // Only the head shows whether there are more rows.
                    if after >= size {
                        break;
                    }
                }
                Some(_) => {}
                None if is_empty => {
                    let end = up_to.min(size);
                    if after < end {
                        let cut_off = Damage::new(after.next(), end, DamageCause::CutOff);
                        add_damage(&mut rows, cut_off);
                    }
                    break;
                }
                None => {
                    if bytes >= limit_bytes || after >= size {
                        break;
                    }
                }
            }
        }
        Ok(rows)
    }

    /// Reads consecutive rows after a position until one cannot be read, and returns that error.
    async fn rows_after(
        &self,
        after: Position,
        limit: usize,
        limit_bytes: usize,
    ) -> (Vec<EventRow>, Option<StoreError>) {
        let mut found = Vec::new();
        let read = async {
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            let mut reader = self.0.db.read().await?;
            let mut session = reader.session();
            let mut rows = session.query(sql::SCAN).bind(after.0).bind(limit).fetch();
            let mut bytes = 0;
            while let Some(row) = rows.try_next().await? {
                let row = EventRow::read(&row)?;
                bytes += row.event.payload.as_ref().map_or(0, String::len);
                found.push(row);
                if bytes >= limit_bytes {
                    break;
                }
            }
            Ok(())
        };
        let error = read.await.err();
        (found, error)
    }

    /// Reads the row at a position that is in the log.
    async fn row_at(&self, position: Position) -> Result<Result<EventRow, Damage>, StoreError> {
        let damage = |cause| Err(Damage::new(position, position, cause));
        match self.rows_at(lookup::sql::AT, &[position]).await {
            Ok(rows) => match rows.first() {
                Some(row) => EventRow::read(row).map(Ok),
                None => Ok(damage(DamageCause::Missing)),
            },
            Err(error) if error.is_damage() => Ok(damage(DamageCause::Unreadable)),
            Err(error) => Err(error),
        }
    }
}

/// Range of positions to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanRange {
    /// Position before the first.
    pub(super) after: Position,
    /// Last position.
    pub(super) up_to: Position,
    /// Size of the log: each position up to it must have a row.
    pub(super) size: Position,
    pub(super) limit_events: usize,
    /// Maximum number of bytes of payloads.
    pub(super) limit_bytes: usize,
}

/// Adds damage, and joins it with the damage before it if they are alike.
fn add_damage<T>(entries: &mut Vec<Result<T, Damage>>, damage: Damage) {
    if let Some(Err(before)) = entries.last_mut()
        && before.join(&damage)
    {
        return;
    }
    entries.push(Err(damage));
}

pub(super) mod sql {
    crate::store::db::statements! {
        SCAN = "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
            FROM events WHERE position > $1 ORDER BY position LIMIT CAST($2 AS bigint)";
    }
}
