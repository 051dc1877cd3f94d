//! Bulk fold: the whole log folded in memory, by customer and in parallel.
//!
//! Chunks of the log are joined in whatever order they are read in, by as many threads as there are. States stay here
//! until the end, so that each row is written once. What grows with the number of events (timelines, links) is
//! drained from time to time.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::EffectsBatch;
use super::incremental::{Unkeyed, encoded, rows_of};
use crate::ids::{Position, SubscriptionId};
use crate::projection::Logic;
use crate::projection::customers::{FoldedCustomer, FoldedCustomers};
use crate::projection::effects::{EventEffects, TimelineEntry};
use crate::projection::user::users_named_by;
use crate::store::{FoldBatch, StoreError};
use crate::time::StripeTime;

/// Rows of one kind that are written in one transaction.
const ROWS_PER_WRITE: usize = 16_384;

/// Bulk fold of one logic.
#[derive(Debug)]
pub(super) struct BulkFold {
    logic: Logic,
    customers: FoldedCustomers<StatelessRows>,
    unkeyed: Mutex<Unkeyed>,
}

/// Rows of one customer that are not a function of the state.
#[derive(Debug, Default)]
pub(super) struct StatelessRows {
    timeline: Vec<TimelineEvent>,
    /// Users that events link it to.
    users: BTreeSet<String>,
}

/// Event on the timeline of a customer.
#[derive(Debug)]
struct TimelineEvent {
    subscription: Option<SubscriptionId>,
    position: Position,
    created: StripeTime,
}

impl BulkFold {
    pub(super) fn new(logic: Logic) -> Self {
        Self { logic, customers: FoldedCustomers::default(), unkeyed: Mutex::default() }
    }

    /// Joins the events of a chunk: any chunk, at any time, from any thread. Returns the number of parked events.
    pub(super) fn join(&self, batch: EffectsBatch) -> usize {
        let mut unkeyed = Unkeyed::default();
        for effects in batch.effects {
            let EventEffects {
                timeline,
                customer,
                change,
                links,
                catalogue,
                parked,
                subscription: _,
                notes: _,
            } = effects;
            for TimelineEntry { customer, subscription, position, created } in timeline {
                let event = TimelineEvent { subscription, position, created };
                self.customers.update(customer, |extra| extra.timeline.push(event));
            }
            if let Some((key, change)) = customer.zip(change) {
                let users = users_named_by(&change, &self.logic);
                self.customers.join(key, change, |extra| extra.users.extend(users));
            }
            unkeyed.add(links, catalogue, parked);
        }
        let parked = unkeyed.parked_count();
        self.unkeyed().join(unkeyed);
        parked
    }

    /// Takes out what grows with the number of events: timelines, links and parked events.
    pub(super) fn take_events(&self) -> Drained {
        let take = |extra: &mut StatelessRows| {
            let timeline = std::mem::take(&mut extra.timeline);
            (!timeline.is_empty()).then(|| StatelessRows { timeline, users: BTreeSet::new() })
        };
        let customers = self.customers.take_extras(take).into_iter();
        let customers = customers.map(|(key, extra)| FoldedCustomer { key, state: None, extra });
        Drained::new(customers.collect(), self.unkeyed().take_events())
    }

    /// Takes everything out.
    pub(super) fn take_all(&self) -> Drained {
        Drained::new(self.customers.take_all(), std::mem::take(&mut *self.unkeyed()))
    }

    /// A thread that panicked inside a join leaves a part of it; the rebuild fails anyway.
    fn unkeyed(&self) -> MutexGuard<'_, Unkeyed> {
        self.unkeyed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Part of a fold that was taken out to be written.
#[derive(Debug)]
pub(super) struct Drained {
    /// Rows that belong to no single customer.
    pub(super) unkeyed: Vec<FoldBatch>,
    /// Customers in the order of their keys, as the tables have them.
    pub(super) customers: Vec<FoldedCustomer<StatelessRows>>,
}

impl Drained {
    fn new(customers: Vec<FoldedCustomer<StatelessRows>>, unkeyed: Unkeyed) -> Self {
        let FoldBatch { links, catalogue, parked, .. } = unkeyed.into_batch();
        let links = pieces(links, |links| FoldBatch { links, ..FoldBatch::default() });
        let catalogue =
            pieces(catalogue, |catalogue| FoldBatch { catalogue, ..FoldBatch::default() });
        let parked = pieces(parked, |parked| FoldBatch { parked, ..FoldBatch::default() });
        Self { unkeyed: links.chain(catalogue).chain(parked).collect(), customers }
    }
}

/// Batches of [`ROWS_PER_WRITE`] rows.
fn pieces<T>(rows: Vec<T>, batch: impl Fn(Vec<T>) -> FoldBatch) -> impl Iterator<Item = FoldBatch> {
    let mut rows = rows.into_iter();
    std::iter::from_fn(move || {
        let piece: Vec<T> = rows.by_ref().take(ROWS_PER_WRITE).collect();
        (!piece.is_empty()).then(|| batch(piece))
    })
}

/// Rows of these customers.
pub(super) fn batch_of(
    customers: Vec<FoldedCustomer<StatelessRows>>,
    logic: &Logic,
) -> Result<FoldBatch, StoreError> {
    let mut batch = FoldBatch::default();
    for FoldedCustomer { key, state, extra: StatelessRows { mut timeline, users } } in customers {
        batch.users.extend(users.into_iter().map(|user| (key.clone(), user)));
        // In the order of the table, so that each row is written beside the one before.
        timeline.sort_by(|a, b| (&a.subscription, a.position).cmp(&(&b.subscription, b.position)));
        batch.timeline.extend(timeline.into_iter().map(|event| TimelineEntry {
            customer: key.clone(),
            subscription: event.subscription,
            position: event.position,
            created: event.created,
        }));
        if let Some(mut state) = state {
            state.materialize();
            batch.rows.extend(rows_of(&key, &state, logic));
            batch.states.push((key, encoded(&state)?));
        }
    }
    Ok(batch)
}
