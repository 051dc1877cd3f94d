//! Rebuild: the log folded from its beginning into a new generation beside the live one.

use tokio_util::sync::CancellationToken;

use super::LEASE_SECONDS;
use super::build::Build;
use super::compare::compare;
use super::generation::{LeasedGeneration, is_of_this_log, logic_of, stored_logic};
use super::heartbeat::renew;
use super::lease_watch::{claim, seems_held};
use super::rebuild_event::{RebuildError, RebuildEvent, RebuildMode, RebuildOptions, Rebuilt};
use crate::clock::Clock;
use crate::ids::Position;
use crate::lease::holder::holder_name;
use crate::projection::Logic;
use crate::store::{BeginOutcome, Generation, GenerationLogic, Lease, Store, StoreError};

/// Folds the log from its beginning into a new generation, compares that with the live one, and makes it live in
/// one transaction, or drops it again. Appending and following continue meanwhile.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn rebuild(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    stop: &CancellationToken,
    RebuildOptions { mode, listing, memory }: RebuildOptions,
    mut on_event: impl FnMut(RebuildEvent<'_>),
) -> Result<Rebuilt, RebuildError> {
    // First, because the new generation needs the space.
    store.read_model.abandoned_drop(clock.now()).await?;
    let (stored, log_id) = (stored_logic(logic), store.log.head().await?.log_id);
    let lease = begin(store, &stored, &log_id, clock).await?;
    let rebuilt = async {
        let mut leased = LeasedGeneration::new(store, lease.clone(), logic, clock);
        // The comparison takes its time, and so does the receiver of its events: meanwhile the lease must be renewed.
        leased.heartbeat.run_in_background();
        let mut build = Build::new(store, leased, clock, stop, &mut on_event);
        build.fold_at_once(memory).await?;
        build.catch_up().await?;
        let compared = tokio::select! {
            compared = compare(&mut build, listing) => compared,
            () = stop.cancelled() => Err(RebuildError::Stopped),
        };
        match &compared {
            Err(error @ (RebuildError::Store(_) | RebuildError::NotComparable(_)))
                if mode == RebuildMode::Swap =>
            {
                (build.on_event)(RebuildEvent::NotCompared(error));
            }
            _ => compared?,
        }
        if mode == RebuildMode::Swap {
            build.complete().await?;
        }
        Ok(build.end().await)
    }
    .await;
    if mode == RebuildMode::DryRun || rebuilt.is_err() {
        // Best effort: otherwise the sweep of a serving process or the next rebuild drops it.
        if let Err(error) = drop_own(store, &lease, clock).await {
            let id = lease.generation;
            tracing::warn!(%error, "generation {id} is not dropped yet: {error}");
        }
    }
    rebuilt
}

/// Begins a generation. A generation that an ended process was building is dropped first.
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

/// Drops the new generation, unless another process took it over.
async fn drop_own(store: &Store, lease: &Lease, clock: &Clock) -> Result<(), StoreError> {
    let model = &store.read_model;
    if renew(model, lease, clock).await? {
        model.generation_drop(lease.generation).await?;
    }
    Ok(())
}

/// Reason why the live generation cannot be followed and has to be rebuilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildReason {
    /// No generation is live.
    NoneLive,
    /// It was built from another log, or this log is an older backup.
    OtherLog,
    /// This program's logic differs and is not older.
    OtherLogic,
}

/// Reason to rebuild the live generation, if there is one. A pinned generation, or one of a newer fold, is not
/// replaced: without a person's command the logic only moves forwards.
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

/// True if this program has the logic that a generation was built with: the fold, the meaning of the policy, and
/// the tables.
pub fn can_fold(generation: &Generation) -> bool {
    logic_of(generation).is_ok_and(|logic| stored_logic(&logic) == generation.logic)
}
