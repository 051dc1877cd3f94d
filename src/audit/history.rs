//! History of a user, a customer or a subscription: its events in canonical order, each with its changes in words and
//! field by field.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::describe::{as_seen_at, note};
use super::is_zero;
use super::replay::{FoldOutcome, ReplayStep};
use super::subject::Subject;
use crate::erasure::ErasureRecord;
use crate::ids::{EventId, Position, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::projection::user_link::UserLinkRecord;
use crate::store::EventSource;
use crate::stripe::{Envelope, observation};
use crate::time::{ReceivedAt, StripeTime};

/// History in canonical order.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// Subject of the history.
    pub subject: Subject,
    /// Instant, by Stripe's clock, after which events are left out.
    pub as_of: Option<StripeTime>,
    /// Time of receipt after which events are left out.
    pub known_at: Option<ReceivedAt>,
    /// Number of events that `known_at` leaves out although they are known now: their time of receipt lies in the future,
    /// because the clock was ahead when they were received.
    #[serde(skip_serializing_if = "is_zero")]
    pub received_in_future: usize,
    /// The events.
    pub events: Vec<HistoryEvent>,
    /// True if the history is longer: these are the first events only, and `state` is their result.
    pub truncated: bool,
    /// Rows of the subscriptions at the end of the history.
    pub state: Vec<SubscriptionRow>,
}

/// Event of a history.
#[derive(Clone, Debug, Serialize)]
pub struct HistoryEvent {
    /// Position in the log.
    pub position: Position,
    /// `evt_…`.
    pub event_id: EventId,
    /// Type of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Second in which it happened, by Stripe's clock.
    pub occurred_at: StripeTime,
    /// Time of receipt, by the ledger's clock.
    pub received_at: ReceivedAt,
    /// Source of the event.
    pub source: &'static str,
    /// True if an event that happened later was received before it.
    pub late: bool,
    /// Number of redeliveries.
    pub redelivered: i64,
    /// True if nothing shows whether it was the last of its second, and a row depends on that.
    pub ambiguous: bool,
    /// Other events that may be the last of that second.
    pub rivals: Vec<EventId>,
    /// Outcome of its fold.
    pub folding: FoldOutcome,
    /// Subscription that it names.
    pub subscription_id: Option<SubscriptionId>,
    /// Changes in words.
    pub words: Vec<String>,
    /// Changes field by field.
    pub changes: Vec<HistoryChange>,
    /// Remark, such as the amount of a payment.
    pub note: Option<String>,
}

/// Change of one field by an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HistoryChange {
    /// Subscription of the row.
    pub subscription_id: SubscriptionId,
    /// Name of the field.
    pub field: String,
    /// Value before; null if there was none.
    pub from: Value,
    /// Value after.
    pub to: Value,
}

/// Fields that a history omits: they identify the row or its latest event, and change never or with every event.
pub(super) const OMITTED_FIELDS: [&str; 11] = [
    "account",
    "api_version",
    "customer_id",
    "event_count",
    "last_event_at",
    "last_event_id",
    "livemode",
    "observed_at",
    "parked",
    "product_name",
    "subscription_id",
];

impl HistoryEvent {
    /// True if it changed a row. An erased or parked event counts, because its effect is unknown.
    pub fn changed_anything(&self) -> bool {
        !self.changes.is_empty()
            || matches!(self.folding, FoldOutcome::Parked | FoldOutcome::Erased)
    }

    /// Makes the event of a step, without its changes.
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
                        let link = UserLinkRecord::read(body)
                            .filter(|_| logged.source == EventSource::Subledger);
                        let note = link.map(|it| it.describe()).or_else(|| note_of(body));
                        let notes = step.input.link.iter().cloned().chain(note);
                        let notes = notes.chain(step.notes.iter().cloned());
                        Some(notes.collect::<Vec<_>>().join("; ")).filter(|it| !it.is_empty())
                    }
                }),
            },
        }
    }
}

/// Sentence about the money in an event, or about the observation that it is.
fn note_of(body: &str) -> Option<String> {
    let envelope = Envelope::parse(body).ok()?;
    if envelope.is_observation {
        let seen = as_seen_at(envelope.created);
        let request = observation::request_of(body);
        let by =
            request.map_or_else(|| ", imported".to_owned(), |it| format!(" by {}", it.describe()));
        return Some(format!("{seen}{by}"));
    }
    let object = serde_json::from_str(envelope.object.map(RawValue::get)?).ok()?;
    note(&envelope.event_type, &object)
}

/// Fields that differ between a row before and after an event.
pub(super) fn changes(
    before: Option<&SubscriptionRow>,
    after: &SubscriptionRow,
) -> Vec<HistoryChange> {
    let old = before.map(fields).unwrap_or_default();
    let one_item = after.items.0.len() <= 1;
    let mut changes = Vec::new();
    for (field, to) in fields(after) {
        let from = old.get(&field).cloned().unwrap_or_default();
        // The fields of the row itself describe a single item.
        let is_omitted = OMITTED_FIELDS.contains(&field.as_str()) || (field == "items" && one_item);
        if from != to && !is_omitted && !(from.is_null() && is_default_value(&to)) {
            let subscription_id = after.subscription_id.clone();
            changes.push(HistoryChange { subscription_id, field, from, to });
        }
    }
    changes
}

/// Row as JSON, by columns.
pub(super) fn fields(row: &SubscriptionRow) -> Map<String, Value> {
    match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// True for the value that a field of a new subscription has by default.
pub(super) fn is_default_value(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
