//! The follower: folds what arrives into the live generation, for as long as the process serves.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::background::BackgroundRebuild;
use super::generation::{FoldStep, LeasedGeneration};
use super::holder::{LeaseWatch, SILENCE, holder_name};
use super::progress::RebuildStatus;
use super::rebuild::{RebuildError, RebuildReason, can_fold, reason_to_rebuild};
use super::repair::repair_if_damaged;
use super::stall_watch::watch_for_stalls;
use super::status::{FollowerState, ProjectorHandle, Status};
use super::sweep::sweep;
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::store::{Generation, ReadModel, Store, StoreError};

/// Other processes append too, and nobody tells us: how long it takes until we notice.
const POLL: Duration = Duration::from_millis(250);
/// How long to wait after a failure; it doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(8);
/// How long a rebuild waits after one that failed; it doubles, too. One that fills the disk takes the
/// log's room for as long as it lasts.
const REBUILD_PAUSE_MIN: Duration = Duration::from_secs(1);
const REBUILD_PAUSE_MAX: Duration = Duration::from_mins(30);

/// A follower that runs.
#[derive(Debug)]
pub struct Projector {
    handle: ProjectorHandle,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Projector {
    /// Starts to follow the log in the background: first makes a generation if there is none, or
    /// none of this log and this logic.
    pub fn start(store: Store, logic: Logic, clock: Clock) -> Self {
        let status = watch::Sender::<Status>::default();
        let handle = ProjectorHandle::new(&status);
        let stop = CancellationToken::new();
        let last_word = status.clone();
        let follower = Follower {
            appended: store.log.appended(),
            store,
            logic,
            clock,
            holder: holder_name(),
            signs: LeaseWatch::default(),
            is_logic_checked: false,
            rebuild: None,
            rebuild_pause: Duration::ZERO,
            status,
            stop: stop.clone(),
        };
        let sweeping = sweep(follower.store.clone(), follower.clock.clone(), stop.clone());
        let progress =
            watch_for_stalls(follower.store.log.clone(), last_word.clone(), stop.clone());
        let task = tokio::spawn(async move {
            let (sweeping, progress) = (tokio::spawn(sweeping), tokio::spawn(progress));
            let ended = tokio::try_join!(tokio::spawn(follower.run()), sweeping, progress);
            // A defect must not look like a follower that follows.
            if let Err(error) = ended {
                tracing::error!(%error, "the follower of the log ended badly: {error}");
                last_word.send_modify(|status| status.state = FollowerState::Failing);
            }
        });
        Self { handle, stop, task }
    }

    /// A handle to ask for the status.
    pub fn handle(&self) -> ProjectorHandle {
        self.handle.clone()
    }

    /// True if it ended although nobody stopped it.
    pub fn has_failed(&self) -> bool {
        self.task.is_finished() && !self.stop.is_cancelled()
    }

    /// Finishes the batch at hand and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the follower ended badly: {error}");
        }
    }
}

struct Follower {
    store: Store,
    logic: Logic,
    clock: Clock,
    holder: String,
    signs: LeaseWatch,
    /// Whether this process has compared its logic with the live generation's. It does so once, when
    /// it starts: what somebody makes live afterwards, by a rebuild with another policy, stays.
    is_logic_checked: bool,
    /// A rebuild that this process runs.
    rebuild: Option<BackgroundRebuild>,
    /// How long the next one waits, because the last one failed.
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
                    tracing::error!(%error, "the read model could not be brought up to date: {error}");
                    self.state(FollowerState::Failing);
                    self.pause(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
        // It hears of the stop by itself, and drops what it has made.
        if let Some(rebuild) = self.rebuild.take() {
            let _ = rebuild.ended().await;
        }
        self.state(FollowerState::Stopped);
    }

    /// Follows one generation until it is no longer ours to follow.
    async fn follow(&mut self) -> Result<(), StoreError> {
        if self.rebuild.as_ref().is_some_and(BackgroundRebuild::has_ended) {
            self.finish_rebuild().await?;
        }
        if self.store.read_model.has_damage_report() {
            self.state(FollowerState::Failing);
            repair_if_damaged(&self.store, None).await?;
        }
        let live = self.store.read_model.live().await?;
        if self.rebuild.is_none() {
            match reason_to_rebuild(&self.store, live.as_ref(), &self.logic).await? {
                // Its rows may be all that is left of what was paid: only a person drops them.
                Some(RebuildReason::OtherLog) => return Err(StoreError::OtherLog),
                Some(RebuildReason::OtherLogic) if self.is_logic_checked => {}
                Some(reason) => self.start_rebuild(reason).await?,
                None => self.log_skipped_rebuild(live.as_ref()),
            }
        }
        // While another generation is made beside it, the live one is followed, if there is one.
        let Some(live) = self.store.read_model.live().await? else {
            return self.finish_rebuild().await;
        };
        self.show(&live).await?;
        self.respect_pin(&live);
        if !can_fold(&live) {
            self.state(FollowerState::Frozen);
            self.pause(POLL).await;
            return Ok(());
        }
        let has_ended = self.signs.silent_for(&live) >= SILENCE;
        let taken =
            LeasedGeneration::take(&self.store, &live, &self.holder, &self.clock, has_ended)
                .await?;
        let Some(mut leased) = taken else {
            self.state(FollowerState::Standby);
            self.pause(POLL).await;
            return Ok(());
        };
        self.state(FollowerState::Following);
        loop {
            // Marked before the scan, so that what is appended during it wakes the wait below.
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
                    self.status.send_modify(|status| status.behind_since = None);
                    self.wait_for_events().await;
                }
                FoldStep::Folded { parked } => self.status.send_modify(|status| {
                    status.position = leased.position;
                    status.parked += i64::try_from(parked).unwrap_or(i64::MAX);
                }),
            }
        }
    }

    /// Begins to make a generation of this process's logic, in the background.
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
        let pause = self.rebuild_pause;
        self.rebuild = Some(BackgroundRebuild::start(store, logic, clock, pause, stop, status));
        Ok(())
    }

    /// Waits for the end of a rebuild, where there is one, and takes note of it.
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
            // A comparison that fails does not end a swap.
            Ok(()) | Err(RebuildError::Stopped | RebuildError::NotComparable(_)) => Ok(()),
            Err(RebuildError::Store(error @ StoreError::Superseded { .. })) => {
                tracing::info!("{error}");
                Ok(())
            }
            // Somebody else is at it; what they make will be is_logic_checked.
            Err(RebuildError::AlreadyRunning { .. } | RebuildError::TakenOver(_)) => {
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

    /// Takes note that the live generation is not replaced, once, and tells why where that is not plain.
    fn log_skipped_rebuild(&mut self, live: Option<&Generation>) {
        let ours = self.logic.fingerprint(ReadModel::SCHEMA);
        let other = live.filter(|live| !self.is_logic_checked && live.logic.fingerprint != ours);
        if let Some(generation) = other.map(|live| live.id) {
            tracing::warn!(
                generation,
                "generation {generation} was made by other logic than this program's, and is pinned or \
                 newer: it is left as it is; `subledger rebuild` makes another one"
            );
        }
        self.is_logic_checked = true;
    }

    /// What a person has pinned is not replaced by what this process makes of its own accord.
    fn respect_pin(&self, live: &Generation) {
        if let Some(rebuild) = self.rebuild.as_ref().filter(|_| live.pinned) {
            rebuild.stop(live.id);
        }
    }

    fn state(&self, state: FollowerState) {
        self.status.send_modify(|status| status.state = state);
    }

    /// Whether the leased generation is still live and its lease still ours.
    async fn is_still_ours(&self, leased: &mut LeasedGeneration) -> Result<bool, StoreError> {
        let live = self.store.read_model.live().await?;
        if let Some(live) = &live {
            self.respect_pin(live);
        }
        Ok(live.is_some_and(|live| live.id == leased.generation)
            && leased.renew(&self.store, &self.clock).await?)
    }

    async fn show(&self, live: &Generation) -> Result<(), StoreError> {
        let parked = self.store.read_model.parked_count(live.id).await?;
        let rebuilding = self.rebuild.is_some();
        self.status.send_modify(|status| {
            // Only together with what is live now: whoever waits for a rebuild waits for its rows.
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
