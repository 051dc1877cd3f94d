//! JSON value of an input: an event, an object, a list of these, or a record of an export.

use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::refused::{Refusal, RefusedObjects};
use crate::exchange::EventRecord;
use crate::ids::{AccountId, Scope};
use crate::store::{EventFacts, EventSource, NewEvent, Redelivery};
use crate::stripe::Envelope;
use crate::stripe::json::Text;
use crate::stripe::observation::{self, NotObservable, ObjectHeader, Observation};
use crate::time::StripeTime;

/// Depth of lists in lists, at most.
const LIST_DEPTH_MAX: usize = 4;

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
    /// An object, as an observation.
    Object {
        event: NewEvent,
        /// True for a subscription whose list of items Stripe cut.
        has_more_items: bool,
    },
    /// A line of an export.
    Exported(NewEvent, Vec<Redelivery>),
}

/// Facts that a person states about the objects of an input, because the objects do not say them.
#[derive(Clone, Debug, Default)]
pub(super) struct ObjectOrigin {
    /// Time at which Stripe showed them.
    pub(super) seen_at: Option<StripeTime>,
    /// Connected account that they belong to; empty for the platform's own.
    pub(super) account: AccountId,
    /// Mode of objects that do not say it, such as deleted ones.
    pub(super) livemode: bool,
}

/// Fields that distinguish the forms.
#[derive(Deserialize)]
struct Form<'a> {
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(rename = "type")]
    event_type: Option<IgnoredAny>,
    #[serde(borrow)]
    payload_hash: Option<&'a RawValue>,
}

impl Form<'_> {
    /// True for a page of API v1, of a search, or of API v2, which has no `object`.
    fn is_list(&self) -> bool {
        match self.object.as_deref() {
            Some("list" | "search_result") => true,
            Some(_) => false,
            None => self.data.is_some_and(|data| data.get().starts_with('[')),
        }
    }

    fn is_event(&self) -> bool {
        match self.object.as_deref() {
            Some(name) => matches!(name, "event" | "v2.core.event" | observation::OBJECT),
            // Old events have no `object`.
            None => self.event_type.is_some(),
        }
    }
}

/// Reader of the values of one file.
pub(super) struct RecordReader<'a> {
    pub(super) origin: &'a ObjectOrigin,
    pub(super) refused: RefusedObjects,
}

impl RecordReader<'_> {
    /// Reads every event and object of a complete JSON value, which may be an element of an array, with its exact bytes.
    /// Objects that are refused are only counted.
    pub(super) fn records(
        &mut self,
        json: &str,
        line: &SourceLine,
        is_element: bool,
    ) -> Vec<InputRecord> {
        let mut records = Vec::new();
        self.read(json, line, usize::from(is_element), &mut records);
        records
    }

    fn read(&mut self, json: &str, line: &SourceLine, depth: usize, to: &mut Vec<InputRecord>) {
        let mut send = |content| to.push(InputRecord { line: line.clone(), content });
        if depth > 0 && depth < LIST_DEPTH_MAX && json.starts_with('[') {
            return self.list(json, line, depth, to);
        }
        // Not an object: the envelope's error describes it.
        let Ok(form) = serde_json::from_str::<Form<'_>>(json) else {
            if depth > 0 && serde_json::from_str::<IgnoredAny>(json).is_ok() {
                return self.refused.add(Refusal::NotAnObject, line);
            }
            return send(event(json));
        };
        if form.payload_hash.is_some() {
            return send(exported(json));
        }
        match form.data.filter(|_| form.is_list() && depth < LIST_DEPTH_MAX) {
            Some(data) => self.list(data.get(), line, depth, to),
            None if form.is_event() || (depth == 0 && form.object.is_none()) => send(event(json)),
            None => {
                if let Some(content) = self.object(json, line) {
                    send(content);
                }
            }
        }
    }

    /// Reads the elements of a list.
    fn list(&mut self, data: &str, line: &SourceLine, depth: usize, to: &mut Vec<InputRecord>) {
        let Ok(elements) = serde_json::from_str::<Vec<&RawValue>>(data) else {
            return to.push(invalid(line.clone(), "`data` of the list is not a list"));
        };
        for element in elements {
            self.read(element.get(), line, depth + 1, to);
        }
    }

    /// Reads an object that is no event. None if it is refused.
    fn object(&mut self, json: &str, line: &SourceLine) -> Option<Result<RecordContent, String>> {
        let Ok(header) = serde_json::from_str::<ObjectHeader<'_>>(json) else {
            return Some(Err(
                "`id`, `livemode` or `deleted` of the object is of a wrong type".to_owned()
            ));
        };
        let ObjectOrigin { seen_at, account, livemode } = self.origin;
        let scope =
            Scope { account: account.clone(), livemode: header.livemode.unwrap_or(*livemode) };
        let at = seen_at.unwrap_or_default();
        let observed = match Observation::of(json, &header, &scope, at, None) {
            Ok(observed) => observed,
            Err(NotObservable::Nameless) => {
                self.refused.add(Refusal::unread(None), line);
                return None;
            }
            Err(NotObservable::UnknownType) => {
                self.refused.add(Refusal::unread(header.object.as_deref()), line);
                return None;
            }
        };
        if seen_at.is_none() {
            self.refused.add(Refusal::WithoutTime(observed.object_type.to_owned()), line);
            return None;
        }
        let has_more_items = has_more_items(json);
        let body = observed.body();
        Some(new_event(&body).map(|event| RecordContent::Object { event, has_more_items }))
    }
}

/// Creates an invalid record.
pub(super) fn invalid(line: SourceLine, reason: impl Into<String>) -> InputRecord {
    InputRecord { line, content: Err(reason.into()) }
}

/// True if Stripe cut the list of the object's items.
fn has_more_items(json: &str) -> bool {
    #[derive(Deserialize)]
    struct Cut {
        items: Option<List>,
    }
    #[derive(Deserialize)]
    struct List {
        has_more: Option<bool>,
    }
    let cut = serde_json::from_str::<Cut>(json).ok().and_then(|it| it.items);
    cut.and_then(|it| it.has_more).unwrap_or(false)
}

fn new_event(body: &str) -> Result<NewEvent, String> {
    let envelope = Envelope::parse(body).map_err(|error| error.to_string())?;
    NewEvent::new(EventFacts::from(&envelope), EventSource::Import, None, body.to_owned())
        .map_err(|error| error.to_string())
}

fn event(json: &str) -> Result<RecordContent, String> {
    new_event(json).map(RecordContent::Event)
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
