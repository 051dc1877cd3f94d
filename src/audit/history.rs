//! The history of a user, a customer or a subscription: its events in canonical order, each with
//! what it changed, in words and field by field.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::describe::note;
use super::is_zero;
use super::replay::{FoldOutcome, ReplayStep};
use super::subject::Subject;
use crate::erasure::ErasureRecord;
use crate::ids::{EventId, Position, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::EventSource;
use crate::stripe::Envelope;
use crate::time::{ReceivedAt, StripeTime};

/// A history, told in canonical order.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// Whose.
    pub subject: Subject,
    /// Only what had happened by then.
    pub as_of: Option<StripeTime>,
    /// Only what had reached us by then.
    pub known_at: Option<ReceivedAt>,
    /// Events that `known_at` leaves out and whose time of receipt lies in the future, because the clock was
    /// ahead when they were received; they are known now all the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub received_in_future: usize,
    /// What happened.
    pub events: Vec<HistoryEvent>,
    /// Whether the story is longer than is told: then these are the first events only, and `state` is
    /// what they make.
    pub truncated: bool,
    /// The subscriptions at the end of it.
    pub state: Vec<SubscriptionRow>,
}

/// One event of a history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEvent {
    /// Its place in the log.
    pub position: Position,
    /// `evt_…`.
    pub event_id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened, by Stripe's clock.
    pub occurred_at: StripeTime,
    /// When it reached us, by our clock.
    pub received_at: ReceivedAt,
    /// How it reached us.
    pub source: &'static str,
    /// Whether something that happened later had reached us before.
    pub late: bool,
    /// How often it came again.
    pub redelivered: i64,
    /// Whether nothing says that it was the last of its second or that it was not, and a row would say
    /// something else.
    pub ambiguous: bool,
    /// The events that might be the last of that second instead.
    pub rivals: Vec<EventId>,
    /// What the fold makes of it.
    pub folding: FoldOutcome,
    /// The subscription that it names.
    pub subscription_id: Option<SubscriptionId>,
    /// What it changed, in words.
    pub words: Vec<String>,
    /// What it changed, field by field.
    pub changes: Vec<HistoryChange>,
    /// What a reader should know besides.
    pub note: Option<String>,
}

/// One field that an event changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryChange {
    /// The subscription whose field it is.
    pub subscription_id: String,
    /// The field's name in a row.
    pub field: String,
    /// Its value before; null where there was none.
    pub from: Value,
    /// Its value after.
    pub to: Value,
}

/// Fields that say which event a row comes from, or whose row it is: they change with every event
/// or never, and tell nothing.
pub(super) const OMITTED_FIELDS: [&str; 10] = [
    "account",
    "api_version",
    "customer_id",
    "event_count",
    "last_event_at",
    "last_event_id",
    "livemode",
    "parked",
    "product_name",
    "subscription_id",
];

impl HistoryEvent {
    /// Whether any row is another after it. What an erased or parked event would have changed nobody
    /// knows, so it counts.
    pub fn changed_anything(&self) -> bool {
        !self.changes.is_empty()
            || matches!(self.folding, FoldOutcome::Parked | FoldOutcome::Erased)
    }

    pub(super) fn from_step(step: &ReplayStep<'_>) -> Self {
        let logged = &step.input.logged;
        Self {
            position: logged.position,
            event_id: logged.facts.event_id.clone(),
            event_type: logged.facts.event_type.clone(),
            occurred_at: logged.facts.created,
            received_at: logged.received_at,
            source: logged.source.as_str(),
            late: false,
            redelivered: step.input.redelivered,
            ambiguous: false,
            rivals: Vec::new(),
            folding: step.folding,
            subscription_id: step.subscription.clone(),
            words: Vec::new(),
            changes: Vec::new(),
            note: match (step.folding, &step.reason) {
                (FoldOutcome::Erased, _) => {
                    Some(step.input.erased.clone().unwrap_or_else(|| {
                        "the payload is gone; no erasure is recorded".to_owned()
                    }))
                }
                (FoldOutcome::Parked, Some(reason)) => Some(format!("parked: {reason}")),
                _ => logged.payload.as_deref().and_then(|body| match ErasureRecord::read(body) {
                    Some(record) if logged.source == EventSource::Subledger => Some(format!(
                        "{} events {}",
                        record.events.len(),
                        record.describe(logged.facts.created)
                    )),
                    _ => {
                        let notes = note_of(body).into_iter().chain(step.notes.iter().cloned());
                        Some(notes.collect::<Vec<_>>().join("; ")).filter(|it| !it.is_empty())
                    }
                }),
            },
        }
    }
}

/// What an event says about money.
fn note_of(body: &str) -> Option<String> {
    let envelope = Envelope::parse(body).ok()?;
    let object = serde_json::from_str(envelope.object.map(RawValue::get)?).ok()?;
    note(&envelope.event_type, &object)
}

/// What differs between a row before and after an event.
pub(super) fn changes(
    before: Option<&SubscriptionRow>,
    after: &SubscriptionRow,
) -> Vec<HistoryChange> {
    let old = before.map(fields).unwrap_or_default();
    let one_item = after.items.0.len() <= 1;
    let mut changes = Vec::new();
    for (field, to) in fields(after) {
        let from = old.get(&field).cloned().unwrap_or_default();
        // A single item is told by the fields of the row itself.
        let untold = OMITTED_FIELDS.contains(&field.as_str()) || (field == "items" && one_item);
        if from != to && !untold && !(from.is_null() && says_nothing(&to)) {
            let subscription_id = after.subscription_id.clone();
            changes.push(HistoryChange { subscription_id, field, from, to });
        }
    }
    changes
}

/// A row as JSON, by its columns.
pub(super) fn fields(row: &SubscriptionRow) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// A value that a new subscription has in every field that nothing was said about.
pub(super) fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
