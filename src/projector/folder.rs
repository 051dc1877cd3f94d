//! Folding a batch of logged events into what a read model has to write.
//!
//! The states of the customers that a batch touches come from a cache or from the read model; the
//! events are joined in; and what comes out is one [`FoldBatch`]: the new states, their rows, and the
//! timeline. Reading Stripe's JSON is the expensive part, so it runs beside the runtime's own
//! threads, which answer webhooks.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::ids::{CustomerId, CustomerKey, SubscriptionId};
use crate::projection::observe::{FoldError, Observation, observe_envelope};
use crate::projection::row::SubscriptionRow;
use crate::projection::state::CustomerState;
use crate::projection::{Logic, rows};
use crate::store::{
    FoldBatch, GenerationId, LoggedEvent, Parked, ReadModel, Source, StoreError, TimelineEntry,
};
use crate::stripe::Envelope;
use crate::stripe::routing::Routing;

/// How many bytes of stored states the cache may stand for; in memory they are a few times that.
const CACHE_BYTES_MAX: usize = 64 << 20;

/// Folds batches for one generation, with that generation's logic.
#[derive(Debug)]
pub(super) struct Folder {
    logic: Logic,
    cache: HashMap<CustomerKey, CustomerState>,
    cache_bytes: usize,
}

/// An event that was read, or not.
enum Read {
    Observed(Observation),
    Parked(Parked),
    /// Nothing to fold: our own records, and bodies that were erased.
    Nothing,
}

impl Folder {
    pub(super) fn new(logic: Logic) -> Self {
        Self { logic, cache: HashMap::new(), cache_bytes: 0 }
    }

    /// Folds events that follow, in the log, those folded before. The cache holds states that
    /// the caller has yet to commit: if that fails, the folder must not be used again.
    pub(super) async fn fold(
        mut self,
        read_model: &ReadModel,
        generation: GenerationId,
        events: Vec<LoggedEvent>,
    ) -> Result<(Self, FoldBatch), StoreError> {
        let (events, reads) = beside_the_runtime(move || {
            let reads: Vec<Read> = events.iter().map(read).collect();
            (events, reads)
        })
        .await?;
        let missing: Vec<CustomerKey> = reads
            .iter()
            .filter_map(Read::changed_customer)
            .filter(|key| !self.cache.contains_key(key))
            .collect::<HashSet<_>>()
            .into_iter()
            .cloned()
            .collect();
        let stored = read_model.states(generation, &missing).await?;
        beside_the_runtime(move || {
            let batch = self.join(&events, reads, &missing, stored)?;
            Ok((self, batch))
        })
        .await?
    }

    fn join(
        &mut self,
        events: &[LoggedEvent],
        reads: Vec<Read>,
        missing: &[CustomerKey],
        mut stored: HashMap<CustomerKey, Vec<u8>>,
    ) -> Result<FoldBatch, StoreError> {
        for key in missing {
            let state = match stored.remove(key) {
                None => CustomerState::default(),
                Some(bytes) => {
                    self.cache_bytes += bytes.len();
                    postcard::from_bytes(&bytes).map_err(|_| {
                        StoreError::Corrupt(format!("the state of {} is unreadable", key.customer))
                    })?
                }
            };
            self.cache.insert(key.clone(), state);
        }
        let mut batch = FoldBatch {
            folded_received_at: events.last().map_or_else(Default::default, |e| e.received_at),
            ..FoldBatch::default()
        };
        let mut changed = BTreeSet::new();
        for (event, read) in events.iter().zip(reads) {
            match read {
                Read::Nothing => {}
                Read::Parked(parked) => {
                    batch.timeline.extend(timeline_of_parked(event, &parked));
                    batch.parked.push(parked);
                }
                Read::Observed(observation) => {
                    let Some(key) = observation.customer else { continue };
                    batch.timeline.push(TimelineEntry {
                        customer: key.clone(),
                        subscription: observation.subscription,
                        position: event.position,
                        created: event.facts.created,
                    });
                    if observation.state != CustomerState::default() {
                        self.cache.entry(key.clone()).or_default().join(observation.state);
                        changed.insert(key);
                    }
                }
            }
        }
        for key in changed {
            let state = &self.cache[&key];
            let rows = rows::rows(&key, state, &self.logic);
            batch.rows.extend(rows.iter().map(SubscriptionRow::to_values));
            let bytes = postcard::to_allocvec(state)
                .map_err(|_| StoreError::Corrupt("a state cannot be written".to_owned()))?;
            self.cache_bytes += bytes.len() / 8;
            batch.states.push((key, bytes));
        }
        if self.cache_bytes > CACHE_BYTES_MAX {
            self.cache.clear();
            self.cache_bytes = 0;
        }
        Ok(batch)
    }
}

impl Read {
    fn changed_customer(&self) -> Option<&CustomerKey> {
        match self {
            Self::Observed(observation) if observation.state != CustomerState::default() => {
                observation.customer.as_ref()
            }
            _ => None,
        }
    }
}

fn read(event: &LoggedEvent) -> Read {
    let Some(payload) = event.payload.as_deref().filter(|_| event.source != Source::Subledger)
    else {
        return Read::Nothing;
    };
    let envelope = match Envelope::parse(payload) {
        Ok(envelope) => envelope,
        Err(error) => return Read::Parked(park(event, &Routing::default(), &error.into())),
    };
    match observe_envelope(&envelope) {
        Ok(observation) => Read::Observed(observation),
        Err(error) => {
            let routing = envelope.object.and_then(|object| Routing::read(object).ok());
            Read::Parked(park(event, &routing.unwrap_or_default(), &error))
        }
    }
}

fn park(event: &LoggedEvent, routing: &Routing, error: &FoldError) -> Parked {
    Parked {
        position: event.position,
        event_id: event.facts.event_id.clone(),
        scope: event.facts.scope.clone(),
        customer: routing.customer.as_deref().map(CustomerId::from),
        subscription: routing.subscription.as_deref().map(SubscriptionId::from),
        event_type: event.facts.event_type.clone(),
        reason: error.to_string(),
    }
}

/// A parked event still stands on the timeline of whom it names.
fn timeline_of_parked(event: &LoggedEvent, parked: &Parked) -> Option<TimelineEntry> {
    Some(TimelineEntry {
        customer: CustomerKey { scope: parked.scope.clone(), customer: parked.customer.clone()? },
        subscription: parked.subscription.clone(),
        position: event.position,
        created: event.facts.created,
    })
}

/// Runs work that takes long and waits for nothing on a thread of its own. A panic there is an error
/// here, so that whoever follows the log can say so and try again.
async fn beside_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.into()))
}
