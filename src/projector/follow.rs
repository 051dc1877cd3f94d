//! Follower: folds new events into the live generation as long as the process serves.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::background::BackgroundRebuild;
use super::generation::{FoldStep, LeasedGeneration, stored_logic};
use super::lease_watch::LeaseWatch;
use super::live_watch::LiveWatch;
use super::memory::MemoryLimit;
use super::progress::RebuildStatus;
use super::rebuild::{RebuildReason, can_fold, reason_to_rebuild};
use super::rebuild_event::RebuildError;
use super::repair::repair_if_damaged;
use super::stall_watch::watch_for_stalls;
use super::status::{FollowerState, ProjectorHandle, Status};
use super::sweep::sweep;
use crate::clock::Clock;
use crate::ids::Position;
use crate::lease::holder::{SILENCE, holder_name};
use crate::projection::Logic;
use crate::store::{Generation, Store, StoreError};

/// Interval between checks for events that other processes appended.
const POLL: Duration = Duration::from_millis(250);
/// Pause after a failure. It doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// Pause between a failed rebuild and the next. It doubles, too: a rebuild that fills the disk takes space from the
/// log as long as it runs.
const REBUILD_PAUSE_MIN: Duration = Duration::from_secs(1);
const REBUILD_PAUSE_MAX: Duration = Duration::from_mins(30);

/// Running follower.
#[derive(Debug)]
pub struct Projector {
    handle: ProjectorHandle,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Projector {
    /// Starts to follow the log in the background. If there is no generation of this log and this logic, it is
    /// built first.
    pub fn start(store: Store, logic: Logic, clock: Clock) -> Self {
        Self::start_within(MemoryLimit::DEFAULT, store, logic, clock)
    }

    /// Like [`Self::start`], with a limit on the memory of rebuilds.
    pub fn start_within(memory: MemoryLimit, store: Store, logic: Logic, clock: Clock) -> Self {
        let status = watch::Sender::<Status>::default();
        let handle = ProjectorHandle::new(&status, logic.clone());
        let stop = CancellationToken::new();
        let failing = status.clone();
        let follower = Follower {
            appended: store.log.appended(),
            store,
            logic,
            clock,
            memory,
            holder: holder_name(),
            lease_watch: LeaseWatch::default(),
            live_watch: LiveWatch::default(),
            is_logic_checked: false,
            rebuild: None,
            rebuild_pause: Duration::ZERO,
            status,
            stop: stop.clone(),
        };
        let sweeping = sweep(follower.store.clone(), follower.clock.clone(), stop.clone());
        let progress = watch_for_stalls(follower.store.log.clone(), failing.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let (sweeping, progress) = (tokio::spawn(sweeping), tokio::spawn(progress));
            let ended = tokio::try_join!(tokio::spawn(follower.run()), sweeping, progress);
            // A follower that ended by a defect must not look like one that works.
            if let Err(error) = ended {
                tracing::error!(%error, "the follower stopped unexpectedly: {error}");
                failing.send_modify(|status| status.state = FollowerState::Failing);
            }
        });
        Self { handle, stop, task }
    }

    /// Handle to read the status.
    pub fn handle(&self) -> ProjectorHandle {
        self.handle.clone()
    }

    /// True if it ended without being stopped.
    pub fn has_failed(&self) -> bool {
        self.task.is_finished() && !self.stop.is_cancelled()
    }

    /// Finishes the current batch and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the follower stopped unexpectedly: {error}");
        }
    }
}

struct Follower {
    store: Store,
    logic: Logic,
    clock: Clock,
    /// Limit on the memory of a rebuild.
    memory: MemoryLimit,
    holder: String,
    lease_watch: LeaseWatch,
    live_watch: LiveWatch,
    /// True once this process has compared its logic with that of the live generation. It does so only when it starts: a
    /// generation that becomes live later, by a rebuild with another policy, stays.
    is_logic_checked: bool,
    /// Rebuild that this process runs.
    rebuild: Option<BackgroundRebuild>,
    /// Pause before the next rebuild, after a failed one.
    rebuild_pause: Duration,
    appended: watch::Receiver<Position>,
    status: watch::Sender<Status>,
    stop: CancellationToken,
}

impl Follower {
    async fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        while !self.stop.is_cancelled() {
            match self.follow().await {
                Ok(()) => backoff = BACKOFF_MIN,
                Err(error) => {
                    match repair_if_damaged(&self.store, Some(&error)).await {
                        Ok(true) => continue,
                        Ok(false) => {}
                        Err(error) => {
                            tracing::error!(%error, "the read model stays damaged: {error}");
                        }
                    }
                    tracing::error!(%error, "the read model cannot be updated: {error}");
                    self.set_state(FollowerState::Failing);
                    self.pause(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
        // The rebuild gets the stop by itself, and drops its generation.
        if let Some(rebuild) = self.rebuild.take() {
            let _ = rebuild.ended().await;
        }
        self.set_state(FollowerState::Stopped);
    }

    /// Follows one generation until this process no longer may.
    async fn follow(&mut self) -> Result<(), StoreError> {
        if self.rebuild.as_ref().is_some_and(BackgroundRebuild::has_ended) {
            self.finish_rebuild().await?;
        }
        if self.store.read_model.has_damage_report() {
            self.set_state(FollowerState::Failing);
            repair_if_damaged(&self.store, None).await?;
        }
        let live = self.store.read_model.live().await?;
        if self.rebuild.is_none() {
            match reason_to_rebuild(&self.store, live.as_ref(), &self.logic).await? {
                // Its rows may be the last record of what was paid: only a person drops them.
                Some(RebuildReason::OtherLog) => return Err(StoreError::OtherLog),
                Some(RebuildReason::OtherLogic) if self.is_logic_checked => {}
                Some(reason) => {
                    if let Some(live) =
                        live.as_ref().filter(|_| reason == RebuildReason::OtherLogic)
                    {
                        self.live_watch.warn_of_rebuild(
                            live,
                            &stored_logic(self.store.read_model.projections(), &self.logic),
                        );
                    }
                    self.start_rebuild(reason).await?;
                }
                None => self.log_skipped_rebuild(live.as_ref()),
            }
        }
        // During a rebuild the live generation is followed, if there is one.
        let Some(live) = self.store.read_model.live().await? else {
            return self.finish_rebuild().await;
        };
        self.publish_status(&live).await?;
        self.respect_pin(&live);
        if !can_fold(self.store.read_model.projections(), &live) {
            self.set_state(FollowerState::Frozen);
            self.pause(POLL).await;
            return Ok(());
        }
        let has_ended = self.lease_watch.silent_for(&live) >= SILENCE;
        let acquired =
            LeasedGeneration::acquire(&self.store, &live, &self.holder, &self.clock, has_ended)
                .await?;
        let Some(mut leased) = acquired else {
            self.set_state(FollowerState::Standby);
            self.pause(POLL).await;
            return Ok(());
        };
        self.set_state(FollowerState::Following);
        let mut has_folded = false;
        loop {
            // Marked before the scan, so that an append during it ends the wait below.
            self.appended.mark_unchanged();
            let rebuilt = self.rebuild.as_ref().is_some_and(BackgroundRebuild::has_ended);
            let is_ended = rebuilt || self.stop.is_cancelled();
            let is_damage_reported = self.store.read_model.has_damage_report();
            if is_ended || is_damage_reported || !self.is_still_ours(&mut leased).await? {
                leased.release(&self.store).await;
                return Ok(());
            }
            let sender = &self.status;
            let seen = |first| sender.send_modify(|status| status.behind_since = Some(first));
            match leased.step(&self.store, seen).await? {
                FoldStep::Fenced => return Ok(()),
                FoldStep::CaughtUp => {
                    if std::mem::take(&mut has_folded) {
                        self.count_parked_customers(&live).await?;
                    }
                    self.status.send_modify(|status| status.behind_since = None);
                    self.wait_for_events().await;
                }
                FoldStep::Folded { parked } => {
                    has_folded = true;
                    self.status.send_modify(|status| {
                        status.position = leased.position;
                        status.parked += i64::try_from(parked).unwrap_or(i64::MAX);
                    });
                }
            }
        }
    }

    /// Starts to build a generation of this process's logic in the background.
    async fn start_rebuild(&mut self, reason: RebuildReason) -> Result<(), StoreError> {
        tracing::info!("rebuilding the read model: {reason}");
        let events_total = self.store.log.head().await?.size.0;
        self.status.send_modify(|status| {
            if reason != RebuildReason::OtherLogic {
                status.state = FollowerState::Building;
            }
            let begins_now = self.rebuild_pause.is_zero();
            status.rebuilding =
                begins_now.then(|| RebuildStatus { events_total, ..RebuildStatus::default() });
        });
        self.is_logic_checked = true;
        let (store, logic, clock) = (self.store.clone(), self.logic.clone(), self.clock.clone());
        let (stop, status) = (self.stop.child_token(), self.status.clone());
        let (memory, pause) = (self.memory, self.rebuild_pause);
        self.rebuild =
            Some(BackgroundRebuild::start(store, logic, clock, memory, pause, stop, status));
        Ok(())
    }

    /// Waits for the end of the rebuild, if there is one, and handles its result.
    async fn finish_rebuild(&mut self) -> Result<(), StoreError> {
        let Some(rebuild) = self.rebuild.take() else { return Ok(()) };
        let ended = rebuild.ended().await?;
        self.rebuild_pause = match &ended {
            Err(RebuildError::Store(error)) if !matches!(error, StoreError::Superseded { .. }) => {
                (self.rebuild_pause * 2).clamp(REBUILD_PAUSE_MIN, REBUILD_PAUSE_MAX)
            }
            _ => Duration::ZERO,
        };
        match ended {
            // A failed comparison does not prevent the swap.
            Ok(()) | Err(RebuildError::Stopped | RebuildError::NotComparable(_)) => Ok(()),
            Err(RebuildError::Store(error @ StoreError::Superseded { .. })) => {
                tracing::info!("{error}");
                Ok(())
            }
            // Another process rebuilds; its result has to be compared again.
            Err(
                RebuildError::AlreadyRunning { .. }
                | RebuildError::TakenOver(_)
                | RebuildError::LayerGone,
            ) => {
                self.is_logic_checked = false;
                self.pause(POLL).await;
                Ok(())
            }
            Err(RebuildError::Store(error)) => {
                self.is_logic_checked = false;
                Err(error)
            }
        }
    }

    /// Logs once why the live generation is not replaced although it has other logic.
    fn log_skipped_rebuild(&mut self, live: Option<&Generation>) {
        let ours = stored_logic(self.store.read_model.projections(), &self.logic).fingerprint;
        let other = live.filter(|live| !self.is_logic_checked && live.logic.fingerprint != ours);
        if let Some(generation) = other.map(|live| live.id) {
            tracing::warn!(
                generation,
                "generation {generation} was built with other logic than this program's, and is pinned or \
                 newer: it stays live; run `subledger rebuild` to replace it"
            );
        }
        self.is_logic_checked = true;
    }

    /// Stops the rebuild if the live generation is pinned: a person chose it.
    fn respect_pin(&self, live: &Generation) {
        if let Some(rebuild) = self.rebuild.as_ref().filter(|_| live.pinned) {
            rebuild.stop(live.id);
        }
    }

    fn set_state(&self, state: FollowerState) {
        self.status.send_modify(|status| status.state = state);
    }

    /// True if the leased generation is still live and this process still has its lease.
    async fn is_still_ours(&self, leased: &mut LeasedGeneration) -> Result<bool, StoreError> {
        let live = self.store.read_model.live().await?;
        if let Some(live) = &live {
            self.respect_pin(live);
        }
        Ok(live.is_some_and(|live| live.id == leased.generation) && leased.heartbeat.beat().await?)
    }

    async fn count_parked_customers(&self, live: &Generation) -> Result<(), StoreError> {
        let count = self.store.read_model.parked_customer_count(live).await?;
        self.status.send_modify(|status| status.parked_customers = count);
        Ok(())
    }

    async fn publish_status(&mut self, live: &Generation) -> Result<(), StoreError> {
        let own = self.status.borrow().rebuilding.and_then(|it| it.generation);
        self.live_watch.see(live, own);
        let parked = self.store.read_model.parked_count(live.id).await?;
        self.count_parked_customers(live).await?;
        let rebuilding = self.rebuild.is_some();
        self.status.send_modify(|status| {
            // Together with the live generation: a caller that waits for a rebuild waits for its rows.
            status.rebuilding = status.rebuilding.filter(|_| rebuilding);
            status.generation = Some(live.id);
            status.fingerprint.clone_from(&live.logic.fingerprint);
            status.position = live.position;
            status.parked = parked;
        });
        Ok(())
    }

    async fn wait_for_events(&mut self) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            _ = self.appended.changed() => {}
            () = tokio::time::sleep(POLL) => {}
        }
    }

    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }
}
