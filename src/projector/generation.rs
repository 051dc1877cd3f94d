//! A generation in the hands of whoever folds it: its lease, its logic, its place in the log.

use tokio::task::JoinHandle;

use super::LEASE_SECONDS;
use super::batch::EffectsBatch;
use super::holder::RENEW_EVERY;
use super::incremental::IncrementalFold;
use crate::clock::{Clock, Stopwatch};
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
    /// Everything up to here is committed.
    pub(super) position: Position,
    /// Everything up to here is folded; the last batch of it may be on its way to the disk.
    folded: Position,
    lease: Lease,
    renewed: Stopwatch,
    logic: Logic,
    /// None before the first batch, and after one that failed.
    folder: Option<IncrementalFold>,
    /// The next batch, being read while this one is folded and committed.
    ahead: Option<JoinHandle<Result<Option<EffectsBatch>, StoreError>>>,
    /// The last batch, being committed while this one is folded.
    behind: Option<JoinHandle<Result<Option<Committed>, StoreError>>>,
    /// Events that could not be folded, of the batches that were committed since the last step.
    parked: usize,
    /// Whether another process took the generation over.
    is_fenced: bool,
}

/// A batch that was committed.
#[derive(Debug)]
struct Committed {
    /// Its last position.
    to: Position,
    parked: usize,
}

/// How a step of folding went.
#[derive(Debug)]
pub(super) enum FoldStep {
    /// A batch was folded, but for so many events that could not be.
    Folded { parked: usize },
    /// There is nothing more in the log.
    CaughtUp,
    /// Another process took the generation over.
    Fenced,
}

/// The logic as a generation stores it.
pub(super) fn stored_logic(logic: &Logic) -> GenerationLogic {
    GenerationLogic {
        fingerprint: logic.fingerprint(ReadModel::SCHEMA),
        fold_version: crate::projection::FOLD_VERSION,
        policy: logic.policy_text.clone(),
        user_keys: logic.user_keys_text(),
    }
}

/// The logic that a generation was made with, which whoever folds it must use.
pub fn logic_of(generation: &Generation) -> Result<Logic, StoreError> {
    Logic::parse(&generation.logic.policy, &generation.logic.user_keys).map_err(|error| {
        StoreError::Corrupt(format!("the policy of generation {}: {error}", generation.id))
    })
}

/// Whether the generation was made from this log. A log that was restored from a backup is
/// shorter, or holds something else at the checkpoint.
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
    /// Takes the lease, if nobody else holds it, or its holder has ended.
    pub(super) async fn take(
        store: &Store,
        generation: &Generation,
        holder: &str,
        clock: &Clock,
        has_ended: bool,
    ) -> Result<Option<Self>, StoreError> {
        let logic = logic_of(generation)?;
        let (id, silent) = (generation.id, has_ended.then_some(generation.lease_until));
        let taking =
            store.read_model.lease_take_over(id, holder, clock.now(), LEASE_SECONDS, silent);
        let Some(lease) = taking.await? else { return Ok(None) };
        // Read again: the last holder may have folded on until its lease was gone.
        let generations = store.read_model.generations().await?;
        let Some(fresh) = generations.into_iter().find(|g| g.id == generation.id) else {
            return Ok(None);
        };
        Ok(Some(Self {
            generation: generation.id,
            position: fresh.position,
            folded: fresh.position,
            lease,
            renewed: Clock::stopwatch(),
            logic,
            folder: None,
            ahead: None,
            behind: None,
            parked: 0,
            is_fenced: false,
        }))
    }

    /// A generation that was begun with this lease just now.
    pub(super) fn begun(lease: Lease, logic: &Logic) -> Self {
        Self {
            generation: lease.generation,
            position: Position::ZERO,
            folded: Position::ZERO,
            lease,
            renewed: Clock::stopwatch(),
            logic: logic.clone(),
            folder: None,
            ahead: None,
            behind: None,
            parked: 0,
            is_fenced: false,
        }
    }

    /// Gives the generation to whoever wants to go on with it. If that fails, the lease ends by itself.
    pub(super) async fn release(mut self, store: &Store) {
        let _ = self.commit_end().await;
        let _ = store.read_model.lease_release(&self.lease).await;
    }

    /// Keeps the lease alive. False if it was lost.
    pub(super) async fn renew(&mut self, store: &Store, clock: &Clock) -> Result<bool, StoreError> {
        if self.renewed.elapsed() < RENEW_EVERY {
            return Ok(true);
        }
        self.renewed = Clock::stopwatch();
        store.read_model.lease_renew(&self.lease, clock.now(), LEASE_SECONDS).await
    }

    /// The right to write to it.
    pub(super) fn lease(&self) -> &Lease {
        &self.lease
    }

    /// What it is folded with.
    pub(super) fn logic(&self) -> &Logic {
        &self.logic
    }

    /// Moves the checkpoint to where everything is written already. False where another process took
    /// the generation over.
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
        let moved = store.read_model.fold_commit(&self.lease, from, to, leaf_hash, &batch).await?;
        (self.position, self.folded) = (to, to);
        Ok(moved)
    }

    /// Folds the next batch of the log; each is one transaction. `seen` hears of its first event's time
    /// of arrival before the work begins.
    ///
    /// While there is more in the log, a batch is committed during the next step, which answers for it.
    pub(super) async fn step(
        &mut self,
        store: &Store,
        seen: impl FnOnce(ReceivedAt),
    ) -> Result<FoldStep, StoreError> {
        let Some(batch) = self.next_batch(store).await? else {
            let caught_up = self.behind.is_none();
            return if caught_up { Ok(FoldStep::CaughtUp) } else { self.committed().await };
        };
        seen(batch.first_received_at);
        let (to, is_full) = (batch.to, batch.is_full);
        if is_full {
            self.ahead = Some(tokio::spawn(EffectsBatch::read(store.log.clone(), to)));
        }
        // Whatever fails from here on, the folder is lost with it, and its cache of states that were
        // never written.
        let mut folder =
            self.folder.take().unwrap_or_else(|| IncrementalFold::new(self.logic.clone()));
        if folder.is_large() {
            // What it forgets it will read, so it must be there.
            self.commit_end().await?;
            folder.forget();
        }
        let (folder, batch) = folder.fold(&store.read_model, self.generation, batch).await?;
        let leaf_hash = leaf_hash_at(store, to).await?;
        self.commit_end().await?;
        if self.is_fenced {
            return Ok(FoldStep::Fenced);
        }
        let (read_model, lease, from) = (store.read_model.clone(), self.lease.clone(), self.folded);
        let commit = async move {
            let moved = read_model.fold_commit(&lease, from, to, leaf_hash, &batch).await?;
            Ok(moved.then_some(Committed { to, parked: batch.parked.len() }))
        };
        self.behind = Some(tokio::spawn(commit));
        (self.folder, self.folded) = (Some(folder), to);
        if is_full { Ok(self.so_far()) } else { self.committed().await }
    }

    /// Waits for the batch that is being committed.
    async fn committed(&mut self) -> Result<FoldStep, StoreError> {
        self.commit_end().await?;
        Ok(self.so_far())
    }

    /// What was committed since it was told last.
    fn so_far(&mut self) -> FoldStep {
        let parked = std::mem::take(&mut self.parked);
        if self.is_fenced { FoldStep::Fenced } else { FoldStep::Folded { parked } }
    }

    /// Waits for the batch that is being committed, if there is one, and takes note of it.
    async fn commit_end(&mut self) -> Result<(), StoreError> {
        let Some(behind) = self.behind.take() else { return Ok(()) };
        match behind.await.map_err(|error| StoreError::Internal(error.into()))?? {
            None => self.is_fenced = true,
            Some(Committed { to, parked }) => {
                self.position = to;
                self.parked += parked;
            }
        }
        Ok(())
    }

    /// What follows the last folded position: read ahead, or now.
    async fn next_batch(&mut self, store: &Store) -> Result<Option<EffectsBatch>, StoreError> {
        if let Some(ahead) = self.ahead.take() {
            let read = ahead.await.map_err(|error| StoreError::Internal(error.into()))?;
            if let Some(batch) = read? {
                return Ok(Some(batch));
            }
            // There was nothing then; there may be now.
        }
        EffectsBatch::read(store.log.clone(), self.folded).await
    }
}

/// The leaf hash at a checkpoint; none where that event is damaged.
async fn leaf_hash_at(store: &Store, position: Position) -> Result<Option<Hash>, StoreError> {
    match store.log.leaf_hash_at(position).await {
        Err(StoreError::Damaged(_) | StoreError::Corrupt(_)) => Ok(None),
        read => read,
    }
}
