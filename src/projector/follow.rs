//! The follower: folds what arrives into the live generation, for as long as the process serves.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::generation::{Held, Step};
use super::rebuild::{self, Reason, RebuildError, can_fold, reason_to_rebuild};
use super::status::{FollowerState, ProjectorHandle, Status};
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::store::{Generation, Store, StoreError};

/// Other processes append too, and nobody tells us: how long it takes until we notice.
const POLL: Duration = Duration::from_millis(250);
/// How long to wait after a failure; it doubles up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(250);
const BACKOFF_MAX: Duration = Duration::from_secs(8);

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
        let status = watch::Sender::default();
        let handle = ProjectorHandle::new(&status);
        let stop = CancellationToken::new();
        let follower = Follower {
            appended: store.log.appended(),
            store,
            logic,
            clock,
            holder: holder_name(),
            status,
            stop: stop.clone(),
        };
        Self { handle, stop, task: tokio::spawn(follower.run()) }
    }

    /// A handle to ask for the status.
    pub fn handle(&self) -> ProjectorHandle {
        self.handle.clone()
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
                    tracing::error!(%error, "the read model could not be brought up to date: {error}");
                    let text = error.to_string();
                    self.status.send_modify(|status| status.state = FollowerState::Failing(text));
                    self.pause(backoff).await;
                    backoff = (backoff * 2).min(BACKOFF_MAX);
                }
            }
        }
        self.status.send_modify(|status| status.state = FollowerState::Stopped);
    }

    /// Follows one generation until it is no longer ours to follow.
    async fn follow(&mut self) -> Result<(), StoreError> {
        let live = self.store.read_model.live().await?;
        if let Some(reason) = reason_to_rebuild(&self.store, live.as_ref(), &self.logic).await? {
            return self.rebuild(reason).await;
        }
        let Some(live) = live else { return Ok(()) };
        self.show(&live).await?;
        if !can_fold(&live) {
            self.status.send_modify(|status| status.state = FollowerState::Standby);
            self.pause(POLL).await;
            return Ok(());
        }
        let taken = Held::take(&self.store, &live, &self.holder, &self.clock).await?;
        let Some(mut held) = taken else {
            self.status.send_modify(|status| status.state = FollowerState::Standby);
            self.pause(POLL).await;
            return Ok(());
        };
        self.status.send_modify(|status| status.state = FollowerState::Following);
        loop {
            // Marked before the scan, so that what is appended during it wakes the wait below.
            self.appended.mark_unchanged();
            if self.stop.is_cancelled() || !self.is_still_ours(&mut held).await? {
                held.release(&self.store).await;
                return Ok(());
            }
            let sender = &self.status;
            let seen = |first| sender.send_modify(|status| status.behind_since = Some(first));
            match held.step(&self.store, seen).await? {
                Step::Fenced => return Ok(()),
                Step::CaughtUp => {
                    self.status.send_modify(|status| status.behind_since = None);
                    self.wait_for_events().await;
                }
                Step::Folded { parked } => self.status.send_modify(|status| {
                    status.position = held.position;
                    status.parked += i64::try_from(parked).unwrap_or(i64::MAX);
                }),
            }
        }
    }

    async fn rebuild(&mut self, reason: Reason) -> Result<(), StoreError> {
        tracing::info!(?reason, "making the read model anew from the log");
        if reason == Reason::OtherLog {
            // Its rows are of another history: no answer is better than those.
            self.store.read_model.generations_clear().await?;
        }
        self.status.send_modify(|status| status.state = FollowerState::Building);
        let progress = |progress: rebuild::Progress| {
            let done_of_total = Some((progress.done, progress.total));
            self.status.send_modify(|status| status.rebuilding = done_of_total);
        };
        let rebuilt =
            rebuild::rebuild(&self.store, &self.logic, &self.clock, &self.stop, progress).await;
        self.status.send_modify(|status| status.rebuilding = None);
        match rebuilt {
            Ok(rebuilt) => {
                let (generation, events) = (rebuilt.generation, rebuilt.position.0);
                tracing::info!(generation, events, "generation {generation} is live");
                Ok(())
            }
            Err(RebuildError::Stopped) => Ok(()),
            // Somebody else is at it; theirs will be as good.
            Err(RebuildError::AlreadyRunning { .. } | RebuildError::TakenOver(_)) => {
                self.pause(POLL).await;
                Ok(())
            }
            Err(RebuildError::Store(error)) => Err(error),
        }
    }

    /// Whether the held generation is still live and its lease still ours.
    async fn is_still_ours(&self, held: &mut Held) -> Result<bool, StoreError> {
        let live = self.store.read_model.live().await?;
        Ok(live.is_some_and(|live| live.id == held.generation)
            && held.renew(&self.store, &self.holder, &self.clock).await?)
    }

    async fn show(&self, live: &Generation) -> Result<(), StoreError> {
        let parked = self.store.read_model.parked_count(live.id).await?;
        self.status.send_modify(|status| {
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

/// A name for this process that no other has.
pub(super) fn holder_name() -> String {
    let mut random = [0; 8];
    // Without randomness the process id has to do: leases are fenced by token, not by name.
    let _ = getrandom::fill(&mut random);
    format!("{}-{}", std::process::id(), hex::encode(random))
}
