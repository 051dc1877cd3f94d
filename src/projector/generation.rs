//! Generation whose lease this process holds: its logic, its position in the log, and its folding in batches.

use tokio::task::JoinHandle;

use super::LEASE_SECONDS;
use super::batch::EffectsBatch;
use super::heartbeat::Heartbeat;
use super::incremental::IncrementalFold;
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::store::{
    FoldBatch, Generation, GenerationId, GenerationLogic, Lease, ReadModel, Store, StoreError,
};
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// A generation whose lease this process holds.
#[derive(Debug)]
pub(super) struct LeasedGeneration {
    pub(super) generation: GenerationId,
    /// Position up to which everything is committed.
    pub(super) position: Position,
    /// Position up to which everything is folded. The last batch may still be being committed.
    folded: Position,
    pub(super) heartbeat: Heartbeat,
    logic: Logic,
    /// None before the first batch, and after one that failed.
    fold: Option<IncrementalFold>,
    /// The next batch, which is read while this one is folded and committed.
    next: Option<JoinHandle<Result<Option<EffectsBatch>, StoreError>>>,
    /// The last batch, which is committed while this one is folded.
    committing: Option<JoinHandle<Result<Option<Committed>, StoreError>>>,
    /// Number of parked events of the batches that were committed since the last step.
    parked: usize,
    /// True if another process took over the generation.
    is_fenced: bool,
}

/// Batch that was committed.
#[derive(Debug)]
struct Committed {
    /// Last position.
    to: Position,
    parked: usize,
}

/// Outcome of a step of folding.
#[derive(Debug)]
pub(super) enum FoldStep {
    /// A batch was folded; this many of its events are parked.
    Folded { parked: usize },
    /// The log holds no more events.
    CaughtUp,
    /// Another process took over the generation.
    Fenced,
}

/// Logic in the form in which a generation stores it.
pub(super) fn stored_logic(logic: &Logic) -> GenerationLogic {
    GenerationLogic {
        fingerprint: logic.fingerprint(ReadModel::SCHEMA),
        fold_version: crate::projection::FOLD_VERSION,
        policy: logic.policy_text.clone(),
        user_keys: logic.user_keys_text(),
    }
}

/// Logic that a generation was built with. Every process that folds the generation must use it.
pub fn logic_of(generation: &Generation) -> Result<Logic, StoreError> {
    Logic::parse(&generation.logic.policy, &generation.logic.user_keys).map_err(|error| {
        StoreError::Corrupt(format!("the policy of generation {}: {error}", generation.id))
    })
}

/// True if the generation was built from this log. A log that was restored from a backup is shorter, or holds
/// another event at the checkpoint.
pub(super) async fn is_of_this_log(
    store: &Store,
    generation: &Generation,
) -> Result<bool, StoreError> {
    if generation.log_id != store.log.head().await?.log_id {
        return Ok(false);
    }
    if generation.position == Position::ZERO {
        return Ok(true);
    }
    store.log.has_leaf(generation.position, generation.leaf_hash).await
}

impl LeasedGeneration {
    /// Takes the lease of a generation. None if another process holds it and has not ended.
    pub(super) async fn acquire(
        store: &Store,
        generation: &Generation,
        holder: &str,
        clock: &Clock,
        has_ended: bool,
    ) -> Result<Option<Self>, StoreError> {
        let logic = logic_of(generation)?;
        let (id, silent) = (generation.id, has_ended.then_some(generation.lease_until));
        let lease =
            store.read_model.lease_take_over(id, holder, clock.now(), LEASE_SECONDS, silent);
        let Some(lease) = lease.await? else { return Ok(None) };
        // Read again: the last holder may have folded until it lost its lease.
        let generations = store.read_model.generations().await?;
        let Some(fresh) = generations.into_iter().find(|g| g.id == generation.id) else {
            return Ok(None);
        };
        let leased = Self::new(store, lease, &logic, clock);
        Ok(Some(Self { position: fresh.position, folded: fresh.position, ..leased }))
    }

    /// Starts with a generation that was just begun with this lease.
    pub(super) fn new(store: &Store, lease: Lease, logic: &Logic, clock: &Clock) -> Self {
        Self {
            generation: lease.generation,
            position: Position::ZERO,
            folded: Position::ZERO,
            heartbeat: Heartbeat::new(&store.read_model, lease, clock),
            logic: logic.clone(),
            fold: None,
            next: None,
            committing: None,
            parked: 0,
            is_fenced: false,
        }
    }

    /// Releases the lease, so that another process can go on. If that fails, the lease ends by itself.
    pub(super) async fn release(mut self, store: &Store) {
        let _ = self.finish_commit().await;
        let lease = self.heartbeat.lease().clone();
        drop(self.heartbeat);
        let _ = store.read_model.lease_release(&lease).await;
    }

    /// Lease, which is the right to write to the generation.
    pub(super) fn lease(&self) -> &Lease {
        self.heartbeat.lease()
    }

    /// Logic that the generation is folded with.
    pub(super) fn logic(&self) -> &Logic {
        &self.logic
    }

    /// Moves the checkpoint to a position up to which everything is already written. False if another process took
    /// over the generation.
    pub(super) async fn advance(
        &mut self,
        store: &Store,
        to: Position,
    ) -> Result<bool, StoreError> {
        if to == self.position {
            return Ok(true);
        }
        let last = store.log.headers_at(&[to]).await?.into_iter().flatten().next();
        let received_at = match last {
            Some(header) => header.received_at,
            None => store.log.head().await?.last_received_at,
        };
        let batch = FoldBatch { folded_received_at: received_at, ..FoldBatch::default() };
        let (from, leaf_hash) = (self.position, leaf_hash_at(store, to).await?);
        let moved = store.read_model.fold_commit(self.lease(), from, to, leaf_hash, &batch).await?;
        (self.position, self.folded) = (to, to);
        Ok(moved)
    }

    /// Folds the next batch of the log in one transaction. `seen` gets the time of receipt of its first event before
    /// the work begins.
    ///
    /// While the log holds more, a batch is committed during the next step, which reports the outcome.
    pub(super) async fn step(
        &mut self,
        store: &Store,
        seen: impl FnOnce(ReceivedAt),
    ) -> Result<FoldStep, StoreError> {
        let Some(batch) = self.next_batch(store).await? else {
            let caught_up = self.committing.is_none();
            return if caught_up { Ok(FoldStep::CaughtUp) } else { self.committed().await };
        };
        seen(batch.first_received_at);
        let (to, is_full) = (batch.to, batch.is_full);
        if is_full {
            self.next = Some(tokio::spawn(EffectsBatch::read(store.log.clone(), to)));
        }
        // If anything fails from here on, the fold is dropped, with its cache of states that were never written.
        let mut fold = self.fold.take().unwrap_or_else(|| IncrementalFold::new(self.logic.clone()));
        if fold.is_large() {
            // States that leave the cache are read again, so they must be committed.
            self.finish_commit().await?;
            fold.clear_cache();
        }
        let (fold, batch) = fold.fold(&store.read_model, self.generation, batch).await?;
        let leaf_hash = leaf_hash_at(store, to).await?;
        self.finish_commit().await?;
        if self.is_fenced {
            return Ok(FoldStep::Fenced);
        }
        let (read_model, lease, from) =
            (store.read_model.clone(), self.lease().clone(), self.folded);
        let commit = async move {
            let moved = read_model.fold_commit(&lease, from, to, leaf_hash, &batch).await?;
            Ok(moved.then_some(Committed { to, parked: batch.parked.len() }))
        };
        self.committing = Some(tokio::spawn(commit));
        (self.fold, self.folded) = (Some(fold), to);
        if is_full { Ok(self.take_outcome()) } else { self.committed().await }
    }

    /// Waits for the batch that is being committed, and returns the outcome.
    async fn committed(&mut self) -> Result<FoldStep, StoreError> {
        self.finish_commit().await?;
        Ok(self.take_outcome())
    }

    /// Outcome of the commits since the last call.
    fn take_outcome(&mut self) -> FoldStep {
        let parked = std::mem::take(&mut self.parked);
        if self.is_fenced { FoldStep::Fenced } else { FoldStep::Folded { parked } }
    }

    /// Waits for the batch that is being committed, if there is one, and records its position.
    async fn finish_commit(&mut self) -> Result<(), StoreError> {
        let Some(commit) = self.committing.take() else { return Ok(()) };
        match commit.await.map_err(|error| StoreError::Internal(error.into()))?? {
            None => self.is_fenced = true,
            Some(Committed { to, parked }) => {
                self.position = to;
                self.parked += parked;
            }
        }
        Ok(())
    }

    /// Batch after the last folded position: the one that was read ahead, or one that is read now.
    async fn next_batch(&mut self, store: &Store) -> Result<Option<EffectsBatch>, StoreError> {
        if let Some(next) = self.next.take() {
            let read = next.await.map_err(|error| StoreError::Internal(error.into()))?;
            if let Some(batch) = read? {
                return Ok(Some(batch));
            }
            // There was nothing at that time; there may be now.
        }
        EffectsBatch::read(store.log.clone(), self.folded).await
    }
}

/// Leaf hash at a checkpoint; none if that event is damaged.
async fn leaf_hash_at(store: &Store, position: Position) -> Result<Option<Hash>, StoreError> {
    match store.log.leaf_hash_at(position).await {
        Err(StoreError::Damaged(_) | StoreError::Corrupt(_)) => Ok(None),
        read => read,
    }
}
