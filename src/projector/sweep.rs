//! What rebuilds that were killed have left behind is dropped while somebody serves.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::LEASE_SECONDS;
use super::holder::{LeaseWatch, holder_name};
use crate::clock::Clock;
use crate::store::{GenerationStatus, Store, StoreError};
use crate::time::ReceivedAt;

/// Time without a sign of life of its maker after which a generation is dropped. Longer than making one of its
/// indexes takes, during which nobody can renew a lease.
const ABANDONED: Duration = Duration::from_mins(1);
/// How often it is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Drops generations that nobody makes any more, and gives their space back, until it is stopped: also
/// those that could not be dropped when they were given up, because the disk was full.
pub(super) async fn sweep(store: Store, clock: Clock, stop: CancellationToken) {
    let mut signs = LeaseWatch::default();
    let sweeping = async {
        loop {
            if let Err(error) = drop_abandoned(&store, &clock, &mut signs).await {
                tracing::warn!(%error, "an abandoned generation is not dropped yet: {error}");
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    };
    // Each step is a transaction of its own: what is left is dropped another time.
    tokio::select! {
        () = stop.cancelled() => {}
        () = sweeping => {}
    }
}

/// Drops those whose lease ended long ago, and those whose maker has shown no sign of life for as long while
/// this process watched.
async fn drop_abandoned(
    store: &Store,
    clock: &Clock,
    signs: &mut LeaseWatch,
) -> Result<(), StoreError> {
    let model = &store.read_model;
    for generation in model.generations().await? {
        let building = generation.status == GenerationStatus::Building;
        if building && signs.silent_for(&generation) >= ABANDONED {
            let (id, now) = (generation.id, clock.now());
            let silent = Some(generation.lease_until);
            let taken =
                model.lease_take_over(id, &holder_name(), now, LEASE_SECONDS, silent).await?;
            if taken.is_some() {
                model.generation_drop(id).await?;
            }
        }
    }
    let micros = i64::try_from(ABANDONED.as_micros()).unwrap_or(i64::MAX);
    model.abandoned_drop(ReceivedAt(clock.now().0 - micros)).await
}
