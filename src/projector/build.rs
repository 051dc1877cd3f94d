//! Build of a generation: the whole log is folded in memory and written once, and then the events that arrived
//! meanwhile are folded batch by batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::CHUNK_EVENTS;
use super::batch::{EffectsBatch, beside_the_runtime};
use super::bulk::{BulkFold, Drained};
use super::generation::{FoldStep, LeasedGeneration, is_of_this_log};
use super::memory::MemoryLimit;
use super::progress::{BuildProgress, CustomersDone};
use super::rebuild_event::{RebuildError, RebuildEvent, Rebuilt};
use super::write::{Batch, Batches};
use crate::clock::{Clock, Stopwatch};
use crate::ids::Position;
use crate::store::{FoldBatch, FoldLayer, Log, Store, StoreError, SwapOutcome};

/// Events that are folded before their timelines are written, in the first round and at most. The number doubles
/// from round to round: every round writes all over the table. A round also ends when its events take their share of
/// memory.
const ROUND_MIN: i64 = 250_000;
const ROUND_MAX: i64 = 2_000_000;
/// Events at the end of the log that are folded batch by batch, if fewer remain.
const INCREMENTAL_BELOW: i64 = 16_384;
/// Interval between progress updates and checks of the lease while threads work.
const TICK: Duration = Duration::from_millis(200);
/// Interval between records of the progress for other processes.
const RECORD_EVERY: Duration = Duration::from_secs(1);

/// Build of one generation.
pub(super) struct Build<'a, T> {
    pub(super) store: &'a Store,
    pub(super) leased: LeasedGeneration,
    pub(super) clock: &'a Clock,
    stop: &'a CancellationToken,
    stopwatch: Stopwatch,
    /// Receives the events of the rebuild.
    pub(super) on_event: &'a mut T,
    counters: Arc<Counters>,
    /// Size of the temporary file, in bytes.
    spilled_bytes: u64,
    /// Number of customers whose rows were made from their states.
    from_states: Option<i64>,
    /// Customers whose rows are being made from their states.
    customers: Option<CustomersDone>,
    /// Time of the next record of the progress.
    record_at: Duration,
}

/// Numbers of folded and parked events, counted by all threads.
#[derive(Debug, Default)]
struct Counters {
    events: AtomicI64,
    parked: AtomicUsize,
}

impl Counters {
    fn add(&self, events: i64, parked: usize) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.parked.fetch_add(parked, Ordering::Relaxed);
    }

    /// Number of parked events.
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
        on_event: &'a mut T,
    ) -> Self {
        let stopwatch = Clock::stopwatch();
        let (counters, record_at) = (Arc::default(), Duration::ZERO);
        Self {
            store,
            leased,
            clock,
            stop,
            stopwatch,
            on_event,
            counters,
            spilled_bytes: 0,
            from_states: None,
            customers: None,
            record_at,
        }
    }

    /// Makes it live, once it has folded everything that the live one has: no reader goes back in time.
    pub(super) async fn complete(&mut self) -> Result<(), RebuildError> {
        loop {
            // The receiver of the differences may have taken its time, and the indexes do.
            self.catch_up().await?;
            // A live generation of another log sets no position to wait for.
            let live = self.store.read_model.live().await?;
            let not_behind = match live {
                Some(live) if is_of_this_log(self.store, &live).await? => Some(live.id),
                _ => None,
            };
            let swapped =
                self.store.read_model.generation_complete(self.leased.lease(), not_behind);
            match swapped.await? {
                SwapOutcome::Live => break,
                SwapOutcome::Behind => {}
                SwapOutcome::TakenOver => return Err(self.taken_over()),
            }
        }
        // Where it shares tables with the generation that was live, it goes on from that one's position.
        let before = self.leased.position;
        self.leased.read_position(self.store).await?;
        if self.leased.position < before
            && let Err(error) = self.catch_up().await
        {
            tracing::warn!(%error, "the new generation is live, and not caught up yet: {error}");
        }
        Ok(())
    }

    /// Releases the generation.
    pub(super) async fn end(self) -> Rebuilt {
        let Self { store, leased, stopwatch, counters, spilled_bytes, from_states, .. } = self;
        let rebuilt = Rebuilt {
            generation: leased.generation,
            position: leased.position,
            from_states,
            parked: counters.parked(),
            spilled_bytes,
            elapsed: stopwatch.elapsed(),
        };
        leased.release(store).await;
        rebuilt
    }

    /// Folds the log from its beginning, in rounds: the events of each round are written while the next is folded, and
    /// the customers at the end.
    pub(super) async fn fold_at_once(&mut self, memory: MemoryLimit) -> Result<(), RebuildError> {
        let directory = spill_directory(&self.store.log);
        let bulk = Arc::new(BulkFold::new(memory, directory));
        let (mut to, mut target) = (Position::ZERO, Position::ZERO);
        let (mut round, mut left_before) = (ROUND_MIN, i64::MAX);
        loop {
            if to == target {
                target = self.store.log.head().await?.size;
                let left = target.0 - to.0;
                // A log that grows faster than it is folded is not chased forever.
                if left == 0
                    || (to > Position::ZERO && (left < INCREMENTAL_BELOW || left >= left_before))
                {
                    break;
                }
                left_before = left;
            }
            let end = target.min(to.plus(round));
            bulk.begin_round();
            let claimed = Arc::new(AtomicI64::new(to.0));
            let mut workers = self.start_workers(&bulk, &claimed, end);
            if to > Position::ZERO {
                let taken = Arc::clone(&bulk);
                self.write(beside_the_runtime(move || taken.take_events()).await?).await?;
                bulk.events_written();
            }
            while !finished(&mut workers).await? {
                self.tick().await?;
            }
            // Every chunk that was claimed is folded.
            to = Position(claimed.load(Ordering::Relaxed)).min(end);
            round = (round * 2).min(ROUND_MAX);
        }
        self.spilled_bytes = bulk.spilled_bytes();
        self.write(beside_the_runtime(move || bulk.take_all()).await??).await?;
        self.join_rows().await?;
        if !self.leased.advance(self.store, to).await? {
            return Err(self.taken_over());
        }
        Ok(())
    }

    /// Makes the rows of all customers of a fold layer from their states. `layer` was read before. States that change
    /// meanwhile get their rows anew when the generation catches up from there.
    pub(super) async fn make_rows(
        &mut self,
        layer: &FoldLayer,
        customers: i64,
    ) -> Result<(), RebuildError> {
        let (read_model, tables) = (self.store.read_model.clone(), self.leased.lease().tables());
        let mut batches = Batches::of_states(read_model, tables, self.leased.own_maker());
        let mut made = 0;
        while let Some(batch) = batches.next().await? {
            self.customers = Some(CustomersDone { done: made, total: customers.max(made) });
            self.write_one(batch.rows).await?;
            made += i64::try_from(batch.customers).unwrap_or(i64::MAX);
        }
        self.customers = None;
        self.join_rows().await?;
        self.counters.events.store(layer.position.0, Ordering::Relaxed);
        self.from_states = Some(made);
        if !self.leased.start_at_layer(self.store, layer).await? {
            return Err(self.taken_over());
        }
        let parked = self.store.read_model.parked_count(self.leased.generation).await?;
        self.counters
            .parked
            .store(usize::try_from(parked).unwrap_or(usize::MAX), Ordering::Relaxed);
        Ok(())
    }

    /// Makes the rows that are joined from others, which are all written.
    async fn join_rows(&mut self) -> Result<(), RebuildError> {
        let (read_model, tables) = (self.store.read_model.clone(), self.leased.lease().tables());
        for joining in read_model.joinings(tables) {
            let (store, lease) = (self.store, self.leased.lease().clone());
            if !store.read_model.index_for_join(&lease, joining).await? {
                return Err(self.taken_over());
            }
            let mut batches = Batches::of_joins(read_model.clone(), tables, joining);
            while let Some(batch) = batches.next().await? {
                self.write_one(batch.rows).await?;
            }
        }
        Ok(())
    }

    /// Folds the remaining events batch by batch, up to the present end of the log: events that arrive meanwhile are not
    /// chased forever.
    #[tracing::instrument(level = "debug", skip_all)]
    pub(super) async fn catch_up(&mut self) -> Result<(), RebuildError> {
        let end = self.store.log.head().await?.size;
        while self.leased.position < end {
            self.tick().await?;
            let from = self.leased.position;
            match self.leased.step(self.store, |_| {}).await? {
                FoldStep::Fenced => return Err(self.taken_over()),
                FoldStep::Folded { parked } => {
                    self.counters.add(self.leased.position.0 - from.0, parked);
                }
                FoldStep::CaughtUp => break,
            }
        }
        Ok(())
    }

    /// Starts to fold a range of the log on all processors. There are twice as many workers as processors, because a
    /// worker waits for its chunk half of the time.
    fn start_workers(
        &self,
        bulk: &Arc<BulkFold>,
        claimed: &Arc<AtomicI64>,
        end: Position,
    ) -> JoinSet<Result<(), StoreError>> {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let mut workers = JoinSet::new();
        for _ in 0..2 * processors {
            let (log, bulk) = (self.store.log.clone(), Arc::clone(bulk));
            let (claimed, counters) = (Arc::clone(claimed), Arc::clone(&self.counters));
            workers.spawn(work(log, bulk, claimed, end, counters));
        }
        workers
    }

    async fn write(&mut self, drained: Drained) -> Result<(), RebuildError> {
        let Drained { unkeyed, customers } = drained;
        for batch in unkeyed {
            self.write_one(batch).await?;
        }
        let mut batches = Batches::of_fold(customers, self.leased.own_maker());
        while let Some(Batch { rows, .. }) = batches.next().await? {
            self.write_one(rows).await?;
        }
        Ok(())
    }

    async fn write_one(&mut self, batch: FoldBatch) -> Result<(), RebuildError> {
        let (store, lease) = (self.store, self.leased.lease().clone());
        let writing = store.read_model.fold_write(&lease, &batch);
        // The writer must not wait for the progress.
        let (held, ticked) = tokio::join!(writing, self.tick());
        ticked?;
        if held? { Ok(()) } else { Err(self.taken_over()) }
    }

    /// Checks the lease, reports progress, and returns an error if the rebuild was stopped.
    async fn tick(&mut self) -> Result<(), RebuildError> {
        if self.stop.is_cancelled() {
            return Err(RebuildError::Stopped);
        }
        if !self.leased.heartbeat.beat().await? {
            return Err(self.taken_over());
        }
        let done = self.counters.events.load(Ordering::Relaxed);
        if self.stopwatch.elapsed() >= self.record_at {
            self.record_at = self.stopwatch.elapsed() + RECORD_EVERY;
            self.store.read_model.lease_report_progress(self.leased.lease(), done).await?;
        }
        let total = self.store.log.head().await?.size.0.max(done);
        (self.on_event)(RebuildEvent::Progress(BuildProgress {
            generation: self.leased.generation,
            done,
            total,
            customers: self.customers,
            parked: self.counters.parked(),
            elapsed: self.stopwatch.elapsed(),
        }));
        Ok(())
    }

    fn taken_over(&self) -> RebuildError {
        RebuildError::TakenOver(self.leased.generation)
    }
}

/// Directory of the temporary file: beside the ledger's file, where a read model of its size has room, or the system's.
fn spill_directory(log: &Log) -> PathBuf {
    match log.path().map(|path| path.parent().unwrap_or(Path::new(""))) {
        None => std::env::temp_dir(),
        Some(directory) if directory.as_os_str().is_empty() => PathBuf::from("."),
        Some(directory) => directory.to_owned(),
    }
}

/// Folds chunks that no other worker has claimed, until none is left or the round is full.
async fn work(
    log: Log,
    bulk: Arc<BulkFold>,
    claimed: Arc<AtomicI64>,
    end: Position,
    counters: Arc<Counters>,
) -> Result<(), StoreError> {
    loop {
        let mut after = Position(claimed.fetch_add(CHUNK_EVENTS, Ordering::Relaxed));
        let up_to = after.plus(CHUNK_EVENTS).min(end);
        if after >= up_to {
            return Ok(());
        }
        // A chunk that is cut short for its size takes several turns.
        while after < up_to {
            let Some(batch) = EffectsBatch::read_range(&log, after, up_to).await? else {
                return Err(StoreError::Corrupt("the log is shorter than before".to_owned()));
            };
            let (to, bulk) = (batch.to, Arc::clone(&bulk));
            let parked = beside_the_runtime(move || bulk.join(batch)).await??;
            counters.add(to.0 - after.0, parked);
            after = to;
        }
        // After a chunk, so that every round has some.
        if bulk.is_round_full() {
            return Ok(());
        }
    }
}

/// Waits a moment for a worker to end. True if all have ended.
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
