//! The history of a user, a customer or a subscription: its events in canonical order, each with
//! what it changed.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::ids::{CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::projection::canonical::canonical_order;
use crate::projection::observe::observe_as;
use crate::projection::row::SubscriptionRow;
use crate::projection::state::CustomerState;
use crate::projection::{Logic, rows};
use crate::projector::logic_of;
use crate::store::{GenerationStamp, LoggedEvent, Store, StoreError, Subject as Timeline};
use crate::stripe::Envelope;
use crate::time::{ReceivedAt, StripeTime};

/// Whose history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Subject {
    /// Of which kind.
    pub kind: SubjectKind,
    /// The application's user id, `cus_…` or `sub_…`.
    pub id: String,
    /// The account and mode that are meant.
    #[serde(skip)]
    pub scope: Scope,
}

/// The kinds of subjects that have a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SubjectKind {
    /// A user of the application, with every customer that is linked to it.
    User,
    /// A customer.
    Customer,
    /// A subscription.
    Subscription,
}

impl SubjectKind {
    /// The kind that an id looks like: `cus_…`, `sub_…`, and anything else a user.
    pub fn of_id(id: &str) -> Self {
        if id.starts_with("cus_") {
            Self::Customer
        } else if id.starts_with("sub_") {
            Self::Subscription
        } else {
            Self::User
        }
    }
}

/// A history, told in canonical order.
#[derive(Clone, Debug, Serialize)]
pub struct History {
    /// Whose.
    pub subject: Subject,
    /// Only what had happened by then.
    pub as_of: Option<StripeTime>,
    /// Only what had reached us by then.
    pub known_at: Option<ReceivedAt>,
    /// What happened.
    pub events: Vec<HistoryEvent>,
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
    /// The subscription that it names.
    pub subscription_id: Option<SubscriptionId>,
    /// What it changed.
    pub changes: Vec<Change>,
    /// What a reader should know besides.
    pub note: Option<String>,
}

/// One field that an event changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The subscription whose field it is.
    pub subscription_id: String,
    /// The field's name in a row.
    pub field: String,
    /// Its value before; null where there was none.
    pub from: serde_json::Value,
    /// Its value after.
    pub to: serde_json::Value,
}

/// The longest history that is told, in events a customer: beyond it only the first are.
const EVENTS_MAX: usize = 100_000;

/// Fields that say which event a row comes from, or whose row it is: they change with every event
/// or never, and tell nothing.
const UNTOLD: [&str; 10] = [
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

/// Computes a history from the log, judged by the policy of the live generation. None where the
/// subject is not known.
pub async fn history(
    store: &Store,
    subject: Subject,
    as_of: Option<StripeTime>,
    known_at: Option<ReceivedAt>,
) -> Result<Option<(GenerationStamp, History)>, StoreError> {
    let live = store.read_model.live().await?.ok_or(StoreError::ReadModelBuilding)?;
    let (stamp, customers) = customers_of(store, &subject).await?;
    if customers.is_empty() {
        return Ok(None);
    }
    let mut positions = BTreeSet::new();
    for customer in &customers {
        let of_customer = Timeline::Customer(customer.clone());
        let (_, timeline) =
            store.read_model.timeline(&of_customer, Position::ZERO, EVENTS_MAX).await?;
        positions.extend(timeline.into_iter().map(|entry| entry.position));
    }
    let positions: Vec<Position> = positions.into_iter().collect();
    let mut logged = store.log.events_at(&positions).await?;
    logged.retain(|event| {
        as_of.is_none_or(|at| event.facts.created <= at)
            && known_at.is_none_or(|at| event.received_at <= at)
    });
    let logic = logic_of(&live)?;
    // Reading and folding take the processor, not the disk: beside the threads that answer webhooks.
    let told = tokio::task::spawn_blocking(move || {
        let (events, state) = tell(&logged, &customers, &subject, &logic);
        History { subject, as_of, known_at, events, state }
    });
    let mut history = told.await.map_err(|error| StoreError::Internal(error.into()))?;
    let catalogue = store.read_model.catalogue(live.id, &history.state).await?;
    history.state.iter_mut().for_each(|row| catalogue.name(row));
    Ok(Some((stamp, history)))
}

async fn customers_of(
    store: &Store,
    subject: &Subject,
) -> Result<(GenerationStamp, Vec<CustomerKey>), StoreError> {
    let scope = subject.scope.clone();
    match subject.kind {
        SubjectKind::User => store.read_model.customers_of_user(&scope, &subject.id).await,
        SubjectKind::Customer => {
            let customer = CustomerId::from(subject.id.as_str());
            let key = CustomerKey { scope, customer };
            // Also a customer of whom nothing was folded, such as one with parked events alone.
            let of_customer = Timeline::Customer(key.clone());
            let (stamp, entries) =
                store.read_model.timeline(&of_customer, Position::ZERO, 1).await?;
            Ok((stamp, (!entries.is_empty()).then_some(key).into_iter().collect()))
        }
        SubjectKind::Subscription => {
            let subscription = SubscriptionId::from(subject.id.as_str());
            let named = Timeline::Subscription(scope, subscription);
            let (stamp, entries) =
                store.read_model.timeline(&named, Position::ZERO, EVENTS_MAX).await?;
            let customers: BTreeSet<_> = entries.into_iter().map(|entry| entry.customer).collect();
            Ok((stamp, customers.into_iter().collect()))
        }
    }
}

/// Folds the events one by one in canonical order and writes down what each changed.
fn tell(
    logged: &[LoggedEvent],
    customers: &[CustomerKey],
    subject: &Subject,
    logic: &Logic,
) -> (Vec<HistoryEvent>, Vec<SubscriptionRow>) {
    let readable: Vec<(&LoggedEvent, Envelope<'_>)> = logged
        .iter()
        .filter_map(|event| Some((event, Envelope::parse(event.payload.as_deref()?).ok()?)))
        .collect();
    let envelopes: Vec<Envelope<'_>> = readable.iter().map(|(_, e)| e.clone()).collect();
    let mut states: BTreeMap<CustomerKey, (CustomerState, Vec<SubscriptionRow>)> =
        customers.iter().map(|key| (key.clone(), Default::default())).collect();
    let wanted = |row: &SubscriptionRow| {
        subject.kind != SubjectKind::Subscription || row.subscription_id == subject.id
    };
    let late = late(logged);
    let mut events = Vec::new();
    for at in canonical_order(&envelopes) {
        let (logged, envelope) = (readable[at].0, &envelopes[at]);
        let mut told = HistoryEvent {
            position: logged.position,
            event_id: logged.facts.event_id.clone(),
            event_type: logged.facts.event_type.clone(),
            occurred_at: logged.facts.created,
            received_at: logged.received_at,
            source: logged.source.as_str(),
            late: late.contains(&logged.position),
            subscription_id: None,
            changes: Vec::new(),
            note: None,
        };
        match observe_as(&envelope.event_type, logged.payload.as_deref().unwrap_or_default()) {
            Err(error) => told.note = Some(format!("not folded: {error}")),
            Ok(observation) => {
                told.subscription_id = observation.subscription;
                let key = observation.customer;
                if let Some((key, (state, before))) =
                    key.and_then(|key| Some((key.clone(), states.get_mut(&key)?)))
                {
                    observation.change.into_iter().for_each(|change| state.add(change));
                    let after = rows::rows(&key, state, logic);
                    told.changes = changes(before, &after)
                        .into_iter()
                        .filter(|change| {
                            subject.kind != SubjectKind::Subscription
                                || change.subscription_id == subject.id
                        })
                        .collect();
                    *before = after;
                }
            }
        }
        let of_another = subject.kind == SubjectKind::Subscription
            && told.subscription_id.as_ref().is_none_or(|id| id.as_str() != subject.id)
            && told.changes.is_empty();
        if !of_another {
            events.push(told);
        }
    }
    let state = states.into_values().flat_map(|(_, rows)| rows).filter(wanted).collect();
    (events, state)
}

/// The positions before which something had been received that happened later.
fn late(in_order_of_arrival: &[LoggedEvent]) -> BTreeSet<Position> {
    let mut latest = None;
    let mut late = BTreeSet::new();
    for event in in_order_of_arrival {
        if Some(event.facts.created) < latest {
            late.insert(event.position);
        }
        latest = latest.max(Some(event.facts.created));
    }
    late
}

/// What differs between the rows of one customer before and after an event.
fn changes(before: &[SubscriptionRow], after: &[SubscriptionRow]) -> Vec<Change> {
    let mut changes = Vec::new();
    for row in after {
        let old = before.iter().find(|old| old.subscription_id == row.subscription_id);
        if old == Some(row) {
            continue;
        }
        let old = old.map(fields).unwrap_or_default();
        let one_item = row.items.0.len() <= 1;
        for (field, to) in fields(row) {
            let from = old.get(&field).cloned().unwrap_or_default();
            // A single item is told by the fields of the row itself.
            let untold = UNTOLD.contains(&field.as_str()) || (field == "items" && one_item);
            if from != to && !untold && !(from.is_null() && says_nothing(&to)) {
                let subscription_id = row.subscription_id.clone();
                changes.push(Change { subscription_id, field, from, to });
            }
        }
    }
    changes
}

fn fields(row: &SubscriptionRow) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::to_value(row) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    }
}

/// A value that a new subscription has in every field that nothing was said about.
fn says_nothing(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Bool(truth) => !truth,
        serde_json::Value::Array(list) => list.is_empty(),
        serde_json::Value::Object(map) => map.is_empty(),
        _ => false,
    }
}
