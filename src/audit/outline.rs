//! Outline of a history: its events second by second, without their bodies, so that a history of any length can be
//! read a few seconds at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::read_limit::{ReadLimit, whole_seconds};
use super::replay::ReplayInput;
use super::subject::{Past, Subject, SubjectKind, customers_of};
use super::thin_links::{self, ThinLinks};
use crate::erasure::ErasureRecord;
use crate::ids::{CustomerId, CustomerKey, EventId, Position, SubscriptionId};
use crate::projection::Logic;
use crate::projector::logic_of;
use crate::store::{
    Damage, EventFacts, EventHeader, EventSource, GenerationId, GenerationStamp, LogEntry,
    LoggedEvent, RedeliveryCount, Store, StoreError, TimelineKey,
};
use crate::time::{ReceivedAt, StripeTime};

/// Headers that are read at once.
const HEADERS: usize = 4_096;

/// Outline of a subject's history, with the logic that computes its rows.
pub(super) struct Outline {
    pub(super) stamp: GenerationStamp,
    pub(super) generation: GenerationId,
    pub(super) logic: Arc<Logic>,
    pub(super) customers: Vec<CustomerKey>,
    /// Events by second; those of one second in the order of the log.
    pub(super) entries: Vec<OutlineEntry>,
    /// Positions of events that were received after an event that happened later.
    pub(super) late: BTreeSet<Position>,
    /// True if the history is longer than the outline.
    pub(super) truncated: bool,
    /// Number of events that `known_at` leaves out and that have a time of receipt in the future.
    pub(super) received_in_future: usize,
    known_at: Option<ReceivedAt>,
    /// Sentences that say when events were erased and by whom, as far as that is recorded.
    erased: BTreeMap<Position, Arc<str>>,
    /// Links between thin events and what was fetched for them.
    thin: ThinLinks,
}

/// Event of an outline: forty bytes, because there may be many.
#[derive(Clone, Debug)]
pub(super) struct OutlineEntry {
    pub(super) header: EventHeader,
    /// Subscription that the event names.
    subscription: Option<Arc<SubscriptionId>>,
}

impl Outline {
    /// Reads the first events of each customer, up to `events_max`. None if the subject is not known.
    pub(super) async fn read(
        store: &Store,
        subject: &Subject,
        past: Past,
        events_max: usize,
    ) -> Result<Option<Self>, StoreError> {
        let live = store.read_model.live().await?.ok_or(StoreError::ReadModelBuilding)?;
        let (mut stamp, customers) = customers_of(store, subject).await?;
        let mut scan = TimelineScan::default();
        let mut truncated = false;
        for customer in &customers {
            let of_customer = TimelineKey::Customer(customer.clone());
            let mut count = 0;
            let limit = events_max.saturating_add(1);
            let read =
                store.read_model.timeline_each(&of_customer, Position::ZERO, limit, |entry| {
                    count += 1;
                    if count <= events_max {
                        scan.add(entry.position, entry.created, entry.subscription);
                    }
                });
            stamp = stamp.or(Some(read.await?));
            truncated |= count > events_max;
        }
        // A customer is known if it has any event, even parked ones alone.
        let is_known = match subject.kind {
            SubjectKind::Customer => !scan.events.is_empty(),
            SubjectKind::User | SubjectKind::Subscription => !customers.is_empty(),
        };
        let Some(stamp) = stamp.filter(|_| is_known) else { return Ok(None) };

        let mut entries = scan.read(store).await?;
        let erased = add_erased(store, &customers, &mut entries).await?;
        let Past { as_of, known_at } = past;
        let thin = add_thin(store, &customers, &mut entries, known_at).await?;
        entries.retain(|it| as_of.is_none_or(|at| it.header.created <= at));
        let now = store.log.now();
        let in_future = |it: &&OutlineEntry| {
            it.header.received_at > now && known_at.is_some_and(|at| it.header.received_at > at)
        };
        let received_in_future = entries.iter().filter(in_future).count();
        entries.retain(|it| known_at.is_none_or(|at| it.header.received_at <= at));
        let is_thin = |it: &&OutlineEntry| thin.thin.contains(&it.header.position);
        let late = late(entries.iter().filter(|it| !is_thin(it)));
        entries.sort_by_key(|entry| entry.header.created);
        let logic = Arc::new(logic_of(&live)?);
        let generation = live.id;
        Ok(Some(Self {
            stamp,
            generation,
            logic,
            customers,
            entries,
            late,
            truncated,
            received_in_future,
            known_at,
            erased,
            thin,
        }))
    }

    /// Next entries after the first `after`: whole seconds, because the order of a second depends on all its events.
    pub(super) fn next_entries(&self, after: usize, limit: ReadLimit) -> &[OutlineEntry] {
        let rest = &self.entries[after..];
        &rest[..whole_seconds(rest, |it| it.header, limit)]
    }

    /// Reads the events of some entries, in the order of the log.
    pub(super) async fn read_events(
        &self,
        store: &Store,
        entries: &[OutlineEntry],
    ) -> Result<Vec<ReplayInput>, StoreError> {
        let subscriptions: BTreeMap<_, _> =
            entries.iter().map(|it| (it.header.position, it.subscription.as_deref())).collect();
        let positions: Vec<_> = subscriptions.keys().copied().collect();
        let logged = store.log.entries_at(&positions).await?;
        let mut counts: BTreeMap<Position, i64> = BTreeMap::new();
        for again in store.log.redelivery_counts(&positions).await? {
            *counts.entry(again.position).or_default() += known_by(&again, self.known_at);
        }
        let headers: BTreeMap<_, _> =
            entries.iter().map(|it| (it.header.position, it.header)).collect();
        let inputs = logged.into_iter().map(|entry| {
            let (logged, damage) = match entry {
                Ok(logged) => (logged, None),
                Err(damage) => {
                    let cause = damage.cause.to_string();
                    (self.rest_of(damage, &headers), Some(cause))
                }
            };
            ReplayInput {
                subscription: subscriptions.get(&logged.position).copied().flatten().cloned(),
                redelivered: counts.get(&logged.position).copied().unwrap_or_default(),
                erased: self.erased.get(&logged.position).map(ToString::to_string),
                damage,
                link: self.thin.words.get(&logged.position).cloned(),
                is_thin: self.thin.thin.contains(&logged.position),
                logged,
            }
        });
        Ok(inputs.collect())
    }

    /// Damaged event without its body: the readable rest of its row, or the facts that the timeline has.
    fn rest_of(&self, damage: Damage, headers: &BTreeMap<Position, EventHeader>) -> LoggedEvent {
        let position = damage.first;
        let rest = damage.into_rest().unwrap_or_else(|| {
            let header = headers.get(&position);
            let scope = self.customers.first().map(|it| it.scope.clone());
            LoggedEvent {
                position,
                facts: EventFacts {
                    scope: scope.unwrap_or_default(),
                    event_id: EventId::new(""),
                    created: header.map_or(StripeTime(0), |it| it.created),
                    ..EventFacts::default()
                },
                received_at: header.map_or(ReceivedAt(0), |it| it.received_at),
                source: header.map_or(EventSource::Import, |it| it.source),
                signature: None,
                signed_with: None,
                signature_hash: None,
                payload_hash: [0; 32],
                leaf_hash: [0; 32],
                salt: None,
                payload: None,
            }
        });
        LoggedEvent { payload: None, ..rest }
    }
}

/// Events of timelines: their positions, and the subscription that each names.
#[derive(Default)]
struct TimelineScan {
    events: Vec<TimelineEvent>,
    /// Ids of subscriptions, each once, because many events name the same.
    subscriptions: BTreeSet<Arc<SubscriptionId>>,
}

/// Event of a timeline.
struct TimelineEvent {
    position: Position,
    created: StripeTime,
    subscription: Option<Arc<SubscriptionId>>,
}

impl TimelineScan {
    fn add(
        &mut self,
        position: Position,
        created: StripeTime,
        subscription: Option<SubscriptionId>,
    ) {
        let subscription = subscription.map(|id| {
            let known = self.subscriptions.get(&id).map(Arc::clone);
            known.unwrap_or_else(|| {
                let id = Arc::new(id);
                self.subscriptions.insert(Arc::clone(&id));
                id
            })
        });
        self.events.push(TimelineEvent { position, created, subscription });
    }

    /// Reads the headers, in the order of the log. Of several subscriptions of one event the first counts.
    async fn read(mut self, store: &Store) -> Result<Vec<OutlineEntry>, StoreError> {
        self.events.sort_by_key(|it| it.position);
        self.events.dedup_by(|again, kept| {
            let is_same = again.position == kept.position;
            if is_same && kept.subscription.is_none() {
                kept.subscription = again.subscription.take();
            }
            is_same
        });
        let mut entries = Vec::with_capacity(self.events.len());
        let mut before = ReceivedAt(0);
        for some in self.events.chunks(HEADERS) {
            let positions: Vec<_> = some.iter().map(|it| it.position).collect();
            let headers = store.log.headers_at(&positions).await?;
            for (event, header) in some.iter().zip(headers) {
                let header = header.unwrap_or_else(|damage| event.header(damage, before));
                before = header.received_at;
                entries.push(OutlineEntry { header, subscription: event.subscription.clone() });
            }
        }
        Ok(entries)
    }
}

impl TimelineEvent {
    /// Header of an event whose row is damaged. Its time of receipt is at least that of the event before it.
    fn header(&self, damage: Damage, before: ReceivedAt) -> EventHeader {
        damage.into_rest().map_or_else(
            || EventHeader {
                position: self.position,
                created: self.created,
                received_at: before,
                source: EventSource::Import,
                payload_bytes: 0,
            },
            |rest| rest.header(),
        )
    }
}

/// Adds the erased events of these customers, which only the records of erasures name. Returns the sentences that say
/// when each was erased and by whom.
async fn add_erased(
    store: &Store,
    customers: &[CustomerKey],
    entries: &mut Vec<OutlineEntry>,
) -> Result<BTreeMap<Position, Arc<str>>, StoreError> {
    let of_records = entries.iter().map(|it| it.header);
    let of_records = of_records.filter(|header| header.source == EventSource::Subledger);
    let records: Vec<_> = of_records.map(|header| header.position).collect();
    let mut erased = BTreeMap::new();
    let mut found = Vec::new();
    for position in records {
        // A damaged record names no events.
        for event in store.log.entries_at(&[position]).await?.into_iter().flatten() {
            let Some(record) = event.payload.as_deref().and_then(ErasureRecord::read) else {
                continue;
            };
            let words: Arc<str> = record.describe(event.facts.created).into();
            let scope = &event.facts.scope;
            let is_ours = |customer: &CustomerId| {
                customers.iter().any(|it| it.scope == *scope && it.customer == *customer)
            };
            for of_record in record.events {
                let mut subjects = of_record.subjects.into_iter();
                let Some(subject) = subjects.find(|it| is_ours(&it.customer)) else { continue };
                let (account, mode) = (Some(&scope.account), Some(scope.livemode));
                let of_id = store.log.event_entries(&of_record.event_id, account, mode).await?;
                let found_or_rest = |entry: LogEntry| entry.map_or_else(Damage::into_rest, Some);
                for event in of_id.into_iter().filter_map(found_or_rest) {
                    erased.insert(event.position, Arc::clone(&words));
                    let subscription = subject.subscription.clone().map(Arc::new);
                    found.push(OutlineEntry { header: event.header(), subscription });
                }
            }
        }
    }
    entries.append(&mut found);
    entries.sort_by_key(|entry| entry.header.position);
    entries.dedup_by(|again, kept| {
        let is_same = again.header.position == kept.header.position;
        if is_same && kept.subscription.is_none() {
            kept.subscription = again.subscription.take();
        }
        is_same
    });
    Ok(erased)
}

/// Adds the thin events of these customers.
async fn add_thin(
    store: &Store,
    customers: &[CustomerKey],
    entries: &mut Vec<OutlineEntry>,
    known_at: Option<ReceivedAt>,
) -> Result<ThinLinks, StoreError> {
    let event = |it: &OutlineEntry| {
        let (received_at, subscription) = (it.header.received_at, it.subscription.clone());
        (it.header.position, thin_links::TimelineEvent { received_at, subscription })
    };
    let timeline: BTreeMap<_, _> = entries.iter().map(event).collect();
    let (links, found) = ThinLinks::find(&store.log, customers, &timeline, known_at).await?;
    let entry = |(header, subscription)| OutlineEntry { header, subscription };
    entries.extend(found.into_iter().map(entry));
    entries.sort_by_key(|it| it.header.position);
    Ok(links)
}

/// Positions of events that were received after an event that happened later.
fn late<'e>(in_order_of_arrival: impl IntoIterator<Item = &'e OutlineEntry>) -> BTreeSet<Position> {
    let mut latest = None;
    let mut late = BTreeSet::new();
    for OutlineEntry { header, .. } in in_order_of_arrival {
        if Some(header.created) < latest {
            late.insert(header.position);
        }
        latest = latest.max(Some(header.created));
    }
    late
}

/// Number of redeliveries up to an instant, as far as it is known: only the first and the last have a stored time.
fn known_by(again: &RedeliveryCount, known_at: Option<ReceivedAt>) -> i64 {
    match known_at {
        Some(at) if again.first_received_at > at => 0,
        Some(at) if again.last_received_at > at => 1,
        _ => again.count,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::read_limit::tests::header;

    fn entry(position: i64, created: i64) -> OutlineEntry {
        OutlineEntry { header: header(position, created, 0), subscription: None }
    }

    #[test]
    fn late_is_what_something_came_before_that_happened_later() {
        let entries = [entry(1, 5), entry(2, 3), entry(3, 5), entry(4, 4)];
        assert_eq!(late(&entries).into_iter().map(|it| it.0).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn names_of_subscriptions_are_kept_once() {
        let mut scan = TimelineScan::default();
        for position in 1..=3 {
            scan.add(Position(position), StripeTime(1), Some("sub_1".into()));
        }
        scan.add(Position(4), StripeTime(1), None);
        assert_eq!(scan.subscriptions.len(), 1);
        assert!(Arc::ptr_eq(
            scan.events[0].subscription.as_ref().unwrap(),
            scan.events[2].subscription.as_ref().unwrap()
        ));
        assert_eq!(scan.events[3].subscription, None);
    }

    #[test]
    fn what_came_again_later_was_not_known_earlier() {
        let again = RedeliveryCount {
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
