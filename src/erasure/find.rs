//! Search for the events to erase.

use std::collections::{BTreeMap, BTreeSet};

use super::names::Decoded;
use crate::ids::{CustomerId, CustomerKey, EventId, Position, Scope};
use crate::projection::erasure_record::{ErasedEvent, ErasedSubject};
use crate::projection::user_link::UserLinkRecord;
use crate::projector::effects_of;
use crate::store::{
    ChunkEvent, Damage, EventSource, LogEntry, LoggedEvent, Redelivery, Store, StoreError,
    TimelineEntry, TimelineKey,
};
use crate::time::StripeTime;

/// Events, and bytes of bodies, that are read at once, at most.
const EVENTS_AT_ONCE: usize = 4_096;
const BYTES_AT_ONCE: usize = 16 << 20;

/// Targets of an erasure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureTargets {
    /// Account and mode.
    pub scope: Scope,
    /// Events that still have a body, in the order of the log.
    pub events: Vec<ErasureTarget>,
    /// Number of requested events that are already erased.
    pub erased_before: usize,
    /// Events that cannot be read, so that the customers they name are unknown.
    pub unreadable: Vec<Damage>,
}

/// Event that still has a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErasureTarget {
    /// Position in the log.
    pub position: Position,
    /// Type of the event.
    pub event_type: String,
    /// Second in which it happened, by Stripe's clock.
    pub created: StripeTime,
    /// Entry for the record of the erasure.
    pub entry: ErasedEvent,
}

/// Reason why there is nothing to erase.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// The log has no such event.
    #[error("the log has no event {0}")]
    NoEvent(EventId),
    /// The event is a record of the ledger's own, and must stay.
    #[error("{0} is a record of this ledger's own")]
    OwnRecord(EventId),
    /// No event names the customer.
    #[error("no event of the log names {0}")]
    NoCustomer(CustomerId),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Finds events by their ids, and all events of customers: those on a customer's timeline, and those that name the
/// customer anywhere in their body or in that of a redelivery, for which the whole log is read. `progress` gets the
/// number of searched events.
pub async fn find(
    store: &Store,
    scope: &Scope,
    ids: &[EventId],
    customers: &[CustomerId],
    mut progress: impl FnMut(Position),
) -> Result<ErasureTargets, FindError> {
    let mut selected = Selection::default();
    for id in ids {
        let (account, livemode) = (Some(&scope.account), Some(scope.livemode));
        let entry = store.log.event_entries(id, account, livemode).await?.pop();
        let entry = entry.ok_or_else(|| FindError::NoEvent(id.clone()))?;
        let event = whole_or_rest(entry).map_err(StoreError::from)?;
        if is_permanent(&event) {
            return Err(FindError::OwnRecord(id.clone()));
        }
        let redelivered = RedeliveredBodies::read(store, std::slice::from_ref(&event)).await?;
        selected.add(&event, redelivered.bodies(event.position), None);
    }
    for customer in customers {
        let key = CustomerKey { scope: scope.clone(), customer: customer.clone() };
        for some in timeline(store, key).await?.chunks(EVENTS_AT_ONCE) {
            let entries = store.log.entries_at(some).await?.into_iter();
            let events: Vec<_> = entries.filter_map(|it| whole_or_rest(it).ok()).collect();
            let redelivered = RedeliveredBodies::read(store, &events).await?;
            for event in events {
                selected.add(&event, redelivered.bodies(event.position), Some(customer));
            }
        }
    }
    let mut unreadable = Vec::new();
    if !customers.is_empty() {
        let mut after = Position::ZERO;
        loop {
            let entries = store.log.entries(after, EVENTS_AT_ONCE, BYTES_AT_ONCE).await?;
            let Some(last) = entries.last() else { break };
            after = last.as_ref().map_or_else(|damage| damage.last, |event| event.position);
            let mut events = Vec::with_capacity(entries.len());
            for entry in entries {
                match whole_or_rest(entry) {
                    Ok(event) => events.push(event),
                    Err(damage) => unreadable.push(damage),
                }
            }
            let redelivered = RedeliveredBodies::read(store, &events).await?;
            for event in events.iter().filter(|event| event.facts.scope == *scope) {
                let again = redelivered.bodies(event.position);
                let bodies = event.payload.iter().map(String::as_str).chain(again.clone());
                let decoded: Vec<_> = bodies.map(Decoded::new).collect();
                let names = |id: &CustomerId| decoded.iter().any(|it| it.names(id.as_str()));
                for customer in customers.iter().filter(|it| names(it)) {
                    selected.add(event, again.clone(), Some(customer));
                }
            }
            progress(after);
        }
        if let Some(customer) = customers.iter().find(|it| !selected.customers.contains(it)) {
            return Err(FindError::NoCustomer(customer.clone()));
        }
    }
    let events = selected.events.into_values().collect();
    let erased_before = selected.erased_before.len();
    Ok(ErasureTargets { scope: scope.clone(), events, erased_before, unreadable })
}

/// True for a record that must stay: that of an erasure. A link to a user is about a person, and may be erased.
fn is_permanent(event: &LoggedEvent) -> bool {
    event.source == EventSource::Subledger && event.facts.event_type != UserLinkRecord::TYPE
}

/// The event, or the readable rest of a damaged one, which may still name a customer.
fn whole_or_rest(entry: LogEntry) -> Result<LoggedEvent, Damage> {
    entry.or_else(|mut damage| damage.rest.take().map(|event| *event).ok_or(damage))
}

/// Positions on a customer's timeline; empty without a read model, because the log is searched as well.
async fn timeline(store: &Store, key: CustomerKey) -> Result<Vec<Position>, StoreError> {
    let of_customer = TimelineKey::Customer(key);
    match store.read_model.timeline(&of_customer, Position::ZERO, usize::MAX).await {
        Ok((_, entries)) => Ok(entries.into_iter().map(|entry| entry.position).collect()),
        Err(StoreError::ReadModelBuilding) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// Bodies of redeliveries that differ from those of their events.
struct RedeliveredBodies(Vec<Redelivery>);

impl RedeliveredBodies {
    /// Reads the bodies of the redeliveries of these events, which are in the order of the log.
    async fn read(store: &Store, events: &[LoggedEvent]) -> Result<Self, StoreError> {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return Ok(Self(Vec::new()));
        };
        let mut all = store.log.redeliveries(first.position, last.position).await?;
        all.retain(|it| it.payload.is_some());
        Ok(Self(all))
    }

    /// Bodies of one event's redeliveries.
    fn bodies(&self, position: Position) -> impl Iterator<Item = &str> + Clone {
        let from = self.0.partition_point(|it| it.position < position);
        let of_event = self.0[from..].iter().take_while(move |it| it.position == position);
        of_event.filter_map(|it| it.payload.as_deref())
    }
}

/// Events that were selected so far.
#[derive(Default)]
struct Selection {
    events: BTreeMap<Position, ErasureTarget>,
    erased_before: BTreeSet<Position>,
    customers: BTreeSet<CustomerId>,
}

impl Selection {
    /// Selects an event that has these bodies of redeliveries, on behalf of a customer if one was requested.
    fn add<'b>(
        &mut self,
        event: &'b LoggedEvent,
        redelivered: impl Iterator<Item = &'b str>,
        of: Option<&CustomerId>,
    ) {
        if let Some(customer) = of.filter(|it| !self.customers.contains(it)) {
            self.customers.insert(customer.clone());
        }
        if is_permanent(event) {
            return;
        }
        let Some(body) = event.payload.as_deref().or(redelivered.into_iter().next()) else {
            self.erased_before.insert(event.position);
            return;
        };
        let selected = self.events.entry(event.position).or_insert_with(|| ErasureTarget {
            position: event.position,
            event_type: event.facts.event_type.clone(),
            created: event.facts.created,
            entry: ErasedEvent {
                event_id: event.facts.event_id.clone(),
                subjects: subjects(event, body),
            },
        });
        let subjects = &mut selected.entry.subjects;
        if let Some(customer) = of
            && subjects.iter().all(|subject| subject.customer != *customer)
        {
            subjects.push(ErasedSubject { customer: customer.clone(), subscription: None });
        }
    }
}

/// Customers and subscriptions whose timelines hold the event, which has this body.
fn subjects(event: &LoggedEvent, body: &str) -> Vec<ErasedSubject> {
    let effects = effects_of(&ChunkEvent { body: Some(body), ..event.into() });
    let subject = |entry: TimelineEntry| ErasedSubject {
        customer: entry.customer.customer,
        subscription: entry.subscription,
    };
    effects.timeline.into_iter().map(subject).collect()
}
