//! Generation whose lease this process holds: its logic, its position in the log, and its folding in batches.

use tokio::task::JoinHandle;

use super::LEASE_SECONDS;
use super::batch::{EffectsBatch, beside_the_runtime};
use super::heartbeat::Heartbeat;
use super::incremental::{IncrementalFold, rows_of_states};
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::projection::read_model::{Projections, RowMaker};
use crate::store::{
    FoldBatch, FoldLayer, FoldOutcome, Generation, GenerationId, GenerationLogic, Lease, Store,
    StoreError, tables_schema,
};
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Events whose customers get new rows in one transaction, at most.
const ROWS_STEP_EVENTS: i64 = 2_048;

/// A generation whose lease this process holds.
#[derive(Debug)]
pub(super) struct LeasedGeneration {
    pub(super) generation: GenerationId,
    /// Position up to which everything is committed.
    pub(super) position: Position,
    /// Position up to which everything is folded. The last batch may still be being committed.
    folded: Position,
    /// Position of the fold layer, as far as this process knows. Up to there the rows are made from its states.
    layer_position: Position,
    pub(super) heartbeat: Heartbeat,
    maker: RowMaker,
    /// None before the first batch, and after one that failed.
    fold: Option<IncrementalFold>,
    /// The next batch, which is read while this one is folded and committed.
    next: Option<JoinHandle<Result<Option<EffectsBatch>, StoreError>>>,
    /// The last batch, which is committed while this one is folded.
    committing: Option<JoinHandle<Result<(FoldOutcome, Committed), StoreError>>>,
    /// Number of parked events of the batches that were committed since the last step.
    parked: usize,
    /// True if another process took over the generation.
    is_fenced: bool,
    /// True if another process has folded into the layer.
    has_layer_moved: bool,
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
pub(super) fn stored_logic(projections: Projections, logic: &Logic) -> GenerationLogic {
    GenerationLogic {
        fingerprint: logic.fingerprint(&tables_schema(projections)),
        fold_version: crate::projection::FOLD_VERSION,
        policy: logic.policy_text.clone(),
        user_keys: logic.user_keys_text(),
    }
}

/// Logic that a generation was built with. Every process that folds the generation must use it.
pub fn logic_of(generation: &Generation) -> Result<Logic, StoreError> {
    generation.logic.parse(generation.id)
}

/// True if the generation and its fold layer were built from this log. A log that was restored from a backup is shorter,
/// or holds another event at one of their positions.
pub(super) async fn is_of_this_log(
    store: &Store,
    generation: &Generation,
) -> Result<bool, StoreError> {
    if generation.log_id != store.log.head().await?.log_id {
        return Ok(false);
    }
    let layer = match generation.layer {
        Some(layer) => store.read_model.layer(layer).await?,
        None => None,
    };
    // The layer may have folded more than the generation.
    let layer = layer.map(|it| (it.position, it.leaf_hash));
    for (position, leaf_hash) in
        layer.into_iter().chain([(generation.position, generation.leaf_hash)])
    {
        if !is_this_log_at(store, position, leaf_hash).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// True if this log has the event with this leaf hash at a position.
async fn is_this_log_at(
    store: &Store,
    position: Position,
    leaf_hash: Option<Hash>,
) -> Result<bool, StoreError> {
    Ok(position == Position::ZERO || store.log.has_leaf(position, leaf_hash).await?)
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
        let mut leased = Self::new(store, lease, &logic, clock);
        (leased.position, leased.folded) = (fresh.position, fresh.position);
        leased.read_layer_position(store).await?;
        Ok(Some(leased))
    }

    /// Starts with a generation that was just begun with this lease, together with its fold layer.
    pub(super) fn new(store: &Store, lease: Lease, logic: &Logic, clock: &Clock) -> Self {
        Self {
            generation: lease.generation,
            position: Position::ZERO,
            folded: Position::ZERO,
            layer_position: Position::ZERO,
            heartbeat: Heartbeat::new(&store.read_model, lease, clock),
            maker: RowMaker {
                projections: store.read_model.projections().to_vec(),
                logic: logic.clone(),
            },
            fold: None,
            next: None,
            committing: None,
            parked: 0,
            is_fenced: false,
            has_layer_moved: false,
        }
    }

    /// Reads the position of the fold layer, up to which the rows are made from its states.
    async fn read_layer_position(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some(id) = self.lease().layer else { return Ok(()) };
        let layer = store.read_model.layer(id).await?;
        self.layer_position = layer.map_or(Position::ZERO, |it| it.position);
        Ok(())
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

    /// Maker of the rows in tables that this generation makes itself, and shares with no earlier one.
    pub(super) fn own_maker(&self) -> RowMaker {
        let projections = self.lease().tables().own_projections().collect();
        RowMaker { projections, logic: self.maker.logic.clone() }
    }

    /// Reads the position of the generation, which another transaction has changed.
    pub(super) async fn read_position(&mut self, store: &Store) -> Result<(), StoreError> {
        self.finish_commit().await?;
        let generations = store.read_model.generations().await?;
        if let Some(generation) = generations.iter().find(|it| it.id == self.generation) {
            (self.position, self.folded) = (generation.position, generation.position);
        }
        (self.fold, self.next) = (None, None);
        self.read_layer_position(store).await
    }

    /// Moves the position of the generation to that of its layer, whose states all rows were made from. They may have
    /// moved on meanwhile. False if another process took over the generation.
    pub(super) async fn start_at_layer(
        &mut self,
        store: &Store,
        layer: &FoldLayer,
    ) -> Result<bool, StoreError> {
        let to = layer.position;
        let batch =
            FoldBatch { folded_received_at: layer.folded_received_at, ..FoldBatch::default() };
        let from = self.position;
        let outcome =
            store.read_model.rows_commit(self.lease(), from, to, layer.leaf_hash, &batch).await?;
        (self.position, self.folded) = (to, to);
        self.read_layer_position(store).await?;
        Ok(outcome == FoldOutcome::Committed)
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
        let outcome =
            store.read_model.fold_commit(self.lease(), from, to, leaf_hash, &batch).await?;
        (self.position, self.folded, self.layer_position) = (to, to, to);
        Ok(outcome == FoldOutcome::Committed)
    }

    /// Folds the next batch of the log in one transaction, or makes the rows of its customers, if the layer has folded it
    /// already. `seen` gets the time of receipt of its first event before the work begins.
    ///
    /// While the log holds more, a batch is committed during the next step, which reports the outcome.
    pub(super) async fn step(
        &mut self,
        store: &Store,
        seen: impl FnOnce(ReceivedAt),
    ) -> Result<FoldStep, StoreError> {
        if self.folded < self.layer_position {
            return self.make_rows(store, seen).await;
        }
        let Some(batch) = self.next_batch(store).await? else {
            let caught_up = self.committing.is_none();
            return if caught_up { Ok(FoldStep::CaughtUp) } else { self.committed(store).await };
        };
        seen(batch.first_received_at);
        let (to, is_full) = (batch.to, batch.is_full);
        if is_full {
            self.next = Some(tokio::spawn(EffectsBatch::read(store.log.clone(), to)));
        }
        // If anything fails from here on, the fold is dropped, with its cache of states that were never written.
        let mut fold = self.fold.take().unwrap_or_else(|| IncrementalFold::new(self.maker.clone()));
        if fold.is_large() {
            // States that leave the cache are read again, so they must be committed.
            self.finish_commit().await?;
            fold.clear_cache();
        }
        let tables = self.lease().tables();
        let (fold, batch) = fold.fold(&store.read_model, tables, batch).await?;
        let leaf_hash = leaf_hash_at(store, to).await?;
        self.finish_commit().await?;
        if self.is_fenced || self.has_layer_moved {
            // The batch is dropped: its states lack what the other process has folded.
            return self.committed(store).await;
        }
        let (read_model, lease, from) =
            (store.read_model.clone(), self.lease().clone(), self.folded);
        let commit = async move {
            let outcome = read_model.fold_commit(&lease, from, to, leaf_hash, &batch).await?;
            Ok((outcome, Committed { to, parked: batch.parked.len() }))
        };
        self.committing = Some(tokio::spawn(commit));
        (self.fold, self.folded) = (Some(fold), to);
        if is_full { Ok(self.take_outcome()) } else { self.committed(store).await }
    }

    /// Makes the rows of the customers of the next events, which the layer has folded already, from its states.
    async fn make_rows(
        &mut self,
        store: &Store,
        seen: impl FnOnce(ReceivedAt),
    ) -> Result<FoldStep, StoreError> {
        let (from, end) = (self.folded, self.layer_position);
        let up_to = from.plus(ROWS_STEP_EVENTS).min(end);
        let Some(batch) = EffectsBatch::read_range(&store.log, from, up_to).await? else {
            return Err(StoreError::Corrupt("the log is shorter than its fold".to_owned()));
        };
        seen(batch.first_received_at);
        let (to, folded_received_at) = (batch.to, batch.last_received_at);
        let parked = batch.effects.iter().filter(|it| it.parked.is_some()).count();
        let customers = batch.changed_customers();
        let states = store.read_model.states(self.lease().tables(), &customers).await?;
        let maker = self.maker.clone();
        let made = beside_the_runtime(move || rows_of_states(states, &maker)).await??;
        let batch = FoldBatch { folded_received_at, ..made };
        let leaf_hash = leaf_hash_at(store, to).await?;
        let outcome =
            store.read_model.rows_commit(self.lease(), from, to, leaf_hash, &batch).await?;
        if outcome != FoldOutcome::Committed {
            return Ok(FoldStep::Fenced);
        }
        (self.position, self.folded) = (to, to);
        if to == end {
            // It may have moved meanwhile.
            self.read_layer_position(store).await?;
        }
        Ok(FoldStep::Folded { parked })
    }

    /// Waits for the batch that is being committed, and returns the outcome.
    async fn committed(&mut self, store: &Store) -> Result<FoldStep, StoreError> {
        self.finish_commit().await?;
        if self.has_layer_moved {
            // Everything that is not committed is folded anew, from what the other process has stored.
            (self.fold, self.next) = (None, None);
            (self.folded, self.has_layer_moved) = (self.position, false);
            self.read_layer_position(store).await?;
        }
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
            (FoldOutcome::Fenced, _) => self.is_fenced = true,
            (FoldOutcome::LayerMoved, _) => self.has_layer_moved = true,
            (FoldOutcome::Committed, Committed { to, parked }) => {
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
