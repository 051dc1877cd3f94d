//! A rebuild that a follower runs beside its work.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::diff::DiffEvent;
use super::progress::{RebuildStatus, grouped, rate};
use super::rebuild::{self, RebuildError, RebuildEvent, RebuildOptions};
use super::status::Status;
use crate::clock::Clock;
use crate::projection::Logic;
use crate::store::{GenerationId, Store, StoreError};

/// How often the log says how it goes.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// A rebuild that runs.
#[derive(Debug)]
pub(super) struct BackgroundRebuild {
    task: JoinHandle<Result<(), RebuildError>>,
    stop: CancellationToken,
}

impl BackgroundRebuild {
    /// Begins after a pause; `status` hears how it goes.
    pub(super) fn start(
        store: Store,
        logic: Logic,
        clock: Clock,
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
            let mut told = Duration::ZERO;
            let tell = |what: RebuildEvent<'_>| match what {
                RebuildEvent::Progress(progress) => {
                    let rebuilding = RebuildStatus::from(progress);
                    status.send_modify(|status| status.rebuilding = Some(rebuilding));
                    if progress.elapsed >= told + TELL_EVERY {
                        told = progress.elapsed;
                        let RebuildStatus { events_done, events_total, parked, .. } = rebuilding;
                        tracing::info!(events_done, events_total, parked, "{rebuilding}");
                    }
                }
                RebuildEvent::Difference(DiffEvent::Summary(summary)) => {
                    tracing::info!("{summary}")
                }
                RebuildEvent::Difference(DiffEvent::Subscription(_)) => {}
                RebuildEvent::NotCompared(error) => {
                    tracing::warn!(%error, "the new generation could not be compared: {error}");
                }
            };
            let rebuilt =
                rebuild::rebuild(&store, &logic, &clock, &stopped, RebuildOptions::SWAP, tell)
                    .await?;
            let (generation, events, parked) =
                (rebuilt.generation, rebuilt.position.0, rebuilt.parked);
            tracing::info!(
                generation,
                events,
                parked,
                "generation {generation} is live: {} events in {:.1?}, {} events/s, {parked} could \
                 not be folded",
                grouped(events),
                rebuilt.elapsed,
                grouped(rate(events, rebuilt.elapsed)),
            );
            Ok(())
        });
        Self { task, stop }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Gives up what it makes, because a person has chosen a generation meanwhile.
    pub(super) fn stop(&self, chosen: GenerationId) {
        if !self.stop.is_cancelled() {
            tracing::info!(
                generation = chosen,
                "generation {chosen} was activated: the rebuild is given up"
            );
            self.stop.cancel();
        }
    }

    /// Waits for the end.
    pub(super) async fn ended(self) -> Result<Result<(), RebuildError>, StoreError> {
        self.task.await.map_err(|error| StoreError::Internal(error.into()))
    }
}
