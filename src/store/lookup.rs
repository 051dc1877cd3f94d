//! Lookup of single events of the log, by id or position.

use std::collections::HashMap;

use super::damage::{Damage, DamageCause};
use super::db::{Row, Statement};
use super::error::StoreError;
use super::event::{EventHeader, EventSource, LoggedEvent};
use super::event_row::{EventRow, LogEntry, leaf_hash};
use super::log::Log;
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

/// Event that the log has, as a list of Stripe's API is compared with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownEvent {
    /// Position in the log.
    pub position: Position,
    /// True if only a list of Stripe's API has shown the event: no webhook has delivered it.
    pub is_listed_only: bool,
}

impl Log {
    /// Finds the events with this id: one for each account and mode, restricted to an account or mode if given.
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn event(
        &self,
        event_id: &EventId,
        account: Option<&AccountId>,
        livemode: Option<bool>,
    ) -> Result<Vec<LoggedEvent>, StoreError> {
        let entries = self.event_entries(event_id, account, livemode).await?;
        Ok(entries.into_iter().collect::<Result<_, _>>()?)
    }

    /// Like [`Self::event`], but returns damage in place of damaged events.
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

    /// Finds which of these events an account and mode has, without their bodies. Later deliveries are counted too.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn known_events(
        &self,
        scope: &Scope,
        event_ids: &[EventId],
    ) -> Result<HashMap<EventId, KnownEvent>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = session.bulk(sql::KNOWN, event_ids, |to, id| to.text(id.as_str())).await?;
        let mut known = HashMap::with_capacity(rows.len());
        for row in &rows {
            let account: String = row.get(1)?;
            if account == scope.account.as_str() && row.get::<bool, _>(2)? == scope.livemode {
                let source: String = row.get(3)?;
                let is_listed_only =
                    source == EventSource::Api.as_str() && !row.get::<bool, _>(4)?;
                let position = Position(row.get(5)?);
                let event = KnownEvent { position, is_listed_only };
                known.insert(EventId::new(row.get::<String, _>(0)?), event);
            }
        }
        Ok(known)
    }

    /// Reads the events at these positions, in the order of the log.
    ///
    /// [`StoreError::Damaged`] if one of them cannot be read or is missing.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn events_at(&self, positions: &[Position]) -> Result<Vec<LoggedEvent>, StoreError> {
        let entries = self.entries_at(positions).await?;
        Ok(entries.into_iter().collect::<Result<_, _>>()?)
    }

    /// Like [`Self::events_at`], but returns damage in place of damaged events: one entry for each position.
    pub async fn entries_at(&self, positions: &[Position]) -> Result<Vec<LogEntry>, StoreError> {
        let read = |row: &Row| Ok(EventRow::read(row)?.into_entry());
        let position_of = |event: &LoggedEvent| event.position;
        self.each_at(sql::AT, positions, read, position_of).await
    }

    /// Reads the headers of these events, or the damage of their rows: one entry for each position.
    pub async fn headers_at(
        &self,
        positions: &[Position],
    ) -> Result<Vec<Result<EventHeader, Damage>>, StoreError> {
        self.each_at(sql::HEADERS, positions, read_header, |header| header.position).await
    }

    /// Reads one row of a statement for each position, in the order of the log.
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

    /// Reads the leaf hash at a position. None if the log is shorter.
    pub async fn leaf_hash_at(&self, position: Position) -> Result<Option<Hash>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let row = session.query(sql::LEAF_HASH).bind(position.0).fetch_optional().await?;
        row.map(|row| leaf_hash(position, row.get(0))).transpose()
    }

    /// True if the event at a position has this leaf hash, stored or computed from its columns, or if its row is
    /// damaged. Without a hash, true if the log has the position.
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

    pub(super) async fn rows_at(
        &self,
        statement: Statement,
        positions: &[Position],
    ) -> Result<Vec<Row>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let rows = session.bulk(statement, positions, |to, position| {
            to.integer(position.0);
        });
        rows.await
    }
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
        EVENT = "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
            FROM events WHERE event_id = $1 AND account = coalesce($2, account) AND livemode = coalesce($3, livemode)
            ORDER BY position";
        AT [Integer] = sqlite "SELECT position, event_id, account, livemode, type, api_version, created, created_nanos,
                received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
            FROM events WHERE position IN ({rows}) ORDER BY position",
            postgres "SELECT e.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT position, event_id, account, livemode, type, api_version, created,
                created_nanos, received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash
                FROM events WHERE position = k.column1 OFFSET 0) AS e ORDER BY e.position";
        /// The length of the payload is read without the payload.
        HEADERS [Integer] = sqlite "SELECT position, created, received_at, source, coalesce(octet_length(payload), 0) AS payload_bytes
            FROM events WHERE position IN ({rows}) ORDER BY position",
            postgres "SELECT e.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT position, created, received_at, source,
                coalesce(octet_length(payload), 0)::bigint AS payload_bytes
                FROM events WHERE position = k.column1 OFFSET 0) AS e ORDER BY e.position";
        /// An event that a thin event announced was delivered. OFFSET 0 makes PostgreSQL look up each id in the index,
        /// whatever number of rows it expects.
        KNOWN [Text] = sqlite "SELECT event_id, account, livemode, source,
                EXISTS (SELECT 1 FROM redeliveries AS r WHERE r.position = e.position)
                    OR EXISTS (SELECT 1 FROM thin_events AS t WHERE t.fetched = e.position) AS is_delivered, position
            FROM events AS e WHERE event_id IN ({rows})",
            postgres "SELECT e.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT event_id, account, livemode, source,
                EXISTS (SELECT 1 FROM redeliveries AS r WHERE r.position = events.position)
                    OR EXISTS (SELECT 1 FROM thin_events AS t WHERE t.fetched = events.position) AS is_delivered, position
                FROM events WHERE event_id = k.column1 OFFSET 0) AS e";
        LEAF_HASH = "SELECT leaf_hash FROM events WHERE position = $1";
    }
}
