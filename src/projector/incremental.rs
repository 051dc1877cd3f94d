//! Incremental fold: batches of events joined into stored states.
//!
//! The states of the customers that a batch changes come from a cache or from the read model. The events are joined
//! into them, and the result is one [`FoldBatch`]: the new states, their rows, and the timeline.

use std::collections::{BTreeSet, HashMap};

use super::batch::{EffectsBatch, beside_the_runtime};
use crate::ids::CustomerKey;
use crate::projection::catalogue::{Catalogue, CatalogueEntry};
use crate::projection::effects::{EventEffects, Parked};
use crate::projection::observe::PaymentLink;
use crate::projection::read_model::RowMaker;
use crate::projection::state::CustomerState;
use crate::projection::user_candidate::candidates_of;
use crate::store::{FoldBatch, GenerationTables, ReadModel, StoreError};

/// Bytes of stored states in the cache, at most. In memory they take about five times as much.
const CACHE_BYTES_MAX: usize = 32 << 20;

/// State in the cache.
#[derive(Debug, Default)]
struct Cached {
    state: CustomerState,
    /// Size of the stored state, in bytes.
    bytes: usize,
}

/// Incremental fold of one generation, with that generation's read models and rules.
#[derive(Debug)]
pub(super) struct IncrementalFold {
    maker: RowMaker,
    cache: HashMap<CustomerKey, Cached>,
    cache_bytes: usize,
}

impl IncrementalFold {
    pub(super) fn new(maker: RowMaker) -> Self {
        Self { maker, cache: HashMap::new(), cache_bytes: 0 }
    }

    /// True if the cache should be cleared as soon as everything is committed.
    pub(super) fn is_large(&self) -> bool {
        self.cache_bytes > CACHE_BYTES_MAX
    }

    /// Clears the cache. It is filled again from committed states.
    pub(super) fn clear_cache(&mut self) {
        self.cache.clear();
        self.cache_bytes = 0;
    }

    /// Folds the events that follow those folded before. The cache then holds states that the caller has yet to
    /// commit: if that fails, this fold must not be used again.
    pub(super) async fn fold(
        mut self,
        read_model: &ReadModel,
        tables: GenerationTables,
        batch: EffectsBatch,
    ) -> Result<(Self, FoldBatch), StoreError> {
        let mut missing = batch.changed_customers();
        missing.retain(|key| !self.cache.contains_key(key));
        let stored = read_model.states(tables, &missing).await?;
        beside_the_runtime(move || {
            self.fill_cache(missing, stored)?;
            let folded = self.join(batch)?;
            Ok((self, folded))
        })
        .await?
    }

    /// Puts stored states, and empty ones for new customers, into the cache.
    fn fill_cache(
        &mut self,
        customers: Vec<CustomerKey>,
        mut stored: HashMap<CustomerKey, Vec<u8>>,
    ) -> Result<(), StoreError> {
        for key in customers {
            let cached = match stored.remove(&key) {
                None => Cached::default(),
                Some(bytes) => Cached { state: decoded(&key, &bytes)?, bytes: bytes.len() },
            };
            self.cache_bytes += cached.bytes;
            self.cache.insert(key, cached);
        }
        Ok(())
    }

    fn join(&mut self, batch: EffectsBatch) -> Result<FoldBatch, StoreError> {
        let (mut timeline, mut unkeyed) = (Vec::new(), Unkeyed::default());
        let (mut changed, mut candidates) = (BTreeSet::new(), BTreeSet::new());
        for effects in batch.effects {
            let EventEffects {
                timeline: entries,
                customer,
                change,
                links,
                catalogue,
                parked,
                subscription: _,
                notes: _,
            } = effects;
            timeline.extend(entries);
            unkeyed.add(links, catalogue, parked);
            if let Some((key, change)) = customer.zip(change) {
                let found = candidates_of(&change).into_iter();
                candidates.extend(found.map(|candidate| (key.clone(), candidate)));
                self.cache.entry(key.clone()).or_default().state.apply(change);
                changed.insert(key);
            }
        }
        let mut folded = FoldBatch {
            folded_received_at: batch.last_received_at,
            timeline,
            candidates: candidates.into_iter().collect(),
            rows: self.maker.nothing(),
            ..unkeyed.into_batch()
        };
        for key in changed {
            let cached = self.cache.entry(key.clone()).or_default();
            cached.state.materialize();
            self.maker.add(&key, &cached.state, &mut folded.rows);
            let bytes = encode_state(&cached.state)?;
            self.cache_bytes = self.cache_bytes - cached.bytes + bytes.len();
            cached.bytes = bytes.len();
            folded.states.push((key, bytes));
        }
        Ok(folded)
    }
}

/// Effects that belong to no single customer.
#[derive(Debug, Default)]
pub(super) struct Unkeyed {
    links: Vec<PaymentLink>,
    catalogue: Catalogue,
    parked: Vec<Parked>,
}

impl Unkeyed {
    /// Adds those of one event.
    pub(super) fn add(
        &mut self,
        links: Vec<PaymentLink>,
        catalogue: Option<CatalogueEntry>,
        parked: Option<Parked>,
    ) {
        self.links.extend(links);
        if let Some(entry) = catalogue {
            self.catalogue.join(entry);
        }
        self.parked.extend(parked);
    }

    pub(super) fn join(&mut self, Self { links, catalogue, parked }: Self) {
        self.links.extend(links);
        catalogue.into_entries().for_each(|entry| self.catalogue.join(entry));
        self.parked.extend(parked);
    }

    pub(super) fn parked_count(&self) -> usize {
        self.parked.len()
    }

    /// Takes out what grows with the number of events.
    pub(super) fn take_events(&mut self) -> Self {
        let (links, parked) = (std::mem::take(&mut self.links), std::mem::take(&mut self.parked));
        Self { links, catalogue: Catalogue::default(), parked }
    }

    /// Rows in the order of their tables, each once.
    pub(super) fn into_batch(self) -> FoldBatch {
        let Self { mut links, catalogue, mut parked } = self;
        links.sort_unstable();
        links.dedup();
        parked.sort_by_key(|it| it.position);
        let catalogue = catalogue.into_entries().collect();
        FoldBatch { links, catalogue, parked, ..FoldBatch::default() }
    }
}

/// Rows of these customers, made from their stored states.
pub(super) fn rows_of_states(
    states: impl IntoIterator<Item = (CustomerKey, Vec<u8>)>,
    maker: &RowMaker,
) -> Result<FoldBatch, StoreError> {
    let mut rows = maker.nothing();
    for (key, bytes) in states {
        maker.add(&key, &decoded(&key, &bytes)?, &mut rows);
    }
    Ok(FoldBatch { rows, ..FoldBatch::default() })
}

/// State from its stored form.
fn decoded(key: &CustomerKey, bytes: &[u8]) -> Result<CustomerState, StoreError> {
    postcard::from_bytes(bytes).map_err(|_| {
        StoreError::ReadModelDamaged(format!("the state of {} cannot be read", key.customer))
    })
}

/// State in its stored form.
pub(crate) fn encode_state(state: &CustomerState) -> Result<Vec<u8>, StoreError> {
    postcard::to_allocvec(state)
        .map_err(|_| StoreError::Corrupt("a state cannot be written".to_owned()))
}
