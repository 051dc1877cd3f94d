//! What rebuilds that were killed have left behind is dropped while somebody serves.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::store::Store;
use crate::time::ReceivedAt;

/// For how long nobody has held a generation that is dropped. Longer than making one of its indexes takes,
/// during which nobody can renew a lease.
const ABANDONED_SECONDS: i64 = 60;
/// How often it is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// Drops generations that nobody makes any more, and gives their space back, until it is stopped: also
/// those that could not be dropped when they were given up, because the disk was full.
pub(super) async fn sweep(store: Store, clock: Clock, stop: CancellationToken) {
    let sweeping = async {
        loop {
            let since = ReceivedAt(clock.now().0 - ABANDONED_SECONDS * 1_000_000);
            if let Err(error) = store.read_model.abandoned_drop(since).await {
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
