//! Bulk fold: the whole log folded in memory, by customer and in parallel.
//!
//! Chunks of the log are joined in whatever order they are read in, by as many threads as there are. States stay here
//! until the end, so that each row is written once. What grows with the number of events (timelines, links) is
//! drained from time to time. While memory is over its limit, customers are written to a temporary file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::batch::EffectsBatch;
use super::incremental::{Unkeyed, encode_state};
use super::memory::MemoryLimit;
use super::spill::{Merge, Merged, Spill, StatelessRows, TimelineEvent};
use crate::projection::customers::{FoldedCustomer, FoldedCustomers};
use crate::projection::effects::{EventEffects, Parked, TimelineEntry};
use crate::projection::observe::PaymentLink;
use crate::projection::read_model::RowMaker;
use crate::projection::user_candidate::{UserCandidate, candidates_of};
use crate::store::{FoldBatch, StoreError};

/// Rows of one kind that are written in one transaction.
const ROWS_PER_WRITE: usize = 16_384;
/// Text of a row of one event, its ids above all, in bytes.
const TEXT_BYTES: usize = 96;
/// Entry of a set of candidates beside its text, in bytes.
const CANDIDATE_BYTES: usize = 96;

/// Bulk fold of a log into a fold layer.
#[derive(Debug)]
pub(super) struct BulkFold {
    limit: MemoryLimit,
    customers: FoldedCustomers<StatelessRows>,
    unkeyed: Mutex<Unkeyed>,
    spill: Mutex<Spill>,
    /// Estimated memory of what grows with the number of events, in bytes: of this round, and of the round before, which
    /// is being written.
    round_bytes: AtomicUsize,
    written_bytes: AtomicUsize,
}

impl BulkFold {
    /// Starts empty. The directory is for the temporary file.
    pub(super) fn new(limit: MemoryLimit, directory: PathBuf) -> Self {
        Self {
            limit,
            customers: FoldedCustomers::measured(limit.bodies_bytes()),
            unkeyed: Mutex::default(),
            spill: Mutex::new(Spill::new(directory)),
            round_bytes: AtomicUsize::new(0),
            written_bytes: AtomicUsize::new(0),
        }
    }

    /// Joins the events of a chunk: any chunk, at any time, from any thread. Returns the number of parked events.
    pub(super) fn join(&self, batch: EffectsBatch) -> Result<usize, StoreError> {
        let mut unkeyed = Unkeyed::default();
        let body_bytes = batch.bytes / batch.effects.len().max(1);
        let mut event_bytes = 0;
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
            event_bytes += timeline.len() * timeline_bytes()
                + links.len() * (size_of::<PaymentLink>() + TEXT_BYTES)
                + parked.iter().map(parked_bytes).sum::<usize>();
            for TimelineEntry { customer, subscription, position, created } in timeline {
                let event = TimelineEvent { subscription, position, created };
                self.customers.update(customer, |extra| extra.timeline.push(event));
            }
            if let Some((key, change)) = customer.zip(change) {
                let candidates = candidates_of(&change);
                let add = |extra: &mut StatelessRows| extra.add_candidates(candidates);
                self.customers.join(key, change, body_bytes, add);
            }
            unkeyed.add(links, catalogue, parked);
        }
        let parked = unkeyed.parked_count();
        self.unkeyed().join(unkeyed);
        self.round_bytes.fetch_add(event_bytes, Ordering::Relaxed);
        self.keep_within_limit()?;
        Ok(parked)
    }

    /// Begins a round. The events of the round before are taken out and written meanwhile.
    pub(super) fn begin_round(&self) {
        self.written_bytes.store(self.round_bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
    }

    /// True if the round has as many events as may be in memory.
    pub(super) fn is_round_full(&self) -> bool {
        self.round_bytes.load(Ordering::Relaxed) >= self.limit.round_bytes()
    }

    /// No longer counts the events of the round before, which are written.
    pub(super) fn events_written(&self) {
        self.written_bytes.store(0, Ordering::Relaxed);
    }

    /// Takes out what grows with the number of events: timelines, links and parked events.
    pub(super) fn take_events(&self) -> Drained {
        let take = |extra: &mut StatelessRows| {
            let timeline = std::mem::take(&mut extra.timeline);
            (!timeline.is_empty()).then(|| StatelessRows { timeline, ..StatelessRows::default() })
        };
        let customers = self.customers.take_extras(take).into_iter();
        let customers = customers.map(|(key, extra)| FoldedCustomer::new(key, None, extra));
        Drained::new(Merge::of_memory(customers.collect()), self.unkeyed().take_events())
    }

    /// Takes everything out, also what is in the temporary file.
    pub(super) fn take_all(&self) -> Result<Drained, StoreError> {
        let unkeyed = std::mem::take(&mut *self.unkeyed());
        let mut spill = self.spill();
        let ended = Spill::new(PathBuf::new());
        let spill = std::mem::replace(&mut *spill, ended);
        if spill.runs() > 0 {
            let (runs, bytes) = (spill.runs(), spill.bytes());
            tracing::debug!(runs, bytes, "merging {runs} runs of {bytes} bytes");
        }
        let merge = spill.merge(self.customers.take_all(), self.limit.merge_bytes())?;
        Ok(Drained::new(merge, unkeyed))
    }

    /// Size of the temporary file, in bytes.
    pub(super) fn spilled_bytes(&self) -> u64 {
        self.spill().bytes()
    }

    /// Estimated memory, in bytes.
    fn memory_bytes(&self) -> usize {
        self.customers.memory_bytes()
            + self.round_bytes.load(Ordering::Relaxed)
            + self.written_bytes.load(Ordering::Relaxed)
    }

    /// Writes the customers to the temporary file if memory is over its limit. Other threads go on until they are over
    /// the limit, too.
    fn keep_within_limit(&self) -> Result<(), StoreError> {
        let is_over = || self.memory_bytes() > self.limit.folded_bytes();
        if !is_over() {
            return Ok(());
        }
        let mut spill = self.spill();
        // Another thread may have done it meanwhile.
        if !is_over() {
            return Ok(());
        }
        let bytes_before = spill.bytes();
        let customers = self.customers.take_all();
        let count = customers.len();
        let mut last_bytes = 0;
        spill.write_run(customers.into_iter().inspect(|customer| {
            // The one before is written and dropped.
            self.customers.release(std::mem::replace(&mut last_bytes, customer.memory_bytes()));
            let events = customer.extra.timeline.len() * timeline_bytes();
            let less = |bytes: usize| Some(bytes.saturating_sub(events));
            let _ = self.round_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }))?;
        self.customers.release(last_bytes);
        let bytes = spill.bytes() - bytes_before;
        tracing::debug!(
            count,
            bytes,
            "wrote {count} customers to the temporary file, {bytes} bytes"
        );
        Ok(())
    }

    /// A thread that panicked inside a join leaves a part of it; the rebuild fails anyway.
    fn unkeyed(&self) -> MutexGuard<'_, Unkeyed> {
        self.unkeyed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn spill(&self) -> MutexGuard<'_, Spill> {
        self.spill.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StatelessRows {
    /// Adds candidates for users. Returns the bytes that they take.
    fn add_candidates(&mut self, candidates: impl IntoIterator<Item = UserCandidate>) -> usize {
        let add = |candidate: UserCandidate| {
            let bytes = CANDIDATE_BYTES + candidate.key.len() + candidate.value.len();
            if self.candidates.insert(candidate) { bytes } else { 0 }
        };
        candidates.into_iter().map(add).sum()
    }
}

/// Estimated memory of an event on a timeline, in bytes. Vectors have room for half as many more.
const fn timeline_bytes() -> usize {
    size_of::<TimelineEvent>() * 3 / 2 + TEXT_BYTES / 2
}

/// Estimated memory of a parked event, in bytes.
fn parked_bytes(parked: &Parked) -> usize {
    size_of::<Parked>() + 2 * TEXT_BYTES + parked.reason.len()
}

/// Part of a fold that was taken out to be written.
#[derive(Debug)]
pub(super) struct Drained {
    /// Rows that belong to no single customer.
    pub(super) unkeyed: Vec<FoldBatch>,
    /// Customers in the order of their keys, as the tables have them.
    pub(super) customers: Merge,
}

impl Drained {
    fn new(customers: Merge, unkeyed: Unkeyed) -> Self {
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
pub(super) fn batch_of(customers: Vec<Merged>, maker: &RowMaker) -> Result<FoldBatch, StoreError> {
    let mut batch = FoldBatch { rows: maker.nothing(), ..FoldBatch::default() };
    for merged in customers {
        let FoldedCustomer { key, state, extra, .. } = merged.join()?;
        let StatelessRows { mut timeline, candidates } = extra;
        batch.candidates.extend(candidates.into_iter().map(|it| (key.clone(), it)));
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
            maker.add(&key, &state, &mut batch.rows);
            batch.states.push((key, encode_state(&state)?));
        }
    }
    Ok(batch)
}
