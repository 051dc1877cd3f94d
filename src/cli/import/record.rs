//! JSON value of an input: an event, a list of events, or a record of an export.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::exchange::EventRecord;
use crate::store::{EventFacts, EventSource, NewEvent, Redelivery};
use crate::stripe::envelope::Envelope;

/// Longest `object` of a list element that a message shows, in bytes.
const OBJECT_BYTES_MAX: usize = 64;

/// Line of a file, for messages.
#[derive(Clone, Debug)]
pub(super) struct SourceLine {
    pub(super) file: Arc<str>,
    pub(super) number: usize,
}

impl fmt::Display for SourceLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.number)
    }
}

/// Record of an input, or the reason why it is invalid. The reason contains no part of the record.
pub(super) struct InputRecord {
    pub(super) line: SourceLine,
    pub(super) content: Result<RecordContent, String>,
}

/// Content of a record.
pub(super) enum RecordContent {
    /// An event.
    Event(NewEvent),
    /// A line of an export.
    Exported(NewEvent, Vec<Redelivery>),
}

/// Fields that distinguish the forms.
#[derive(Deserialize)]
struct Form<'a> {
    object: Option<&'a str>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    payload_hash: Option<&'a RawValue>,
}

/// Reads every event of a complete JSON value, with its exact bytes.
pub(super) fn records(json: &str, line: &SourceLine) -> Vec<InputRecord> {
    let record = |content| InputRecord { line: line.clone(), content };
    // Not an object, or not readable without an allocation: the envelope's error describes it.
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

/// Creates an invalid record.
pub(super) fn invalid(line: SourceLine, reason: impl Into<String>) -> InputRecord {
    InputRecord { line, content: Err(reason.into()) }
}

/// Reads the elements of a list page. A list without any event is one invalid record.
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

/// Error message for a list of other objects.
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
        // Without the position inside the line, which serde_json counts from the start of the record.
        .map_err(|_| {
            "not a record of an export: a field is missing or has the wrong type".to_owned()
        })?;
    let (event, redeliveries) = record.into_event().map_err(|error| error.to_string())?;
    Ok(RecordContent::Exported(event, redeliveries))
}
