//! Stall watch: notices a read model that no longer moves while the log grows.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::status::Status;
use crate::store::Log;

/// Interval between reads of the log's head.
const READ_EVERY: Duration = Duration::from_secs(1);
/// Time limit of one read.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// Reads the log's head regularly until it is stopped. So a stalled read model is noticed even if the follower hangs,
/// is in another process, or never learns of an event.
pub(super) async fn watch_for_stalls(
    log: Log,
    status: watch::Sender<Status>,
    stop: CancellationToken,
) {
    let watching = async {
        loop {
            // A log that does not answer is reported elsewhere; the last known head stays.
            if let Ok(Ok(head)) = tokio::time::timeout(READ_TIMEOUT, log.head()).await {
                status.send_if_modified(|status| {
                    status.set_log_position(head.size);
                    false
                });
            }
            tokio::time::sleep(READ_EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watching => {}
    }
}
