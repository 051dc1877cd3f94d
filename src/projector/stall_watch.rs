//! Watch over the progress of the read model, beside whoever folds it.

use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::status::Status;
use crate::store::Log;

/// Time between two looks at the end of the log.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Time that a look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(5);

/// Looks at the end of the log again and again, until it is stopped, so that a read model that no longer moves is
/// noticed: also where the one who folds it hangs, is in another process, or never hears of an event.
pub(super) async fn watch_for_stalls(
    log: Log,
    status: watch::Sender<Status>,
    stop: CancellationToken,
) {
    let watching = async {
        loop {
            // A log that does not answer is told of by whoever asks it; what was known of it stands.
            if let Ok(Ok(head)) = tokio::time::timeout(LOOK_TIMEOUT, log.head()).await {
                status.send_if_modified(|status| {
                    status.log_reaches(head.size);
                    false
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = watching => {}
    }
}
