//! Reading the log as the fold reads it: a stretch of events at a time, with what the fold needs of
//! them and no more.
//!
//! A row that is handed over costs more than what stands in it, so a stretch is one row: the bodies
//! one after the other, and beside them where each ends and whose it is. That is four times as fast as
//! a row an event, and takes half of the processor.

use std::borrow::Cow;

use serde::Deserialize;

use super::StoreError;
use super::db::Row;
use super::event::Source;
use super::log::Log;
use crate::ids::{AccountId, Position, Scope};
use crate::time::{ReceivedAt, StripeTime};

/// Bytes of bodies in a stretch, at most, unless a single one is larger.
const BYTES_MAX: i64 = 8 << 20;

/// Some successive events of the log.
pub struct Stretch {
    /// The last of their positions.
    pub to: Position,
    /// When the first of them was received.
    pub first_received_at: ReceivedAt,
    /// When the last of them was received.
    pub last_received_at: ReceivedAt,
    /// Whether it ends where it was asked to, or for its size, so that there may be more.
    pub is_full: bool,
    /// Holds the texts, which are read where they are.
    row: Row,
}

/// An event in a stretch.
#[derive(Debug)]
pub struct StretchEvent<'a> {
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
    pub source: Source,
    /// The body exactly as received; none where it was erased.
    pub body: Option<&'a str>,
}

impl Log {
    /// The events after a position and up to another; none if there are none. Fewer where their
    /// bodies are more than a few MiB together.
    pub async fn stretch(
        &self,
        after: Position,
        up_to: Position,
    ) -> Result<Option<Stretch>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let mut count = up_to.0 - after.0;
        while count > 1 {
            let query = session.query(sql::BYTES).bind(after.0).bind(after.0 + count);
            if query.fetch_one().await?.get::<i64, _>(0)? <= BYTES_MAX {
                break;
            }
            count /= 2;
        }
        let query = session.query(sql::STRETCH).bind(after.0).bind(after.0 + count);
        let row = query.fetch_one().await?;
        let Some(to) = row.get::<Option<i64>, _>(0)? else { return Ok(None) };
        Ok(Some(Stretch {
            to: Position(to),
            first_received_at: ReceivedAt(row.get(1)?),
            last_received_at: ReceivedAt(row.get(2)?),
            is_full: to == after.0 + count,
            row,
        }))
    }
}

impl Stretch {
    /// The events, in the order of the log.
    pub fn events(&self) -> Result<Vec<StretchEvent<'_>>, StoreError> {
        let corrupt = || StoreError::Corrupt("a stretch of the log cannot be read".to_owned());
        let facts: Vec<Facts<'_>> =
            serde_json::from_str(self.row.get(3)?).map_err(|_| corrupt())?;
        let mut rest: &str = self.row.get::<Option<_>, _>(4)?.unwrap_or_default();
        let mut events = Vec::with_capacity(facts.len());
        for Facts(position, id, account, livemode, kind, version, created, source, bytes) in facts {
            let body = match bytes {
                None => None,
                Some(bytes) => {
                    let (body, others) = rest.split_at_checked(bytes).ok_or_else(corrupt)?;
                    rest = others;
                    Some(body)
                }
            };
            events.push(StretchEvent {
                position: Position(position),
                event_id: id,
                scope: Scope { account: AccountId::new(account), livemode: livemode != 0 },
                event_type: kind,
                api_version: version,
                created: StripeTime(created),
                source: Source::parse(&source).ok_or_else(corrupt)?,
                body,
            });
        }
        let in_order = events.is_sorted_by_key(|event| event.position);
        (in_order && rest.is_empty()).then_some(events).ok_or_else(corrupt)
    }
}

/// As [`sql::STRETCH`] lists them.
#[derive(Deserialize)]
struct Facts<'a>(
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
        STRETCH = sqlite "SELECT max(position), min(received_at), max(received_at),
                json_group_array(json_array(position, event_id, account, livemode, type, api_version, created, source, octet_length(payload))),
                group_concat(payload, '')
            FROM events WHERE position > $1 AND position <= $2",
            postgres "SELECT max(position), min(received_at), max(received_at),
                json_agg(json_build_array(position, event_id, account, livemode::int, type, api_version, created, source, octet_length(payload))
                    ORDER BY position)::text,
                string_agg(payload, '' ORDER BY position)
            FROM events WHERE position > $1 AND position <= $2";
    }
}
