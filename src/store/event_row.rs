//! Row of an event, read column by column, with the damage that it has.

use sqlx::{Decode, Postgres, Sqlite, Type};

use super::damage::{Damage, DamageCause};
use super::db::Row;
use super::error::StoreError;
use super::event::{EventFacts, EventSource, LoggedEvent};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::time::{ReceivedAt, StripeTime};
use crate::tree::Hash;

/// Event of the log, or the damage of its row.
pub type LogEntry = Result<LoggedEvent, Damage>;

/// Row of an event. A column that cannot be read is empty in the event.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) event: LoggedEvent,
    /// Damage of the first unreadable column.
    damage: Option<DamageCause>,
    /// Damage of the first unreadable column that the fold needs.
    damage_to_fold: Option<DamageCause>,
    /// True if id, account, mode, type and time of the event can be read.
    is_identified: bool,
}

impl EventRow {
    /// Reads the columns in the order of the statements that select whole events.
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
                    columns.add_damage("created_nanos", "is out of range");
                    0
                }),
                ..facts
            },
        };
        Ok(Self { event, damage: columns.damage, damage_to_fold, is_identified })
    }

    /// Returns the event, or the damage of its row.
    pub(super) fn into_entry(self) -> LogEntry {
        let Self { event, damage, is_identified, .. } = self;
        entry(event, damage, is_identified)
    }

    /// Returns the event, or the damage of the columns that the fold needs.
    pub(super) fn into_fold_entry(self) -> LogEntry {
        let Self { event, damage_to_fold, is_identified, .. } = self;
        entry(event, damage_to_fold, is_identified)
    }
}

fn entry(event: LoggedEvent, damage: Option<DamageCause>, is_identified: bool) -> LogEntry {
    let Some(cause) = damage else { return Ok(event) };
    let rest = is_identified.then(|| Box::new(event.clone()));
    Err(Damage { rest, ..Damage::new(event.position, event.position, cause) })
}

/// Reads the stored leaf hash of the event at a position, which must have one.
pub(super) fn leaf_hash(
    position: Position,
    bytes: Result<Option<&[u8]>, StoreError>,
) -> Result<Hash, StoreError> {
    let damaged = |wrong| {
        let cause = DamageCause::Column { name: "leaf_hash", wrong };
        Damage::new(position, position, cause)
    };
    let bytes = bytes.map_err(|_| damaged("is of a wrong type"))?;
    let bytes = bytes.ok_or_else(|| damaged("is missing"))?;
    Ok(bytes.try_into().map_err(|_| damaged("has a wrong length"))?)
}

/// Columns of a row, with the damage of the first unreadable one.
struct Columns<'r> {
    row: &'r Row,
    damage: Option<DamageCause>,
}

impl Columns<'_> {
    fn add_damage(&mut self, name: &'static str, wrong: &'static str) {
        self.damage.get_or_insert(DamageCause::Column { name, wrong });
    }

    /// Notes that a column is NULL or has another type than it should have.
    fn add_wrong_type(&mut self, index: usize, name: &'static str) {
        let is_null = self.row.bytes(index).is_ok_and(|bytes| bytes.is_none());
        self.add_damage(name, if is_null { "is missing" } else { "is of a wrong type" });
    }

    fn get<T>(&mut self, index: usize, name: &'static str) -> T
    where
        T: Default,
        T: for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>
            + for<'r> Decode<'r, Postgres>
            + Type<Postgres>,
    {
        // SQLite would return 0 for NULL if a number was requested.
        let value: Option<Option<T>> = self.row.get(index).ok();
        value.flatten().unwrap_or_else(|| {
            self.add_wrong_type(index, name);
            T::default()
        })
    }

    fn text(&mut self, index: usize, name: &'static str) -> String {
        self.optional_text(index, name).unwrap_or_else(|| {
            self.add_wrong_type(index, name);
            String::new()
        })
    }

    /// Reads the text of a column, with U+FFFD in place of each invalid byte.
    fn optional_text(&mut self, index: usize, name: &'static str) -> Option<String> {
        let Ok(bytes) = self.row.bytes(index) else {
            self.add_wrong_type(index, name);
            return None;
        };
        let text = String::from_utf8(bytes?);
        Some(text.unwrap_or_else(|error| {
            self.add_damage(name, "is not valid UTF-8");
            String::from_utf8_lossy(error.as_bytes()).into_owned()
        }))
    }

    fn source(&mut self, index: usize) -> EventSource {
        EventSource::parse(&self.text(index, "source")).unwrap_or_else(|| {
            self.add_damage("source", "is not a known source");
            EventSource::Import
        })
    }

    fn bytes<const N: usize>(&mut self, index: usize, name: &'static str) -> Option<[u8; N]> {
        let bytes = self.optional_bytes(index, name);
        if bytes.is_none() {
            self.add_wrong_type(index, name);
        }
        bytes
    }

    fn optional_bytes<const N: usize>(
        &mut self,
        index: usize,
        name: &'static str,
    ) -> Option<[u8; N]> {
        let Ok(bytes) = self.row.get::<Option<Vec<u8>>, _>(index) else {
            self.add_wrong_type(index, name);
            return None;
        };
        let bytes = <[u8; N]>::try_from(bytes?);
        if bytes.is_err() {
            self.add_damage(name, "has a wrong length");
        }
        bytes.ok()
    }
}
