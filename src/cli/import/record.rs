//! One JSON value of an input: an event, a list of them, or a record of an export.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::EventRecord;
use crate::store::{EventFacts, NewEvent, Redelivery, Source};
use crate::stripe::envelope::Envelope;

/// Where a record stands, for people.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// An event to import, or why there is none. The reason holds nothing of the record.
pub(super) struct Record {
    pub(super) place: Place,
    pub(super) event: Result<Importable, String>,
    /// Whether it comes from an export.
    pub(super) exported: bool,
}

/// An event, and its redeliveries where it comes from an export.
pub(super) type Importable = (NewEvent, Vec<Redelivery>);

/// What tells the forms apart.
#[derive(Deserialize)]
struct Form<'a> {
    object: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    payload_hash: Option<&'a RawValue>,
}

/// Every event of a complete JSON value, its bytes kept as they stand there.
pub(super) fn records(json: &str, place: &Place) -> Vec<Record> {
    let record = |event, exported| Record { place: place.clone(), event, exported };
    // What is not an object, or not read without an allocation: the envelope says what it is.
    let Ok(form) = serde_json::from_str::<Form<'_>>(json) else {
        return vec![record(event(json), false)];
    };
    match form {
        Form { payload_hash: Some(_), .. } => vec![record(exported(json), true)],
        Form { object: Some("list"), data: Some(data), .. } => {
            match serde_json::from_str::<Vec<&RawValue>>(data.get()) {
                Ok(elements) => elements.iter().map(|it| record(event(it.get()), false)).collect(),
                Err(_) => vec![record(Err("`data` of the list is not a list".to_owned()), false)],
            }
        }
        _ => vec![record(event(json), false)],
    }
}

/// A record of something that is not JSON.
pub(super) fn bad(place: Place, reason: impl Into<String>) -> Record {
    Record { place, event: Err(reason.into()), exported: false }
}

fn event(json: &str) -> Result<Importable, String> {
    let envelope = Envelope::parse(json).map_err(|error| error.to_string())?;
    NewEvent::new(EventFacts::from(&envelope), Source::Import, None, json.to_owned())
        .map(|event| (event, Vec::new()))
        .map_err(|error| error.to_string())
}

fn exported(json: &str) -> Result<Importable, String> {
    let record: EventRecord = serde_json::from_str(json)
        // Without the place inside the line: it would be counted from another start.
        .map_err(|_| {
            "not a record of an export: a field is missing or of a wrong type".to_owned()
        })?;
    record.into_event().map_err(|error| error.to_string())
}
