//! Making a generation anew from the first event on, beside the live one; comparing, and swapping.

use tokio_util::sync::CancellationToken;

use super::LEASE_SECONDS;
use super::build::Build;
use super::diff::{DiffEvent, Listing, compare};
use super::generation::{LeasedGeneration, is_of_this_log, logic_of, stored_logic};
use super::heartbeat::keep;
use super::holder::{claim, holder_name, seems_held};
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::store::{
    BeginOutcome, Generation, GenerationId, GenerationLogic, Lease, Store, StoreError,
};

/// How a rebuild is going.
#[derive(Clone, Copy, Debug)]
pub struct BuildProgress {
    /// The generation that is being made.
    pub generation: GenerationId,
    /// Events folded.
    pub done: i64,
    /// Events in the log, as far as it reached when last looked at.
    pub total: i64,
    /// Events that could not be folded so far.
    pub parked: usize,
    /// Since the rebuild began.
    pub elapsed: std::time::Duration,
}

/// A rebuild that is done; after a dry run its generation is gone.
#[derive(Clone, Copy, Debug)]
pub struct Rebuilt {
    /// The generation that was made.
    pub generation: GenerationId,
    /// How far it has folded.
    pub position: Position,
    /// Events that could not be folded.
    pub parked: usize,
    /// How long it took.
    pub elapsed: std::time::Duration,
}

/// Why a rebuild did not end. The live generation is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another process is making a generation.
    #[error(
        "another process is making generation {generation} and has folded {position} of {total} events"
    )]
    AlreadyRunning {
        /// Which.
        generation: GenerationId,
        /// How far it is.
        position: Position,
        /// How far the log reaches.
        total: Position,
    },
    /// Another process took the new generation over.
    #[error("another process took over generation {0}")]
    TakenOver(GenerationId),
    /// The live generation has not even the fields that say who has access.
    #[error("the schema of generation {0} is too old to be compared")]
    NotComparable(GenerationId),
    /// It was asked to stop.
    #[error("the rebuild was stopped before it was complete")]
    Stopped,
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RebuildError {
    /// What a person can do about it.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::AlreadyRunning { .. } => {
                Some("wait until it is done; `subledger projections` shows how far it is")
            }
            Self::TakenOver(_) => Some("`subledger projections` shows what there is now"),
            Self::NotComparable(_) => Some("`subledger rebuild` without --dry-run replaces it"),
            Self::Store(StoreError::CannotGrow(_)) => Some(
                "the live generation answers on; a rebuild needs as much room again as the read model \
                 takes: make room and run it again, or remove the previous generation",
            ),
            Self::Store(error) => error.hint(),
            Self::Stopped => None,
        }
    }
}

/// What becomes of the new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildMode {
    /// It is compared with the live one and dropped.
    DryRun,
    /// It is compared with the live one and takes its place.
    Swap,
}

/// Options of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildOptions {
    /// Use of the new generation.
    pub mode: RebuildMode,
    /// Changes that are listed one by one, besides being counted.
    pub listing: Listing,
}

impl RebuildOptions {
    /// Swaps without listing any change.
    pub const SWAP: Self = Self { mode: RebuildMode::Swap, listing: Listing::Nothing };
}

/// What a rebuild tells while it runs.
#[derive(Debug)]
pub enum RebuildEvent<'a> {
    /// How it is going.
    Progress(BuildProgress),
    /// What the new generation changes.
    Difference(DiffEvent<'a>),
    /// Why that could not be found out. A generation that cannot be compared is swapped all the same:
    /// the live one may be too old to compare with, or damaged.
    NotCompared(&'a RebuildError),
}

/// Makes a generation of this logic from position 1 to the end of the log, compares it with the live
/// one, and makes it the live one, in one transaction, or drops it again. Appending and following go
/// on meanwhile.
pub async fn rebuild(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    stop: &CancellationToken,
    RebuildOptions { mode, listing }: RebuildOptions,
    mut tell: impl FnMut(RebuildEvent<'_>),
) -> Result<Rebuilt, RebuildError> {
    // First, because the new one needs its space.
    store.read_model.abandoned_drop(clock.now()).await?;
    let (stored, log_id) = (stored_logic(logic), store.log.head().await?.log_id);
    let lease = begin(store, &stored, &log_id, clock).await?;
    let kept = keep(store, &lease, clock);
    let made = async {
        let leased = LeasedGeneration::begun(lease.clone(), logic);
        let mut build = Build::new(store, leased, clock, stop, &mut tell);
        build.fold_at_once().await?;
        build.catch_up().await?;
        let compared = tokio::select! {
            compared = compare(&mut build, listing) => compared,
            () = stop.cancelled() => Err(RebuildError::Stopped),
        };
        match &compared {
            Err(error @ (RebuildError::Store(_) | RebuildError::NotComparable(_)))
                if mode == RebuildMode::Swap =>
            {
                (build.tell)(RebuildEvent::NotCompared(error));
            }
            _ => compared?,
        }
        if mode == RebuildMode::Swap {
            build.complete().await?;
        }
        Ok(build.end().await)
    }
    .await;
    drop(kept);
    if mode == RebuildMode::DryRun || made.is_err() {
        // Best effort: what stays is dropped by whoever serves, or by the next rebuild.
        if let Err(error) = give_up(store, &lease, clock).await {
            let id = lease.generation;
            tracing::warn!(%error, "generation {id} is not dropped yet: {error}");
        }
    }
    made
}

/// Begins a generation. One that a process which has ended was making is dropped first.
async fn begin(
    store: &Store,
    logic: &GenerationLogic,
    log_id: &str,
    clock: &Clock,
) -> Result<Lease, RebuildError> {
    let (model, holder) = (&store.read_model, holder_name());
    loop {
        let begun = model.generation_begin(logic, log_id, &holder, clock.now(), LEASE_SECONDS);
        let building = match begun.await? {
            BeginOutcome::Started(_, lease) => return Ok(lease),
            BeginOutcome::AlreadyBuilding(generation) => generation,
        };
        let id = building.id;
        if seems_held(&building, clock.now()) || claim(store, id, clock).await?.is_none() {
            let total = store.log.head().await?.size;
            let position = building.position.max(Position(building.built));
            return Err(RebuildError::AlreadyRunning { generation: id, position, total });
        }
        model.generation_drop(id).await?;
    }
}

/// Drops what was made, unless it is in the hands of another by now.
async fn give_up(store: &Store, lease: &Lease, clock: &Clock) -> Result<(), StoreError> {
    let model = &store.read_model;
    if model.lease_renew(lease, clock.now(), LEASE_SECONDS).await? {
        model.generation_drop(lease.generation).await?;
    }
    Ok(())
}

/// Why the live generation cannot be followed as it is, and has to be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildReason {
    /// There is none.
    NoneLive,
    /// It was made from another log, or this log is an older backup.
    OtherLog,
    /// This program's logic is another, and not an older one.
    OtherLogic,
}

/// Whether the live generation has to be made anew. A generation of a newer fold, or one that
/// somebody pinned, is left alone: only forwards by itself.
pub(super) async fn reason_to_rebuild(
    store: &Store,
    live: Option<&Generation>,
    logic: &Logic,
) -> Result<Option<RebuildReason>, StoreError> {
    let Some(live) = live else { return Ok(Some(RebuildReason::NoneLive)) };
    if !is_of_this_log(store, live).await? {
        return Ok(Some(RebuildReason::OtherLog));
    }
    let ours = stored_logic(logic);
    let forwards = live.logic.fold_version <= ours.fold_version && !live.pinned;
    Ok((live.logic.fingerprint != ours.fingerprint && forwards)
        .then_some(RebuildReason::OtherLogic))
}

/// Whether this program has the logic that a generation was made with: the fold, the policy's
/// meaning, and the tables.
pub fn can_fold(generation: &Generation) -> bool {
    logic_of(generation).is_ok_and(|logic| stored_logic(&logic) == generation.logic)
}
