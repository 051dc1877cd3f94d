//! Wait until the read model has folded the log, by this process or by a service that runs beside it.

use std::time::Duration;

use crate::clock::Clock;
use crate::projection::Logic;
use crate::projector::{self, Projector, can_fold};
use crate::store::{Generation, GenerationStatus, Store, StoreError};

/// Interval between two checks.
const POLL: Duration = Duration::from_millis(5);
/// Time without any progress of the fold, after which it is taken for stalled.
const STALLED: Duration = Duration::from_mins(2);

/// Wait for the fold, with a follower that folds meanwhile unless a service does it.
#[derive(Debug)]
pub struct FoldWait {
    store: Store,
    /// None if a service folds the log.
    projector: Option<Projector>,
}

impl FoldWait {
    /// Starts to follow the log by the logic of the live generation, or by `logic` if there is none yet.
    ///
    /// A running service may use another policy: a backfill must not rebuild the read model with its own.
    pub async fn start(store: &Store, logic: Logic, clock: Clock) -> Result<Self, StoreError> {
        let logic = match store.read_model.live().await? {
            Some(live) => projector::logic_of(&live)?,
            None => logic,
        };
        let projector = Projector::start(store.clone(), logic, clock);
        Ok(Self { store: store.clone(), projector: Some(projector) })
    }

    /// Waits for the follower of a service, and folds nothing itself.
    pub fn beside_service(store: &Store) -> Self {
        Self { store: store.clone(), projector: None }
    }

    /// Waits until the live generation has folded every event that the log has now.
    pub async fn caught_up(&self) -> Result<(), StoreError> {
        let head = self.store.log.head().await?.size;
        let mut last = None;
        let mut since_progress = Clock::stopwatch();
        loop {
            let live = self.store.read_model.live().await?;
            let projections = self.store.read_model.projections();
            let folded = |live: &Generation| can_fold(projections, live) && live.position >= head;
            if live.as_ref().is_some_and(folded) {
                return Ok(());
            }
            let position = live.map(|live| live.position);
            if position != last {
                (last, since_progress) = (position, Clock::stopwatch());
            }
            if since_progress.elapsed() > STALLED && !self.is_rebuilding().await? {
                return Err(StoreError::ReadModelBuilding);
            }
            tokio::time::sleep(POLL).await;
        }
    }

    async fn is_rebuilding(&self) -> Result<bool, StoreError> {
        let generations = self.store.read_model.generations().await?;
        Ok(generations.iter().any(|it| it.status == GenerationStatus::Building))
    }

    /// Stops to follow.
    pub async fn stop(self) {
        if let Some(projector) = self.projector {
            projector.stop().await;
        }
    }
}
