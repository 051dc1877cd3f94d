//! Explanation of a row: for each field the event that set it, the place of the value in that event, and the rule of
//! the policy that decided.

mod decision;
mod locate;
mod origin;
#[cfg(test)]
mod tests;
mod tie;

use serde::Serialize;
use serde_json::Value;

pub use decision::Decision;
pub use tie::{Rival, Tie};

use self::origin::FieldOrigins;
use super::history::{fields, is_default_value};
use super::outline::Outline;
use super::replay::{ReplayInput, ReplayedCustomer, replay};
use super::subject::{Past, Subject, SubjectKind};
use super::{EVENTS_MAX, beside_the_runtime, is_zero};
use crate::ids::{CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::projection::catalogue::Catalogue;
use crate::projection::row::SubscriptionRow;
use crate::projection::{Logic, rows};
use crate::store::{Damage, GenerationStamp, LoggedEvent, Store, StoreError};
use crate::time::{ReceivedAt, StripeTime};

/// Explanation of a row.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// Id of the subscription.
    pub subscription_id: SubscriptionId,
    /// Instant, by Stripe's clock, after which events are left out.
    pub as_of: Option<StripeTime>,
    /// Time of receipt after which events are left out.
    pub known_at: Option<ReceivedAt>,
    /// Number of events that `known_at` leaves out although they are known now: their time of receipt lies in the future,
    /// because the clock was ahead when they were received.
    #[serde(skip_serializing_if = "is_zero")]
    pub received_in_future: usize,
    /// Fields in the order of the row, and `active`.
    pub fields: Vec<Explained>,
    /// True if the history is longer: then this is the result of its first events.
    pub truncated: bool,
}

/// Explanation of one field.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Name of the field.
    pub field: String,
    /// Value of the field.
    pub value: Value,
    /// Event that set it to this value; none if it always had its default value.
    pub set_by: Option<EventPointer>,
    /// Event that holds the value, if the event that set the field does not hold it.
    pub said_by: Option<EventPointer>,
    /// Decision of the policy, if the field depends on it.
    pub decision: Option<Decision>,
    /// Events in the same second as the one that set it.
    pub tie: Option<Tie>,
}

/// Pointer to an event and to a place in its payload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventPointer {
    /// Position in the log.
    pub position: Position,
    /// `evt_…`.
    pub event_id: EventId,
    /// Type of the event.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Second in which it happened, by Stripe's clock.
    pub occurred_at: StripeTime,
    /// JSON pointer into the payload; none if the payload does not hold the value as such.
    pub path: Option<String>,
}

impl EventPointer {
    fn new(logged: &LoggedEvent, path: Option<String>) -> Self {
        Self {
            position: logged.position,
            event_id: logged.facts.event_id.clone(),
            event_type: logged.facts.event_type.clone(),
            occurred_at: logged.facts.created,
            path,
        }
    }
}

/// Explains the row of a subscription by the policy of the live generation, as it is at `now` or was in the past.
/// None if no snapshot of the subscription is known.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn explain(
    store: &Store,
    scope: Scope,
    id: SubscriptionId,
    past: Past,
    now: StripeTime,
) -> Result<Option<(GenerationStamp, Explanation)>, StoreError> {
    let subject = Subject { kind: SubjectKind::Subscription, id: id.to_string(), scope };
    let outline = Outline::read(store, &subject, past, EVENTS_MAX).await?;
    let Some(outline) = outline else { return Ok(None) };
    let (stamp, generation) = (outline.stamp, outline.generation);
    let mut events = outline.read_events(store, &outline.entries).await?;
    events.retain(|it| !it.is_thin);
    let explained = beside_the_runtime(move || {
        let Outline { customers, logic, truncated, received_in_future, .. } = outline;
        let (row, fields) = fields_of(&events, &customers, &logic, &id)?;
        let Past { as_of, known_at } = past;
        let subscription_id = id;
        let explanation =
            Explanation { subscription_id, as_of, known_at, received_in_future, fields, truncated };
        Some((row, explanation))
    });
    let Some((row, mut explanation)) = explained.await? else { return Ok(None) };
    let catalogue = store.read_model.catalogue(generation, [&row]).await?;
    name(store, &row, &catalogue, &mut explanation.fields).await?;
    explanation.fields.push(active(&row, &explanation.fields, past.as_of.unwrap_or(now)));
    Ok(Some((stamp, explanation)))
}

/// Row of a subscription at the end of its history, and the explanation of each field.
fn fields_of(
    events: &[ReplayInput],
    customers: &[CustomerKey],
    logic: &Logic,
    id: &SubscriptionId,
) -> Option<(SubscriptionRow, Vec<Explained>)> {
    let replay = replay(events, customers, logic);
    let is_of =
        |known: &ReplayedCustomer| known.rows.iter().position(|row| row.subscription_id == *id);
    let (known, at) = replay.states.values().find_map(|known| Some((known, is_of(known)?)))?;
    let mut row = known.rows[at].clone();
    replay.counts.get(id).copied().unwrap_or_default().write_to(&mut row);
    let judgement = rows::judgement(&known.state, id, logic)?;
    let sources = FieldOrigins::new(&replay, id, logic);
    let values = fields(&row);
    let explained = SubscriptionRow::COLUMNS.iter().map(|column| {
        let value = values.get(column.name).cloned().unwrap_or_default();
        let mut explained = sources.explain(column.name, value);
        explained.decision = match column.name {
            "entitled" => Some(Decision::on_access(&judgement, &row.status, logic)),
            "entitled_until" => {
                let pause = row.pause_collection.as_ref().map(|pause| pause.0.behavior.as_str());
                Decision::on_end(&judgement, pause, logic)
            }
            _ => None,
        };
        explained
    });
    let explained = explained.collect();
    Some((row, explained))
}

/// Adds the names of the product and the price. The catalogue has no past, so their present names are used.
async fn name(
    store: &Store,
    row: &SubscriptionRow,
    catalogue: &Catalogue,
    explained: &mut [Explained],
) -> Result<(), StoreError> {
    let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
    let mut named = row.clone();
    catalogue.apply_names(&mut named);
    for (field, id, name) in [
        ("product_name", &row.product_id, named.product_name),
        ("price_nickname", &row.price_id, named.price_nickname),
    ] {
        let event = id.as_deref().and_then(|id| catalogue.naming_event(&scope, id));
        let (Some(event), Some(at)) = (event, explained.iter().position(|it| it.field == field))
        else {
            continue;
        };
        let value = Value::from(name);
        let (account, livemode) = (Some(&scope.account), Some(scope.livemode));
        let logged = store.log.event_entries(event, account, livemode).await?.into_iter().next();
        let logged = logged.and_then(|entry| entry.map_or_else(Damage::into_rest, Some));
        let set_by = logged.map(|logged| {
            let body = logged.payload.as_deref().and_then(|body| serde_json::from_str(body).ok());
            let path = body.and_then(|body: Value| {
                locate::find_pointer(&logged.facts.event_type, &body, field, &value, &[])
            });
            EventPointer::new(&logged, path)
        });
        let field = field.to_owned();
        explained[at] =
            Explained { field, value, set_by, said_by: None, decision: None, tie: None };
    }
    Ok(())
}

/// Explanation of `active`: access at `now`, with the rule that decided it.
fn active(row: &SubscriptionRow, explained: &[Explained], now: StripeTime) -> Explained {
    let by = if row.entitled { "entitled_until" } else { "entitled" };
    let by = explained.iter().find(|it| it.field == by).cloned();
    let by = by.filter(|it| it.set_by.is_some() || it.decision.is_some());
    Explained {
        field: "active".to_owned(),
        value: row.active_at(now).into(),
        set_by: by.as_ref().and_then(|it| it.set_by.clone()),
        said_by: by.as_ref().and_then(|it| it.said_by.clone()),
        tie: by.as_ref().and_then(|it| it.tie.clone()),
        decision: by.and_then(|it| it.decision),
    }
}
