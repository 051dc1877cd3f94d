//! Folded customers in memory: the states of many customers, joined from any thread.
//!
//! Joining is commutative, so events may be joined in whatever order they are read in. The customers are spread
//! over shards, each with a lock of its own that is held for one join.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::footprint::footprint;
use super::state::{CustomerState, StateChange};
use crate::ids::CustomerKey;

/// Number of shards: so many that threads seldom want the same one.
const SHARDS: usize = 64;
/// Changes in a shard until their evidence of order is read and its text released. Many are superseded
/// before, and need never be read.
const UNREAD_MAX: usize = 512;
/// Estimated memory of a customer with one change, in bytes, before it is measured.
const FIRST_CHANGE_BYTES: usize = 4_096;

/// Set of folded customers, each with data (`X`) that the caller keeps beside the state.
#[derive(Debug)]
pub struct FoldedCustomers<X> {
    shards: Vec<Mutex<Shard<X>>>,
    shard_of: RandomState,
    /// Bodies that a shard holds until it reads their evidence, in bytes. None if memory is not measured.
    unread_bytes_max: Option<usize>,
    /// Estimated memory of all customers, in bytes, also of those that were taken out and not released.
    memory_bytes: AtomicUsize,
}

/// Folded customer, or an object of a payment that stands in place of one.
#[derive(Debug)]
pub struct FoldedCustomer<X> {
    /// Key of the customer.
    pub key: CustomerKey,
    /// Folded state; none if no event changed it.
    pub state: Option<CustomerState>,
    /// Data of the caller.
    pub extra: X,
    memory: Memory,
}

/// Estimated memory of one customer, in bytes.
///
/// To measure a state takes as long as to encode it. So it is measured again when it has half as many changes more, and
/// between two measurements each change counts as one of those before.
#[derive(Debug, Default)]
struct Memory {
    /// The customer itself and its key.
    place: usize,
    state: usize,
    /// Bodies whose evidence is not read yet.
    bodies: usize,
    /// Data of the caller.
    extra: usize,
    /// Number of joined changes.
    changes: usize,
    /// Number of changes at which the state is measured again.
    measured_at: usize,
}

impl Memory {
    fn total(&self) -> usize {
        self.place + self.state + self.bodies + self.extra
    }

    fn add_change(&mut self, body_bytes: usize) {
        self.state += self.state.checked_div(self.changes).unwrap_or(FIRST_CHANGE_BYTES);
        self.changes += 1;
        self.bodies += body_bytes;
    }

    /// Counts a state whose evidence was read.
    fn add_read(&mut self, state: &CustomerState) {
        self.bodies = 0;
        if self.changes >= self.measured_at {
            self.state = footprint(state);
            self.measured_at = self.changes + self.changes / 2 + 1;
        }
    }
}

impl<X> FoldedCustomer<X> {
    /// Folded customer that no [`FoldedCustomers`] holds.
    pub fn new(key: CustomerKey, state: Option<CustomerState>, extra: X) -> Self {
        Self { key, state, extra, memory: Memory::default() }
    }

    /// Estimated memory, in bytes; 0 if it is not measured.
    pub fn memory_bytes(&self) -> usize {
        self.memory.total()
    }
}

#[derive(Debug)]
struct Shard<X> {
    places: HashMap<CustomerKey, usize>,
    customers: Vec<FoldedCustomer<X>>,
    /// Places of customers that were changed and whose evidence was not read since.
    unread: Vec<usize>,
    /// Size of the bodies that these changes hold, in bytes.
    unread_bytes: usize,
}

impl<X: Default> FoldedCustomers<X> {
    /// Starts empty, and measures memory. The bodies whose evidence is not read yet take at most this many bytes.
    pub fn measured(bodies_max: usize) -> Self {
        Self { unread_bytes_max: Some(bodies_max / SHARDS), ..Self::default() }
    }

    /// Joins a change into the state of a customer. `body_bytes` is the size of the event's body, which the change may
    /// hold. `update` updates the data beside the state, and returns the bytes by which it grew.
    pub fn join(
        &self,
        key: CustomerKey,
        change: StateChange,
        body_bytes: usize,
        update: impl FnOnce(&mut X) -> usize,
    ) {
        let mut shard = self.shard(&key);
        let place = self.place(&mut shard, key);
        let customer = &mut shard.customers[place];
        customer.state.get_or_insert_default().apply(change);
        let grown_by = update(&mut customer.extra);
        if self.unread_bytes_max.is_some() {
            let before = customer.memory_bytes();
            customer.memory.extra += grown_by;
            customer.memory.add_change(body_bytes);
            self.count(before, customer.memory_bytes());
        }
        shard.unread.push(place);
        shard.unread_bytes += body_bytes;
        let is_over = self.unread_bytes_max.is_some_and(|max| shard.unread_bytes >= max);
        if is_over || shard.unread.len() >= UNREAD_MAX {
            self.materialize(&mut shard);
        }
    }

    /// Estimated memory of all customers, in bytes, also of those that were taken out and not released.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// No longer counts the memory of a customer that was taken out.
    pub fn release(&self, bytes: usize) {
        self.count(bytes, 0);
    }

    fn count(&self, before: usize, after: usize) {
        self.memory_bytes.fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
    }

    fn place(&self, shard: &mut Shard<X>, key: CustomerKey) -> usize {
        if let Some(place) = shard.places.get(&key) {
            return *place;
        }
        let place = shard.customers.len();
        let mut customer = FoldedCustomer::new(key.clone(), None, X::default());
        if self.unread_bytes_max.is_some() {
            // The vector and the map of places have room for more, and the key is in both.
            let texts = 2 * (key.scope.account.as_str().len() + key.customer.as_str().len());
            let entries = size_of::<FoldedCustomer<X>>() + size_of::<(CustomerKey, usize)>();
            customer.memory.place = texts + entries * 3 / 2;
            self.count(0, customer.memory_bytes());
        }
        shard.customers.push(customer);
        shard.places.insert(key, place);
        place
    }

    /// Reads the evidence of the changes of a shard, and drops their bodies.
    fn materialize(&self, shard: &mut Shard<X>) {
        shard.unread.sort_unstable();
        shard.unread.dedup();
        shard.unread_bytes = 0;
        for place in std::mem::take(&mut shard.unread) {
            let customer = &mut shard.customers[place];
            let Some(state) = &mut customer.state else { continue };
            state.materialize();
            if self.unread_bytes_max.is_some() {
                let before = customer.memory.total();
                customer.memory.add_read(state);
                self.count(before, customer.memory.total());
            }
        }
    }

    /// Updates the data beside the state of a customer.
    pub fn update(&self, key: CustomerKey, update: impl FnOnce(&mut X)) {
        let mut shard = self.shard(&key);
        let place = self.place(&mut shard, key);
        update(&mut shard.customers[place].extra);
    }

    /// Takes data out, in the order of the keys, and keeps the states.
    pub fn take_extras<T>(&self, take: impl Fn(&mut X) -> Option<T>) -> Vec<(CustomerKey, T)> {
        let mut taken = Vec::new();
        for shard in &self.shards {
            let mut shard = lock(shard);
            let customers = shard.customers.iter_mut();
            taken.extend(customers.filter_map(|it| Some((it.key.clone(), take(&mut it.extra)?))));
        }
        taken.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        taken
    }

    /// Takes all customers out, in the order of the keys.
    pub fn take_all(&self) -> Vec<FoldedCustomer<X>> {
        let shards = self.shards.iter().map(|shard| std::mem::take(&mut *lock(shard)));
        let mut customers: Vec<_> = shards.flat_map(|shard| shard.customers).collect();
        customers.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        customers
    }

    fn shard(&self, key: &CustomerKey) -> MutexGuard<'_, Shard<X>> {
        let hash = self.shard_of.hash_one(key);
        lock(&self.shards[usize::try_from(hash % SHARDS as u64).unwrap_or(0)])
    }
}

impl<X> Default for FoldedCustomers<X> {
    fn default() -> Self {
        let shards = std::iter::repeat_with(Mutex::default).take(SHARDS).collect();
        let (unread_bytes_max, memory_bytes) = (None, AtomicUsize::new(0));
        Self { shards, shard_of: RandomState::new(), unread_bytes_max, memory_bytes }
    }
}

impl<X> Default for Shard<X> {
    fn default() -> Self {
        let (places, customers, unread) = (HashMap::new(), Vec::new(), Vec::new());
        Self { places, customers, unread, unread_bytes: 0 }
    }
}

/// Locks a shard. A thread that panicked inside a join leaves a state that is joined or not; the whole fold fails
/// anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
