//! Row of an event: its columns, and what is wrong with them.

use sqlx::{Decode, Postgres, Sqlite, Type};

use super::db::Row;
use super::event::{EventFacts, EventSource, LoggedEvent};
use super::{Damage, DamageCause, StoreError};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::time::{ReceivedAt, StripeTime};

/// Row of an event, read column by column. What cannot be read is empty in the event.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) event: LoggedEvent,
    /// The first column that cannot be read.
    damage: Option<DamageCause>,
    /// The first of those that the fold reads.
    damage_to_fold: Option<DamageCause>,
    /// True if id, account, mode, type and time can be read.
    is_identified: bool,
}

impl EventRow {
    /// Reads the columns in the order that the statements of whole events give them.
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        let position = Position(row.get(0)?);
        let mut columns = Columns { row, damage: None };
        let facts = EventFacts {
            event_id: EventId::new(columns.text(1, "event_id")),
            scope: Scope {
                account: AccountId::new(columns.text(2, "account")),
                livemode: columns.get(3, "livemode"),
            },
            event_type: columns.text(4, "type"),
            created: StripeTime(columns.get(6, "created")),
            ..EventFacts::default()
        };
        let is_identified = columns.damage.is_none();
        let api_version = columns.optional_text(5, "api_version");
        let source = columns.source(9);
        let payload = columns.optional_text(14, "payload");
        let damage_to_fold = columns.damage.clone();
        let created_nanos = columns.get::<i64>(7, "created_nanos");
        let event = LoggedEvent {
            position,
            received_at: ReceivedAt(columns.get(8, "received_at")),
            signature: columns.optional_text(10, "signature"),
            payload_hash: columns.bytes(11, "payload_hash").unwrap_or_default(),
            leaf_hash: columns.bytes(12, "leaf_hash").unwrap_or_default(),
            salt: columns.optional_bytes(13, "salt"),
            signed_with: columns.optional_text(15, "signed_with"),
            signature_hash: columns.optional_bytes(16, "signature_hash"),
            source,
            payload,
            facts: EventFacts {
                api_version,
                created_nanos: u32::try_from(created_nanos).unwrap_or_else(|_| {
                    columns.find("created_nanos", "is out of range");
                    0
                }),
                ..facts
            },
        };
        Ok(Self { event, damage: columns.damage, damage_to_fold, is_identified })
    }

    /// The event, or what is wrong with its row.
    pub(super) fn into_entry(self) -> Result<LoggedEvent, Damage> {
        let Self { event, damage, is_identified, .. } = self;
        entry(event, damage, is_identified)
    }

    /// The event, or what is wrong with the columns that the fold reads.
    pub(super) fn into_entry_of_fold(self) -> Result<LoggedEvent, Damage> {
        let Self { event, damage_to_fold, is_identified, .. } = self;
        entry(event, damage_to_fold, is_identified)
    }
}

fn entry(
    event: LoggedEvent,
    damage: Option<DamageCause>,
    is_identified: bool,
) -> Result<LoggedEvent, Damage> {
    let Some(cause) = damage else { return Ok(event) };
    let rest = is_identified.then(|| Box::new(event.clone()));
    Err(Damage { rest, ..Damage::new(event.position, event.position, cause) })
}

/// Columns of a row, and the first that cannot be read.
struct Columns<'r> {
    row: &'r Row,
    damage: Option<DamageCause>,
}

impl Columns<'_> {
    fn find(&mut self, name: &'static str, wrong: &'static str) {
        self.damage.get_or_insert(DamageCause::Column { name, wrong });
    }

    /// Notes that a column is not of the type that it should be of.
    fn find_wrong(&mut self, index: usize, name: &'static str) {
        let is_null = self.row.bytes(index).is_ok_and(|bytes| bytes.is_none());
        self.find(name, if is_null { "is missing" } else { "is of a wrong type" });
    }

    fn get<T>(&mut self, index: usize, name: &'static str) -> T
    where
        T: Default,
        T: for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>
            + for<'r> Decode<'r, Postgres>
            + Type<Postgres>,
    {
        // SQLite gives NULL as 0 where a number is asked for.
        let value: Option<Option<T>> = self.row.get(index).ok();
        value.flatten().unwrap_or_else(|| {
            self.find_wrong(index, name);
            T::default()
        })
    }

    fn text(&mut self, index: usize, name: &'static str) -> String {
        self.optional_text(index, name).unwrap_or_else(|| {
            self.find_wrong(index, name);
            String::new()
        })
    }

    /// The text of a column, with U+FFFD for each byte that is no text.
    fn optional_text(&mut self, index: usize, name: &'static str) -> Option<String> {
        let Ok(bytes) = self.row.bytes(index) else {
            self.find_wrong(index, name);
            return None;
        };
        let text = String::from_utf8(bytes?);
        Some(text.unwrap_or_else(|error| {
            self.find(name, "is not valid UTF-8");
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }))
    }

    fn source(&mut self, index: usize) -> EventSource {
        EventSource::parse(&self.text(index, "source")).unwrap_or_else(|| {
            self.find("source", "is not one that the log knows");
            EventSource::Import
        })
    }

    fn bytes<const N: usize>(&mut self, index: usize, name: &'static str) -> Option<[u8; N]> {
        let bytes = self.optional_bytes(index, name);
        if bytes.is_none() {
            self.find_wrong(index, name);
        }
        bytes
    }

    fn optional_bytes<const N: usize>(
        &mut self,
        index: usize,
        name: &'static str,
    ) -> Option<[u8; N]> {
        let Ok(bytes) = self.row.get::<Option<Vec<u8>>, _>(index) else {
            self.find_wrong(index, name);
            return None;
        };
        let bytes = <[u8; N]>::try_from(bytes?);
        if bytes.is_err() {
            self.find(name, "has a wrong length");
        }
        bytes.ok()
    }
}
