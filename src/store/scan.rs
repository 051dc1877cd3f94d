//! Reading the log: ranges of positions in short transactions, and single events.

use futures_util::TryStreamExt as _;

use super::db::{BindType, Row, Statement};
use super::event::{EventHeader, EventSource, LoggedEvent};
use super::event_row::EventRow;
use super::log::{self, Log};
use super::{Damage, DamageCause, StoreError};
use crate::ids::{AccountId, EventId, Position};
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

/// An event of the log, or what is wrong with its row.
pub type LogEntry = Result<LoggedEvent, Damage>;

/// Rows that are read in one statement, at most, where each may be damaged.
const ROWS_AT_ONCE: usize = 4_096;

impl Log {
    /// The events after a position, in order, until either limit is reached; at least one if there
    /// is one. Payloads count towards the bytes.
    ///
    /// [`StoreError::Damaged`] where one of them cannot be read.
    pub async fn scan(
        &self,
        after: Position,
        limit_events: usize,
        limit_bytes: usize,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let entries = self.entries(after, limit_events, limit_bytes).await?;
        Ok(entries.into_iter().collect::<Result<_, _>>()?)
    }

    /// Like [`Self::scan`], around what is damaged. Each position up to the last one is there: its event, or
    /// the damage that it is in.
    pub async fn entries(
        &self,
        after: Position,
        limit_events: usize,
        limit_bytes: usize,
    ) -> Result<Vec<LogEntry>, StoreError> {
        // Read first: what is appended meanwhile lies behind it.
        let size = self.head().await?.size;
        let range = ScanRange { after, up_to: Position(i64::MAX), size, limit_events, limit_bytes };
        let rows = self.rows(range).await?;
        Ok(rows.into_iter().map(|row| row.and_then(EventRow::into_entry)).collect())
    }

    /// The rows of a range, or of its beginning, around what is damaged.
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
                // A body of any size counts, so that there is an end.
                bytes += row.event.payload.as_ref().map_or(0, String::len);
                rows.push(Ok(row));
                after = at;
            }
            match error {
                Some(error) if !error.is_damage() => return Err(error),
                // The next row cannot be read, or what leads to it.
                Some(_) if is_empty => {
                    after = after.next();
                    match self.row_at(after).await? {
                        Ok(row) => rows.push(Ok(row)),
                        Err(damage) => add_damage(&mut rows, damage),
                    }
                    // Whether there is any more, only the head can tell.
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

    /// The rows after a position that can be read one after the other, and why the next one cannot be.
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

    /// The row at a position that is in the log.
    async fn row_at(&self, position: Position) -> Result<Result<EventRow, Damage>, StoreError> {
        let damage = |cause| Err(Damage::new(position, position, cause));
        match self.rows_at(sql::AT, &[position]).await {
            Ok(rows) => match rows.first() {
                Some(row) => EventRow::read(row).map(Ok),
                None => Ok(damage(DamageCause::Missing)),
            },
            Err(error) if error.is_damage() => Ok(damage(DamageCause::Unreadable)),
            Err(error) => Err(error),
        }
    }

    async fn rows_at(
        &self,
        statement: Statement,
        positions: &[Position],
    ) -> Result<Vec<Row>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let template = session.text(statement);
        let rows = session.bulk(template, &[BindType::Integer], positions, |to, position| {
            to.integer(position.0);
        });
        rows.await
    }

    /// The events of this id: one for each account and mode that has it, narrowed where either is
    /// given.
    ///
    /// [`StoreError::Damaged`] where one of them cannot be read.
    pub async fn event(
        &self,
        event_id: &EventId,
        account: Option<&AccountId>,
        livemode: Option<bool>,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let entries = self.event_entries(event_id, account, livemode).await?;
        Ok(entries.into_iter().collect::<Result<_, _>>()?)
    }

    /// Like [`Self::event`], with what is wrong with those that cannot be read.
    pub async fn event_entries(
        &self,
        event_id: &EventId,
        account: Option<&AccountId>,
        livemode: Option<bool>,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let query = session.query(sql::EVENT).bind(event_id.as_str());
        let query = query.bind(account.map(AccountId::as_str)).bind(livemode);
        let rows = query.fetch_all().await?;
        rows.iter().map(|row| Ok(EventRow::read(row)?.into_entry())).collect()
    }

    /// The events at these positions of the log, in its order.
    ///
    /// [`StoreError::Damaged`] where one of them cannot be read, or is not there.
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<LoggedEvent>, StoreError> {
        let entries = self.entries_at(positions).await?;
        Ok(entries.into_iter().collect::<Result<_, _>>()?)
    }

    /// Like [`Self::events_at`], with what is wrong with those that cannot be read: one entry a position.
    pub async fn entries_at(&self, positions: &[Position]) -> Result<Vec<LogEntry>, StoreError> {
        let read = |row: &Row| Ok(EventRow::read(row)?.into_entry());
        let position_of = |event: &LoggedEvent| event.position;
        self.each_at(sql::AT, positions, read, position_of).await
    }

    /// The same events without their bodies, or what is wrong with their rows: one header a position.
    pub async fn headers_at(
        &self,
        positions: &[Position],
    ) -> Result<Vec<Result<EventHeader, Damage>>, StoreError> {
        self.each_at(sql::HEADERS, positions, read_header, |header| header.position).await
    }

    /// Rows of a statement for each of these positions, in the order of the log.
    async fn each_at<T>(
        &self,
        statement: Statement,
        positions: &[Position],
        read: impl Fn(&Row) -> Result<Result<T, Damage>, StoreError>,
        position_of: impl Fn(&T) -> Position,
    ) -> Result<Vec<Result<T, Damage>>, StoreError> {
        let mut positions = positions.to_vec();
        positions.sort_unstable();
        positions.dedup();
        let mut found = Vec::with_capacity(positions.len());
        match self.rows_at(statement, &positions).await {
            Ok(rows) => {
                for row in &rows {
                    found.push(read(row)?);
                }
            }
            Err(error) if error.is_damage() => {
                for position in &positions {
                    match self.rows_at(statement, &[*position]).await {
                        Ok(rows) => {
                            for row in &rows {
                                found.push(read(row)?);
                            }
                        }
                        Err(error) if error.is_damage() => {
                            let cause = DamageCause::Unreadable;
                            found.push(Err(Damage::new(*position, *position, cause)));
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        let place = |it: &Result<T, Damage>| match it {
            Ok(value) => position_of(value),
            Err(damage) => damage.first,
        };
        let missing = |position| Err(Damage::new(position, position, DamageCause::Missing));
        let mut each = Vec::with_capacity(positions.len());
        let mut found = found.into_iter().peekable();
        for position in positions {
            let there = found.next_if(|it| place(it) == position);
            each.push(there.unwrap_or_else(|| missing(position)));
        }
        Ok(each)
    }

    /// The leaf hash at a position, if the log reaches that far.
    pub async fn leaf_hash_at(&self, position: Position) -> Result<Option<Hash>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let row = session.query(sql::LEAF_HASH).bind(position.0).fetch_optional().await?;
        row.map(|row| log::leaf_hash(position, row.get(0))).transpose()
    }

    /// True if the log holds this leaf at a position, as far as it can be read: its stored hash or the one
    /// that its columns give is this one, or the row is damaged. Without a hash, true if it reaches that far.
    pub async fn has_leaf(
        &self,
        position: Position,
        leaf: Option<Hash>,
    ) -> Result<bool, StoreError> {
        if self.head().await?.size < position {
            return Ok(false);
        }
        let Some(leaf) = leaf else { return Ok(true) };
        Ok(match self.entries_at(&[position]).await?.pop() {
            Some(Ok(event)) => event.leaf_hash == leaf || event.recomputed_leaf_hash() == leaf,
            Some(Err(_)) | None => true,
        })
    }
}

/// Range of positions of the log to be read.
#[derive(Clone, Copy, Debug)]
pub(super) struct ScanRange {
    /// The position before the first.
    pub(super) after: Position,
    /// The last position.
    pub(super) up_to: Position,
    /// Size of the log when it was looked at: up to here, each position has a row.
    pub(super) size: Position,
    pub(super) limit_events: usize,
    /// Bytes of payloads.
    pub(super) limit_bytes: usize,
}

/// Adds damage to what was read, to the one before it where they are one.
fn add_damage<T>(entries: &mut Vec<Result<T, Damage>>, damage: Damage) {
    if let Some(Err(before)) = entries.last_mut()
        && before.join(&damage)
    {
        return;
    }
    entries.push(Err(damage));
}

fn read_header(row: &Row) -> Result<Result<EventHeader, Damage>, StoreError> {
    let position = Position(row.get(0)?);
    let wrong = |name| {
        let cause = DamageCause::Column { name, wrong: "cannot be read" };
        Damage::new(position, position, cause)
    };
    let read = || {
        let source = row.get(3).ok().and_then(EventSource::parse);
        let bytes = row.get::<i64, _>(4).map_err(|_| wrong("payload"))?;
        Ok(EventHeader {
            position,
            created: StripeTime(row.get(1).map_err(|_| wrong("created"))?),
            received_at: ReceivedAt(row.get(2).map_err(|_| wrong("received_at"))?),
            source: source.ok_or_else(|| wrong("source"))?,
            payload_bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        })
    };
    Ok(read())
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
