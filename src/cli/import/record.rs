//! One JSON value of an input: an event, a list of them, or a record of an export.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::EventRecord;
use crate::store::{EventFacts, EventSource, NewEvent, Redelivery};
use crate::stripe::envelope::Envelope;

/// Longest `object` of an element that a message names, in bytes.
const OBJECT_BYTES_MAX: usize = 64;

/// Where a record stands, for people.
#[derive(Clone, Debug)]
pub(super) struct SourceLine {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One record of an input, or the reason why it is none. The reason holds nothing of the record.
pub(super) struct InputRecord {
    pub(super) place: SourceLine,
    pub(super) content: Result<RecordContent, String>,
}

/// RecordContent of a record.
pub(super) enum RecordContent {
    /// An event by itself.
    Event(NewEvent),
    /// A line of an export.
    Exported(NewEvent, Vec<Redelivery>),
}

/// Fields that tell the forms apart.
#[derive(Deserialize)]
struct Form<'a> {
    object: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    payload_hash: Option<&'a RawValue>,
}

/// Every event of a complete JSON value, its bytes kept as they stand there.
pub(super) fn records(json: &str, place: &SourceLine) -> Vec<InputRecord> {
    let record = |content| InputRecord { place: place.clone(), content };
    // What is not an object, or not read without an allocation: the envelope says what it is.
    let Ok(form) = serde_json::from_str::<Form<'_>>(json) else {
        return vec![record(event(json))];
    };
    match form {
        Form { payload_hash: Some(_), .. } => vec![record(exported(json))],
        Form { object: Some("list"), data: Some(data), .. } => {
            list(data.get()).into_iter().map(record).collect()
        }
        _ => vec![record(event(json))],
    }
}

/// A record of something that is not JSON.
pub(super) fn bad(place: SourceLine, reason: impl Into<String>) -> InputRecord {
    InputRecord { place, content: Err(reason.into()) }
}

/// The elements of a list page. A list without a single event is refused once, as a whole.
fn list(data: &str) -> Vec<Result<RecordContent, String>> {
    let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(data) else {
        return vec![Err("`data` of the list is not a list".to_owned())];
    };
    let contents: Vec<_> = elements.iter().map(|it| event(it.get())).collect();
    match &contents[..] {
        [Err(first), ..] if contents.iter().all(Result::is_err) => {
            vec![Err(not_events(&elements, first))]
        }
        _ => contents,
    }
}

/// Message for a list of other objects.
fn not_events(elements: &[&RawValue], first: &str) -> String {
    let count = elements.len();
    let object = elements.first().and_then(|it| serde_json::from_str::<Form<'_>>(it.get()).ok());
    let is_name = |name: &&str| {
        let plain = |c: char| c.is_ascii_lowercase() || c == '_' || c == '.';
        name.len() <= OBJECT_BYTES_MAX && *name != "event" && name.chars().all(plain)
    };
    match object.and_then(|it| it.object).filter(is_name) {
        Some(name) => format!(
            "a list of {count} objects such as `{name}`, and not of events: import pages of /v1/events"
        ),
        None => format!("none of the {count} elements of the list is an event: {first}"),
    }
}

fn event(json: &str) -> Result<RecordContent, String> {
    let envelope = Envelope::parse(json).map_err(|error| error.to_string())?;
    NewEvent::new(EventFacts::from(&envelope), EventSource::Import, None, json.to_owned())
        .map(RecordContent::Event)
        .map_err(|error| error.to_string())
}

fn exported(json: &str) -> Result<RecordContent, String> {
    let record: EventRecord = serde_json::from_str(json)
        // Without the place inside the line: it would be counted from another start.
        .map_err(|_| {
            "not a record of an export: a field is missing or of a wrong type".to_owned()
        })?;
    let (event, redeliveries) = record.into_event().map_err(|error| error.to_string())?;
    Ok(RecordContent::Exported(event, redeliveries))
}
