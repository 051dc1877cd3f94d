//! Folded customers in memory: the states of many customers, joined from any thread.
//!
//! Joining is commutative, so events may be joined in whatever order they are read in. The customers are spread
//! over shards, each with a lock of its own that is held for one join.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::state::{CustomerState, StateChange};
use crate::ids::CustomerKey;

/// Number of shards: so many that threads seldom want the same one.
const SHARDS: usize = 64;
/// Changes in a shard until their evidence of order is read and its text released. Many are superseded
/// before, and need never be read.
const UNREAD_MAX: usize = 512;

/// Set of folded customers, each with data (`X`) that the caller keeps beside the state.
#[derive(Debug)]
pub struct FoldedCustomers<X> {
    shards: Vec<Mutex<Shard<X>>>,
    shard_of: RandomState,
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
}

#[derive(Debug)]
struct Shard<X> {
    places: HashMap<CustomerKey, usize>,
    customers: Vec<FoldedCustomer<X>>,
    /// Places of customers that were changed and whose evidence was not read since.
    unread: Vec<usize>,
}

impl<X: Default> FoldedCustomers<X> {
    /// Joins a change into the state of a customer, and updates the data beside it.
    pub fn join(&self, key: CustomerKey, change: StateChange, update: impl FnOnce(&mut X)) {
        let mut shard = self.shard(&key);
        let place = shard.place(key);
        let customer = &mut shard.customers[place];
        customer.state.get_or_insert_default().apply(change);
        update(&mut customer.extra);
        shard.unread.push(place);
        if shard.unread.len() >= UNREAD_MAX {
            shard.materialize();
        }
    }

    /// Updates the data beside the state of a customer.
    pub fn update(&self, key: CustomerKey, update: impl FnOnce(&mut X)) {
        let mut shard = self.shard(&key);
        let place = shard.place(key);
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
        Self { shards, shard_of: RandomState::new() }
    }
}

impl<X> Default for Shard<X> {
    fn default() -> Self {
        Self { places: HashMap::new(), customers: Vec::new(), unread: Vec::new() }
    }
}

impl<X: Default> Shard<X> {
    fn place(&mut self, key: CustomerKey) -> usize {
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.customers.len();
        self.customers.push(FoldedCustomer { key: key.clone(), state: None, extra: X::default() });
        self.places.insert(key, place);
        place
    }

    fn materialize(&mut self) {
        self.unread.sort_unstable();
        self.unread.dedup();
        for place in std::mem::take(&mut self.unread) {
            self.customers[place].state.iter_mut().for_each(CustomerState::materialize);
        }
    }
}

/// Locks a shard. A thread that panicked inside a join leaves a state that is joined or not; the whole fold fails
/// anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
