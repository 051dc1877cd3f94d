//! Building a generation: the whole log folded in memory and written once, then what arrived
//! meanwhile, batch by batch.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::CHUNK_EVENTS;
use super::batch::{EffectsBatch, beside_the_runtime};
use super::bulk::{BulkFold, Drained, batch_of};
use super::generation::{FoldStep, LeasedGeneration, is_of_this_log};
use super::rebuild::{BuildProgress, RebuildError, RebuildEvent, Rebuilt};
use crate::clock::{Clock, Stopwatch};
use crate::ids::Position;
use crate::store::{FoldBatch, Log, Store, StoreError, SwapOutcome};

/// Events that are folded before their timelines are written, at first and at most. It doubles from
/// round to round: every round writes all over the table, and memory must not grow with the log.
const ROUND_MIN: i64 = 250_000;
const ROUND_MAX: i64 = 2_000_000;
/// So few events at the end of the log are left to be folded batch by batch.
const FEW: i64 = 16_384;
/// Customers that are written in one transaction.
const CUSTOMERS_PER_WRITE: usize = 512;
/// How often progress is shown and the lease looked at while threads work.
const TICK: Duration = Duration::from_millis(200);
/// How often progress is noted down for other processes to see.
const NOTE_EVERY: Duration = Duration::from_secs(1);

/// A generation that is being built.
pub(super) struct Build<'a, T> {
    pub(super) store: &'a Store,
    pub(super) leased: LeasedGeneration,
    pub(super) clock: &'a Clock,
    stop: &'a CancellationToken,
    stopwatch: Stopwatch,
    /// Hears how it goes.
    pub(super) tell: &'a mut T,
    folded: Arc<Folded>,
    /// When it is noted down next for other processes.
    note_at: Duration,
}

/// How much is folded, counted by whoever folds.
#[derive(Debug, Default)]
pub(super) struct Folded {
    events: AtomicI64,
    parked: AtomicUsize,
}

impl Folded {
    fn add(&self, events: i64, parked: usize) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.parked.fetch_add(parked, Ordering::Relaxed);
    }

    /// How many of them could not be folded.
    fn parked(&self) -> usize {
        self.parked.load(Ordering::Relaxed)
    }
}

impl<'a, T: FnMut(RebuildEvent<'_>)> Build<'a, T> {
    pub(super) fn new(
        store: &'a Store,
        leased: LeasedGeneration,
        clock: &'a Clock,
        stop: &'a CancellationToken,
        tell: &'a mut T,
    ) -> Self {
        let stopwatch = Clock::stopwatch();
        let (folded, note_at) = (Arc::default(), Duration::ZERO);
        Self { store, leased, clock, stop, stopwatch, tell, folded, note_at }
    }

    /// Makes it the live one, once it has folded all that the live one has: no reader goes back in time.
    pub(super) async fn complete(&mut self) -> Result<(), RebuildError> {
        loop {
            // Whoever read the differences may have taken their time, and so do the indexes.
            self.catch_up().await?;
            // What was made from another log is not what readers would go back from.
            let live = self.store.read_model.live().await?;
            let not_behind = match live {
                Some(live) if is_of_this_log(self.store, &live).await? => Some(live.id),
                _ => None,
            };
            let completing =
                self.store.read_model.generation_complete(self.leased.lease(), not_behind);
            match completing.await? {
                SwapOutcome::Live => return Ok(()),
                SwapOutcome::Behind => {}
                SwapOutcome::TakenOver => return Err(self.taken_over()),
            }
        }
    }

    /// Gives the generation out of hand.
    pub(super) async fn end(self) -> Rebuilt {
        let Self { store, leased, stopwatch, folded, .. } = self;
        let rebuilt = Rebuilt {
            generation: leased.generation,
            position: leased.position,
            parked: folded.parked(),
            elapsed: stopwatch.elapsed(),
        };
        leased.release(store).await;
        rebuilt
    }

    /// Folds the log as it is now from its beginning.
    ///
    /// In rounds, each folded while the events of the one before are written; at last all that was
    /// kept of the customers.
    pub(super) async fn fold_at_once(&mut self) -> Result<(), RebuildError> {
        let bulk = Arc::new(BulkFold::new(self.leased.logic().clone()));
        let (mut to, mut round, mut left_before) = (Position::ZERO, ROUND_MIN, i64::MAX);
        loop {
            let size = self.store.log.head().await?.size;
            let left = size.0 - to.0;
            // A log that grows faster than it is folded is not chased for ever.
            if left == 0 || (to > Position::ZERO && (left < FEW || left >= left_before)) {
                break;
            }
            left_before = left;
            let end = size.min(to.plus(round));
            let mut workers = self.start_workers(&bulk, to, end);
            if to > Position::ZERO {
                let bulk = Arc::clone(&bulk);
                self.write(beside_the_runtime(move || bulk.take_events()).await?).await?;
            }
            while !finished(&mut workers).await? {
                self.tick().await?;
            }
            (to, round) = (end, (round * 2).min(ROUND_MAX));
        }
        self.write(beside_the_runtime(move || bulk.take_all()).await?).await?;
        if !self.leased.advance(self.store, to).await? {
            return Err(self.taken_over());
        }
        Ok(())
    }

    /// Folds what is not folded yet, batch by batch, up to where the log reaches now: what arrives
    /// meanwhile is not chased for ever.
    pub(super) async fn catch_up(&mut self) -> Result<(), RebuildError> {
        let end = self.store.log.head().await?.size;
        while self.leased.position < end {
            self.tick().await?;
            let from = self.leased.position;
            match self.leased.step(self.store, |_| {}).await? {
                FoldStep::Fenced => return Err(self.taken_over()),
                FoldStep::Folded { parked } => {
                    self.folded.add(self.leased.position.0 - from.0, parked)
                }
                FoldStep::CaughtUp => break,
            }
        }
        Ok(())
    }

    /// Starts folding a range of the log on all processors. Twice as many take turns as there are of
    /// them, because half of the time a worker waits for its chunk.
    fn start_workers(
        &self,
        bulk: &Arc<BulkFold>,
        after: Position,
        end: Position,
    ) -> JoinSet<Result<(), StoreError>> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let claimed = Arc::new(AtomicI64::new(after.0));
        let mut workers = JoinSet::new();
        for _ in 0..2 * processors {
            let (log, bulk) = (self.store.log.clone(), Arc::clone(bulk));
            let (claimed, folded) = (Arc::clone(&claimed), Arc::clone(&self.folded));
            workers.spawn(work(log, bulk, claimed, end, folded));
        }
        workers
    }

    async fn write(&mut self, drained: Drained) -> Result<(), RebuildError> {
        let Drained { unkeyed, customers } = drained;
        for batch in unkeyed {
            self.write_one(batch).await?;
        }
        let logic = self.leased.logic().clone();
        // While one is written, the next is made.
        let mut customers = customers.into_iter();
        let pieces = std::iter::from_fn(move || {
            let piece: Vec<_> = customers.by_ref().take(CUSTOMERS_PER_WRITE).collect();
            (!piece.is_empty()).then_some(piece)
        });
        let mut batches = stream::iter(pieces)
            .map(|piece| {
                let logic = logic.clone();
                beside_the_runtime(move || batch_of(piece, &logic))
            })
            .buffered(2);
        while let Some(batch) = batches.try_next().await? {
            self.write_one(batch?).await?;
        }
        Ok(())
    }

    async fn write_one(&mut self, batch: FoldBatch) -> Result<(), RebuildError> {
        self.tick().await?;
        if self.store.read_model.fold_write(self.leased.lease(), &batch).await? {
            Ok(())
        } else {
            Err(self.taken_over())
        }
    }

    /// Keeps the lease, shows progress, and ends where it is asked to.
    async fn tick(&mut self) -> Result<(), RebuildError> {
        if self.stop.is_cancelled() {
            return Err(RebuildError::Stopped);
        }
        if !self.leased.renew(self.store, self.clock).await? {
            return Err(self.taken_over());
        }
        let done = self.folded.events.load(Ordering::Relaxed);
        if self.stopwatch.elapsed() >= self.note_at {
            self.note_at = self.stopwatch.elapsed() + NOTE_EVERY;
            self.store.read_model.lease_report_progress(self.leased.lease(), done).await?;
        }
        let total = self.store.log.head().await?.size.0.max(done);
        (self.tell)(RebuildEvent::Progress(BuildProgress {
            generation: self.leased.generation,
            done,
            total,
            parked: self.folded.parked(),
            elapsed: self.stopwatch.elapsed(),
        }));
        Ok(())
    }

    fn taken_over(&self) -> RebuildError {
        RebuildError::TakenOver(self.leased.generation)
    }
}

/// Folds chunks that nobody else has claimed, until there are none.
async fn work(
    log: Log,
    bulk: Arc<BulkFold>,
    claimed: Arc<AtomicI64>,
    end: Position,
    folded: Arc<Folded>,
) -> Result<(), StoreError> {
    loop {
        let mut after = Position(claimed.fetch_add(CHUNK_EVENTS, Ordering::Relaxed));
        let up_to = after.plus(CHUNK_EVENTS).min(end);
        if after >= up_to {
            return Ok(());
        }
        // One that is cut short for its size takes several turns.
        while after < up_to {
            let Some(batch) = EffectsBatch::read_range(&log, after, up_to).await? else {
                return Err(StoreError::Corrupt("the log is shorter than it was".to_owned()));
            };
            let (to, bulk) = (batch.to, Arc::clone(&bulk));
            let parked = beside_the_runtime(move || bulk.join(batch)).await?;
            folded.add(to.0 - after.0, parked);
            after = to;
        }
    }
}

/// Whether all workers have ended, after a while in which they may have.
async fn finished(workers: &mut JoinSet<Result<(), StoreError>>) -> Result<bool, StoreError> {
    match tokio::time::timeout(TICK, workers.join_next()).await {
        Err(_) => Ok(false),
        Ok(None) => Ok(true),
        Ok(Some(ended)) => {
            ended.map_err(|error| StoreError::Internal(error.into()))??;
            Ok(workers.is_empty())
        }
    }
}
