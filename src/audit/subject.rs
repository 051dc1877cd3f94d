//! Whose story is told, and which events it is made of.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::erasure::Erasure;
use crate::ids::{CustomerId, CustomerKey, Position, Scope, SubscriptionId};
use crate::projection::Logic;
use crate::projector::logic_of;
use crate::store::{
    EventFacts, GenerationId, GenerationStamp, LoggedEvent, Redelivered, Source, Store, StoreError,
    Subject as Timeline, TimelineEntry,
};
use crate::time::{ReceivedAt, StripeTime};

/// The longest story that is told, in events a customer: beyond it only the first are, and it says so.
const EVENTS_MAX: usize = 100_000;

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

/// Two clocks that can be turned back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// Only what had happened by then.
    pub as_of: Option<StripeTime>,
    /// Only what had reached us by then.
    pub known_at: Option<ReceivedAt>,
}

/// The events of a subject, as they stand in the log, and what they are to be judged by.
pub(super) struct Story {
    pub(super) stamp: GenerationStamp,
    pub(super) generation: GenerationId,
    pub(super) logic: Logic,
    pub(super) customers: Vec<CustomerKey>,
    /// In the order of the log.
    pub(super) events: Vec<Heard>,
    /// Whether there are more than are told.
    pub(super) truncated: bool,
}

/// An event of a story.
pub(super) struct Heard {
    pub(super) logged: LoggedEvent,
    /// The subscription that it named when it could be read.
    pub(super) subscription: Option<SubscriptionId>,
    /// How often it came again.
    pub(super) redelivered: i64,
    /// When it was erased and by whom, where that is recorded.
    pub(super) erased: Option<String>,
}

impl Story {
    /// Reads it. None where the subject is not known.
    pub(super) async fn read(
        store: &Store,
        subject: &Subject,
        past: Past,
    ) -> Result<Option<Self>, StoreError> {
        let live = store.read_model.live().await?.ok_or(StoreError::ReadModelBuilding)?;
        let (stamp, customers) = customers_of(store, subject).await?;
        if customers.is_empty() {
            return Ok(None);
        }
        let mut truncated = false;
        let mut named: BTreeMap<Position, Option<SubscriptionId>> = BTreeMap::new();
        for customer in &customers {
            let of_customer = Timeline::Customer(customer.clone());
            let read = store.read_model.timeline(&of_customer, Position::ZERO, EVENTS_MAX + 1);
            truncated |= note_down(read.await?.1, EVENTS_MAX, &mut named);
        }
        let positions: Vec<Position> = named.keys().copied().collect();
        let mut logged = store.log.events_at(&positions).await?;
        let erased = erased(store, &customers, &mut logged, &mut named).await?;
        let positions: Vec<Position> = named.keys().copied().collect();
        let mut counts: BTreeMap<Position, i64> = BTreeMap::new();
        for again in store.log.redelivered(&positions).await? {
            *counts.entry(again.position).or_default() += known_by(&again, past.known_at);
        }
        let events = logged.into_iter().filter(|event| {
            past.as_of.is_none_or(|at| event.facts.created <= at)
                && past.known_at.is_none_or(|at| event.received_at <= at)
        });
        let events = events.map(|logged| Heard {
            subscription: named.get(&logged.position).cloned().flatten(),
            redelivered: counts.get(&logged.position).copied().unwrap_or_default(),
            erased: erased.get(&logged.position).cloned(),
            logged,
        });
        let events = events.collect();
        let logic = logic_of(&live)?;
        Ok(Some(Self { stamp, generation: live.id, logic, customers, events, truncated }))
    }
}

/// Adds the events of these customers of which nothing is left but that they were, as the records of their
/// erasures say; and says of each when that was and by whom.
async fn erased(
    store: &Store,
    customers: &[CustomerKey],
    logged: &mut Vec<LoggedEvent>,
    named: &mut BTreeMap<Position, Option<SubscriptionId>>,
) -> Result<BTreeMap<Position, String>, StoreError> {
    let records = logged.iter().filter(|event| event.source == Source::Subledger);
    let records: Vec<_> = records
        .filter_map(|event| Some((event.facts.clone(), Erasure::read(event.payload.as_deref()?)?)))
        .collect();
    let mut erased = BTreeMap::new();
    for (EventFacts { scope, created, .. }, record) in &records {
        for event in &record.events {
            let mut subjects = event.subjects.iter();
            let ours = subjects.find(|subject| {
                customers.iter().any(|it| it.scope == *scope && it.customer == subject.customer)
            });
            let Some(subject) = ours else { continue };
            let (account, mode) = (Some(&scope.account), Some(scope.livemode));
            for found in store.log.event(&event.event_id, account, mode).await? {
                erased.insert(found.position, record.in_words(*created));
                let subscription = named.entry(found.position).or_default();
                *subscription = subscription.take().or_else(|| subject.subscription.clone());
                if logged.iter().all(|known| known.position != found.position) {
                    logged.push(found);
                }
            }
        }
    }
    logged.sort_by_key(|event| event.position);
    Ok(erased)
}

/// Takes the entries down, as many as are told; whether there are more.
fn note_down(
    entries: Vec<TimelineEntry>,
    max: usize,
    named: &mut BTreeMap<Position, Option<SubscriptionId>>,
) -> bool {
    let truncated = entries.len() > max;
    for entry in entries.into_iter().take(max) {
        let subscription = named.entry(entry.position).or_default();
        *subscription = subscription.take().or(entry.subscription);
    }
    truncated
}

/// How often it had come again by then, as far as is known: only the first and the last time are.
fn known_by(again: &Redelivered, known_at: Option<ReceivedAt>) -> i64 {
    match known_at {
        Some(at) if again.first_received_at > at => 0,
        Some(at) if again.last_received_at > at => 1,
        _ => again.count,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_longest_story_is_left_out_and_said() {
        let entry = |position: i64, subscription: Option<&str>| TimelineEntry {
            customer: CustomerKey { scope: Scope::default(), customer: "cus_1".into() },
            subscription: subscription.map(SubscriptionId::from),
            position: Position(position),
            created: StripeTime(position),
        };
        let entries = vec![entry(1, None), entry(1, Some("sub_1")), entry(2, None)];
        let mut named = BTreeMap::new();
        assert!(!note_down(entries.clone(), 3, &mut named));
        assert_eq!(named.len(), 2);
        assert_eq!(named[&Position(1)], Some("sub_1".into()));
        let mut named = BTreeMap::new();
        assert!(note_down(entries, 2, &mut named));
        assert_eq!(named.into_keys().collect::<Vec<_>>(), [Position(1)]);
    }

    #[test]
    fn what_came_again_later_was_not_known_earlier() {
        let again = Redelivered {
            position: Position(1),
            first_received_at: ReceivedAt(10),
            last_received_at: ReceivedAt(20),
            count: 4,
        };
        let known = [None, Some(9), Some(10), Some(19), Some(20)]
            .map(|at| known_by(&again, at.map(ReceivedAt)));
        assert_eq!(known, [4, 0, 1, 1, 4]);
    }
}
