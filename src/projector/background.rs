//! Background rebuild: a rebuild that a follower runs beside its work.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::diff::DiffEvent;
use super::memory::MemoryLimit;
use super::progress::RebuildStatus;
use super::rebuild::rebuild;
use super::rebuild_event::{RebuildError, RebuildEvent, RebuildOptions};
use super::status::Status;
use crate::clock::Clock;
use crate::projection::Logic;
use crate::store::{GenerationId, Store, StoreError};

/// Interval between log lines about the progress.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// Running background rebuild.
#[derive(Debug)]
pub(super) struct BackgroundRebuild {
    task: JoinHandle<Result<(), RebuildError>>,
    stop: CancellationToken,
}

impl BackgroundRebuild {
    /// Starts after a pause. `status` gets the progress.
    pub(super) fn start(
        store: Store,
        logic: Logic,
        clock: Clock,
        memory: MemoryLimit,
        pause: Duration,
        stop: CancellationToken,
        status: watch::Sender<Status>,
    ) -> Self {
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                () = stopped.cancelled() => return Err(RebuildError::Stopped),
                () = tokio::time::sleep(pause) => {}
            }
            let mut logged = Duration::ZERO;
            let on_event = |event: RebuildEvent<'_>| match event {
                RebuildEvent::Planned(plan) => tracing::info!("{plan}"),
                RebuildEvent::Progress(progress) => {
                    let rebuilding = RebuildStatus::from(progress);
                    status.send_modify(|status| status.rebuilding = Some(rebuilding));
                    if progress.elapsed >= logged + LOG_EVERY {
                        logged = progress.elapsed;
                        let RebuildStatus { events_done, events_total, parked, .. } = rebuilding;
                        tracing::info!(events_done, events_total, parked, "{rebuilding}");
                    }
                }
                RebuildEvent::Difference(DiffEvent::Summary(summary)) => {
                    tracing::info!("{summary}");
                }
                RebuildEvent::Difference(DiffEvent::Subscription(_)) => {}
                RebuildEvent::NotCompared(error) => {
                    tracing::warn!(%error, "the new generation could not be compared: {error}");
                }
            };
            let options = RebuildOptions { memory, ..RebuildOptions::SWAP };
            let rebuilt = rebuild(&store, &logic, &clock, &stopped, options, on_event).await?;
            let (generation, events, parked) =
                (rebuilt.generation, rebuilt.position.0, rebuilt.parked);
            tracing::info!(
                generation,
                events,
                parked,
                "generation {generation} is live: {rebuilt}",
            );
            Ok(())
        });
        Self { task, stop }
    }

    /// True if it has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Stops it, because a person activated a generation meanwhile.
    pub(super) fn stop(&self, activated: GenerationId) {
        if !self.stop.is_cancelled() {
            tracing::info!(
                generation = activated,
                "generation {activated} was activated: the rebuild is stopped"
            );
            self.stop.cancel();
        }
    }

    /// Waits for its end.
    pub(super) async fn ended(self) -> Result<Result<(), RebuildError>, StoreError> {
        self.task.await.map_err(|error| StoreError::Internal(error.into()))
    }
}
