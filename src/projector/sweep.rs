//! Sweep: a serving process drops the generations that killed rebuilds have left behind.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::LEASE_SECONDS;
use super::lease_watch::LeaseWatch;
use crate::clock::Clock;
use crate::lease::holder::holder_name;
use crate::store::{GenerationStatus, Store, StoreError};
use crate::time::ReceivedAt;

/// Time without a change of its lease after which a generation is dropped. Longer than the creation of an index, during
/// which a lease cannot be renewed.
const ABANDONED: Duration = Duration::from_mins(1);
/// Interval between sweeps.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Drops abandoned generations and frees their space, until it is stopped. Among them are those that could not be
/// dropped at the end of their rebuild because the disk was full.
pub(super) async fn sweep(store: Store, clock: Clock, stop: CancellationToken) {
    let mut watch = LeaseWatch::default();
    let sweeping = async {
        loop {
            if let Err(error) = drop_abandoned(&store, &clock, &mut watch).await {
                tracing::warn!(%error, "an abandoned generation is not dropped yet: {error}");
            }
            tokio::time::sleep(SWEEP_EVERY).await;
        }
    };
    // Each step is a transaction of its own: the rest is dropped another time.
    tokio::select! {
        () = stop.cancelled() => {}
        () = sweeping => {}
    }
}

/// Drops the generations whose lease ended long ago, and those whose lease has not changed for as long while this
/// process watched.
async fn drop_abandoned(
    store: &Store,
    clock: &Clock,
    watch: &mut LeaseWatch,
) -> Result<(), StoreError> {
    let model = &store.read_model;
    for generation in model.generations().await? {
        let building = generation.status == GenerationStatus::Building;
        if building && watch.silent_for(&generation) >= ABANDONED {
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
