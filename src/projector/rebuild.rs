//! Rebuild: a new generation beside the live one, made from the states of the customers or from the log.

use tokio_util::sync::CancellationToken;

use super::LEASE_SECONDS;
use super::build::Build;
use super::compare::compare;
use super::generation::{LeasedGeneration, is_of_this_log, logic_of, stored_logic};
use super::heartbeat::renew;
use super::lease_watch::{claim, seems_held};
use super::rebuild_event::{RebuildError, RebuildEvent, RebuildMode, RebuildOptions, Rebuilt};
use super::rebuild_plan::{RebuildPlan, RebuildSource};
use crate::clock::Clock;
use crate::ids::Position;
use crate::lease::holder::holder_name;
use crate::projection::Logic;
use crate::projection::read_model::Projections;
use crate::store::{BeginOutcome, Generation, GenerationLogic, Lease, Store, StoreError};

/// Makes a new generation, compares it with the live one, and makes it live in one transaction, or drops it again.
/// Appending and following continue meanwhile.
///
/// If this program would fold the log into the same states as the live generation has, the rows are made from these
/// states. Otherwise the log is folded from its beginning.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn rebuild(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    stop: &CancellationToken,
    options: RebuildOptions,
    mut on_event: impl FnMut(RebuildEvent<'_>),
) -> Result<Rebuilt, RebuildError> {
    // First, because the new generation needs the space.
    store.read_model.abandoned_drop(clock.now()).await?;
    let plan = RebuildPlan::new(store, logic, options.from_log, options.read_model).await?;
    let made = make(store, logic, clock, stop, options, &plan, &mut on_event).await;
    match (&plan.source, made) {
        (
            RebuildSource::States { .. },
            Err(RebuildError::Store(
                StoreError::ReadModelDamaged(what) | StoreError::Corrupt(what),
            )),
        ) => {
            tracing::warn!("rows cannot be made from the states of the customers: {what}");
            let plan = plan.without_states();
            make(store, logic, clock, stop, options, &plan, &mut on_event).await
        }
        (_, made) => made,
    }
}

/// Makes a new generation as planned, and uses it.
async fn make(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    stop: &CancellationToken,
    RebuildOptions { mode, listing, memory, .. }: RebuildOptions,
    plan: &RebuildPlan,
    on_event: &mut impl FnMut(RebuildEvent<'_>),
) -> Result<Rebuilt, RebuildError> {
    let (stored, log_id) =
        (stored_logic(store.read_model.projections(), logic), store.log.head().await?.log_id);
    let lease = begin(store, plan, &stored, &log_id, clock).await?;
    on_event(RebuildEvent::Planned(plan));
    let rebuilt = async {
        let mut leased = LeasedGeneration::new(store, lease.clone(), logic, clock);
        // The comparison takes its time, and so does the receiver of its events: meanwhile the lease must be renewed.
        leased.heartbeat.run_in_background();
        let mut build = Build::new(store, leased, clock, stop, on_event);
        match &plan.source {
            RebuildSource::States { layer, customers, .. } => {
                build.make_rows(layer, *customers).await?;
            }
            RebuildSource::Log(_) => build.fold_at_once(memory).await?,
        }
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
    plan: &RebuildPlan,
    logic: &GenerationLogic,
    log_id: &str,
    clock: &Clock,
) -> Result<Lease, RebuildError> {
    let (model, holder) = (&store.read_model, holder_name());
    loop {
        let (now, seconds) = (clock.now(), LEASE_SECONDS);
        let over = plan.foundation();
        let begun = model.generation_begin(over.as_ref(), logic, log_id, &holder, now, seconds);
        let building = match begun.await? {
            BeginOutcome::Started(_, lease) => return Ok(lease),
            BeginOutcome::AlreadyBuilding(generation) => generation,
            BeginOutcome::LayerIsGone(_) => return Err(RebuildError::LayerGone),
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
    let ours = stored_logic(store.read_model.projections(), logic);
    let forwards = live.logic.fold_version <= ours.fold_version && !live.pinned;
    Ok((live.logic.fingerprint != ours.fingerprint && forwards)
        .then_some(RebuildReason::OtherLogic))
}

/// True if this program has the logic that a generation was built with: the fold, the meaning of the policy, and
/// the tables.
pub fn can_fold(projections: Projections, generation: &Generation) -> bool {
    logic_of(generation).is_ok_and(|logic| stored_logic(projections, &logic) == generation.logic)
}
