//! The whole log folded in memory: by customer, in parallel.
//!
//! Joining is commutative, so chunks of the log are joined in whatever order they are read in, by
//! as many threads as there are. The customers are spread over shards, each with a lock of its own
//! that is leased for one join. What grows with the customers stays here until the end, and each row is
//! written once; what grows with the events (timelines, links) is taken out from time to time.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::{EffectsBatch, Entry, Outcome};
use super::incremental::{rows_of, stored};
use crate::ids::{CustomerKey, Position, SubscriptionId};
use crate::projection::Logic;
use crate::projection::catalogue::Catalogue;
use crate::projection::observe::Link;
use crate::projection::state::{Change, CustomerState};
use crate::projection::user::named_by;
use crate::store::{FoldBatch, Parked, StoreError, TimelineEntry};
use crate::time::StripeTime;

/// So many that threads seldom want the same one.
const SHARDS: usize = 64;
/// Changes in a shard until the evidence of order in them is read and its text let go. Many are
/// superseded before, and need never be read.
const UNSETTLED_MAX: usize = 512;
/// Rows of one kind that are written in one transaction.
const ROWS_PER_WRITE: usize = 16_384;

/// The fold so far.
#[derive(Debug)]
pub(super) struct Bulk {
    logic: Logic,
    shards: Vec<Mutex<Shard>>,
    shard_of: RandomState,
    unkeyed: Mutex<Unkeyed>,
}

#[derive(Debug, Default)]
struct Shard {
    places: HashMap<CustomerKey, usize>,
    customers: Vec<Customer>,
    /// The places of customers that were changed and not settled since.
    unsettled: Vec<usize>,
}

/// What there is of one customer, or of an object of a payment that stands in one's place.
#[derive(Debug)]
pub(super) struct Customer {
    key: CustomerKey,
    /// None where nothing but the timeline is known.
    state: Option<CustomerState>,
    timeline: Vec<Seen>,
    /// Users that events link it to.
    users: BTreeSet<String>,
}

/// An event on a timeline.
#[derive(Debug)]
struct Seen {
    subscription: Option<SubscriptionId>,
    position: Position,
    created: StripeTime,
}

/// What is of no one customer.
#[derive(Debug, Default)]
struct Unkeyed {
    links: Vec<Link>,
    catalogue: Catalogue,
    parked: Vec<Parked>,
}

impl Bulk {
    pub(super) fn new(logic: Logic) -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        Self { logic, shards, shard_of: RandomState::new(), unkeyed: Mutex::default() }
    }

    /// Joins the events of a chunk in: any chunk, at any time, from any thread. Says how many of
    /// them could not be folded.
    pub(super) fn join(&self, batch: EffectsBatch) -> usize {
        let mut unkeyed = Unkeyed::default();
        for outcome in batch.entries.into_iter().map(Entry::outcome) {
            let Outcome { timeline, change, links, catalogue, parked } = outcome;
            for TimelineEntry { customer, subscription, position, created } in timeline {
                self.shard(&customer).see(customer, Seen { subscription, position, created });
            }
            if let Some((key, change)) = change {
                let users = named_by(&change, &self.logic);
                self.shard(&key).change(key, change, users);
            }
            unkeyed.links.extend(links);
            unkeyed.parked.extend(parked);
            if let Some(entry) = catalogue {
                unkeyed.catalogue.join(entry);
            }
        }
        let parked = unkeyed.parked.len();
        lock(&self.unkeyed).join(unkeyed);
        parked
    }

    /// Takes out what grows with the events: timelines, links, and what could not be folded.
    pub(super) fn take_events(&self) -> Drained {
        let mut customers = Vec::new();
        for shard in &self.shards {
            for customer in &mut lock(shard).customers {
                let timeline = std::mem::take(&mut customer.timeline);
                if !timeline.is_empty() {
                    let key = customer.key.clone();
                    customers.push(Customer { key, state: None, timeline, users: BTreeSet::new() });
                }
            }
        }
        let mut unkeyed = lock(&self.unkeyed);
        let links = std::mem::take(&mut unkeyed.links);
        let parked = std::mem::take(&mut unkeyed.parked);
        Drained::new(customers, Unkeyed { links, parked, catalogue: Catalogue::default() })
    }

    /// Takes out all that there is.
    pub(super) fn take_all(&self) -> Drained {
        let shards = self.shards.iter().map(|shard| std::mem::take(&mut *lock(shard)));
        let customers = shards.flat_map(|shard| shard.customers).collect();
        Drained::new(customers, std::mem::take(&mut lock(&self.unkeyed)))
    }

    fn shard(&self, key: &CustomerKey) -> MutexGuard<'_, Shard> {
        let hash = self.shard_of.hash_one(key);
        lock(&self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)])
    }
}

/// What is to be written.
#[derive(Debug, Default)]
pub(super) struct Drained {
    /// What is of no one customer.
    pub(super) of_none: Vec<FoldBatch>,
    /// In the order of the tables.
    pub(super) customers: Vec<Customer>,
}

impl Drained {
    fn new(mut customers: Vec<Customer>, unkeyed: Unkeyed) -> Self {
        customers.sort_by(|a, b| a.key.cmp(&b.key));
        let Unkeyed { mut links, catalogue, mut parked } = unkeyed;
        links.sort_unstable();
        links.dedup();
        parked.sort_by_key(|it| it.position);
        let catalogue = catalogue.into_entries().collect();
        let of_links = pieces(links, |links| FoldBatch { links, ..FoldBatch::default() });
        let of_names =
            pieces(catalogue, |catalogue| FoldBatch { catalogue, ..FoldBatch::default() });
        let of_parked = pieces(parked, |parked| FoldBatch { parked, ..FoldBatch::default() });
        Self { of_none: of_links.chain(of_names).chain(of_parked).collect(), customers }
    }
}

/// As many rows at a time as are written at once.
fn pieces<T>(rows: Vec<T>, batch: impl Fn(Vec<T>) -> FoldBatch) -> impl Iterator<Item = FoldBatch> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let piece: Vec<T> = rows.by_ref().take(ROWS_PER_WRITE).collect();
        (!piece.is_empty()).then(|| batch(piece))
    })
}

impl Shard {
    fn see(&mut self, key: CustomerKey, seen: Seen) {
        let place = self.place(key);
        self.customers[place].timeline.push(seen);
    }

    fn change(&mut self, key: CustomerKey, change: Change, users: BTreeSet<String>) {
        let place = self.place(key);
        let customer = &mut self.customers[place];
        customer.state.get_or_insert_default().add(change);
        customer.users.extend(users);
        self.unsettled.push(place);
        if self.unsettled.len() >= UNSETTLED_MAX {
            self.unsettled.sort_unstable();
            self.unsettled.dedup();
            for place in std::mem::take(&mut self.unsettled) {
                self.customers[place].state.iter_mut().for_each(CustomerState::settle);
            }
        }
    }

    fn place(&mut self, key: CustomerKey) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.customers.len();
        let (timeline, users) = (Vec::new(), BTreeSet::new());
        self.customers.push(Customer { key: key.clone(), state: None, timeline, users });
        self.places.insert(key, place);
        place
    }
}

impl Unkeyed {
    fn join(&mut self, other: Self) {
        self.links.extend(other.links);
        self.parked.extend(other.parked);
        other.catalogue.into_entries().for_each(|entry| self.catalogue.join(entry));
    }
}

/// What is to be written of these customers.
pub(super) fn to_be_written(
    customers: Vec<Customer>,
    logic: &Logic,
) -> Result<FoldBatch, StoreError> {
    let mut batch = FoldBatch::default();
    for Customer { key, state, mut timeline, users } in customers {
        batch.users.extend(users.into_iter().map(|user| (key.clone(), user)));
        // As the table has them, so that each is written beside the one before.
        timeline.sort_by(|a, b| (&a.subscription, a.position).cmp(&(&b.subscription, b.position)));
        batch.timeline.extend(timeline.into_iter().map(|seen| TimelineEntry {
            customer: key.clone(),
            subscription: seen.subscription,
            position: seen.position,
            created: seen.created,
        }));
        if let Some(mut state) = state {
            state.settle();
            batch.rows.extend(rows_of(&key, &state, logic));
            batch.states.push((key, stored(&state)?));
        }
    }
    Ok(batch)
}

/// A thread that panicked inside a join leaves a state that is joined or not; the rebuild fails anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
