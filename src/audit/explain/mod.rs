//! Why a subscription is what it is: for each field of its row the event that set it, where in that event it
//! stands, and what the policy had to say.

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
use super::history::{fields, says_nothing};
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

/// A row, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explanation {
    /// The subscription.
    pub subscription_id: SubscriptionId,
    /// Only what had happened by then.
    pub as_of: Option<StripeTime>,
    /// Only what had reached us by then.
    pub known_at: Option<ReceivedAt>,
    /// Events that `known_at` leaves out and whose time of receipt lies in the future, because the clock was
    /// ahead when they were received; they are known now all the same.
    #[serde(skip_serializing_if = "is_zero")]
    pub received_in_future: usize,
    /// Its fields, in the order of the row, and `active`.
    pub fields: Vec<Explained>,
    /// Whether the story is longer than is replay: then this is what its first events make.
    pub truncated: bool,
}

/// One field of a row, explained.
#[derive(Clone, Debug, Serialize)]
pub struct Explained {
    /// Its name.
    pub field: String,
    /// Its value.
    pub value: Value,
    /// The event that set it to this value; none where nothing ever said anything else than nothing.
    pub set_by: Option<EventPointer>,
    /// The event that has the value, where the one that set it only made it count.
    pub said_by: Option<EventPointer>,
    /// What decided, of what depends on the policy.
    pub decision: Option<Decision>,
    /// The events that shared the second of the one that set it.
    pub tie: Option<Tie>,
}

/// An event, and where in it something stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventPointer {
    /// Its place in the log.
    pub position: Position,
    /// `evt_…`.
    pub event_id: EventId,
    /// Its type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// When it happened, by Stripe's clock.
    pub occurred_at: StripeTime,
    /// A JSON pointer into its payload; none where the value is not in it as such.
    pub path: Option<String>,
}

impl EventPointer {
    fn of(logged: &LoggedEvent, path: Option<String>) -> Self {
        Self {
            position: logged.position,
            event_id: logged.facts.event_id.clone(),
            event_type: logged.facts.event_type.clone(),
            occurred_at: logged.facts.created,
            path,
        }
    }
}

/// Explains a subscription's row by the policy of the live generation, as it is at `now` or was in the past.
/// None where no snapshot of it is known.
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
    let events = outline.read_events(store, &outline.entries).await?;
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

/// The row of a subscription at the end of a story, and each of its fields explained.
fn fields_of(
    events: &[ReplayInput],
    customers: &[CustomerKey],
    logic: &Logic,
    id: &SubscriptionId,
) -> Option<(SubscriptionRow, Vec<Explained>)> {
    let replay = replay(events, customers, logic);
    let is_of = |known: &ReplayedCustomer| {
        known.rows.iter().position(|row| row.subscription_id == id.as_str())
    };
    let (known, at) = replay.states.values().find_map(|known| Some((known, is_of(known)?)))?;
    let mut row = known.rows[at].clone();
    replay.counts.get(id).copied().unwrap_or_default().put_into(&mut row);
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

/// Puts in what the catalogue calls the product and the price. It knows no past: what they are called now counts.
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
            EventPointer::of(&logged, path)
        });
        let field = field.to_owned();
        explained[at] =
            Explained { field, value, set_by, said_by: None, decision: None, tie: None };
    }
    Ok(())
}

/// Whether access is granted now: by what decided last.
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
