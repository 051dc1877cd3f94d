//! Which events are to be erased.

use std::collections::BTreeMap;

use super::record::{ErasedEvent, Subject};
use crate::ids::{CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::projection::observe::observe_as;
use crate::store::{LoggedEvent, Source, Store, StoreError, Subject as Timeline};
use crate::stripe::Envelope;
use crate::stripe::routing::Routing;

/// How many events, and bytes of bodies, are read at once, at most.
const EVENTS_AT_ONCE: usize = 4_096;
const BYTES_AT_ONCE: usize = 16 << 20;

/// What is to be erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The account and mode.
    pub scope: Scope,
    /// The events that still say something, in the order of the log.
    pub events: Vec<ErasedEvent>,
    /// Where they stand.
    pub positions: Vec<Position>,
    /// Events that were asked for and are erased already.
    pub erased_before: usize,
}

/// Why there is nothing to erase.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The log has no such event.
    #[error("the log has no event {0}")]
    NoEvent(EventId),
    /// It must stay: it says what was erased.
    #[error("{0} is a record of this ledger's own")]
    OwnRecord(EventId),
    /// No event names the customer.
    #[error("no event of the log names {0}")]
    NoCustomer(CustomerId),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds events by their ids, and all that concern a customer: what stands on the customer's timeline, and
/// what names the customer anywhere in its body, for which the whole log is read. `progress` is told how many
/// events were looked at.
pub async fn find(
    store: &Store,
    scope: &Scope,
    ids: &[EventId],
    customers: &[CustomerId],
    mut progress: impl FnMut(Position),
) -> Result<Found, FindError> {
    let mut chosen = Chosen::default();
    for id in ids {
        let event = store.log.event(id, Some(&scope.account), Some(scope.livemode)).await?.pop();
        let event = event.ok_or_else(|| FindError::NoEvent(id.clone()))?;
        if event.source == Source::Subledger {
            return Err(FindError::OwnRecord(id.clone()));
        }
        chosen.add(&event, None);
    }
    for customer in customers {
        let key = CustomerKey { scope: scope.clone(), customer: customer.clone() };
        let of_customer = Timeline::Customer(key);
        let timeline = store.read_model.timeline(&of_customer, Position::ZERO, usize::MAX);
        let positions: Vec<_> = match timeline.await {
            Ok((_, entries)) => entries.into_iter().map(|entry| entry.position).collect(),
            // Without a read model there is the log.
            Err(StoreError::ReadModelBuilding) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
        for some in positions.chunks(EVENTS_AT_ONCE) {
            for event in store.log.events_at(some).await? {
                chosen.add(&event, Some(customer));
            }
        }
    }
    if !customers.is_empty() {
        let quoted: Vec<_> = customers.iter().map(|it| format!("\"{it}\"")).collect();
        let mut after = Position::ZERO;
        loop {
            let events = store.log.scan(after, EVENTS_AT_ONCE, BYTES_AT_ONCE).await?;
            let Some(last) = events.last() else { break };
            after = last.position;
            for event in events.iter().filter(|event| event.facts.scope == *scope) {
                let names =
                    |quoted: &String| event.payload.as_ref().is_some_and(|it| it.contains(quoted));
                for (customer, _) in customers.iter().zip(&quoted).filter(|(_, it)| names(it)) {
                    chosen.add(event, Some(customer));
                }
            }
            progress(after);
        }
        if let Some(customer) = customers.iter().find(|it| !chosen.customers.contains(it)) {
            return Err(FindError::NoCustomer(customer.clone()));
        }
    }
    let (positions, events) = chosen.events.into_iter().unzip();
    let erased_before = chosen.erased_before.len();
    Ok(Found { scope: scope.clone(), events, positions, erased_before })
}

/// What was chosen so far.
#[derive(Default)]
struct Chosen {
    events: BTreeMap<Position, ErasedEvent>,
    erased_before: std::collections::BTreeSet<Position>,
    customers: Vec<CustomerId>,
}

impl Chosen {
    /// Chooses an event; of a customer, where one was asked for.
    fn add(&mut self, event: &LoggedEvent, of: Option<&CustomerId>) {
        if let Some(customer) = of.filter(|it| !self.customers.contains(it)) {
            self.customers.push(customer.clone());
        }
        if event.source == Source::Subledger {
            return;
        }
        let Some(body) = event.payload.as_deref() else {
            self.erased_before.insert(event.position);
            return;
        };
        let chosen = self.events.entry(event.position).or_insert_with(|| ErasedEvent {
            event_id: event.facts.event_id.clone(),
            subjects: subjects(&event.facts.event_type, body),
        });
        if let Some(customer) = of
            && chosen.subjects.iter().all(|subject| subject.customer != *customer)
        {
            chosen.subjects.push(Subject { customer: customer.clone(), subscription: None });
        }
    }
}

/// Whose timeline the event stands on.
fn subjects(event_type: &str, body: &str) -> Vec<Subject> {
    if let Ok(observation) = observe_as(event_type, body) {
        let subscription = observation.subscription;
        let keys = observation.stand_ins.into_iter().chain(observation.customer);
        return keys
            .map(|key| Subject { customer: key.customer, subscription: subscription.clone() })
            .collect();
    }
    let routing = Envelope::<Routing<'_>>::read(body).ok().and_then(|it| it.object);
    let routing = routing.unwrap_or_default();
    let subscription = routing.subscription.as_deref().map(SubscriptionId::from);
    let customer = routing.customer.as_deref().map(CustomerId::from);
    customer.map(|customer| Subject { customer, subscription }).into_iter().collect()
}
