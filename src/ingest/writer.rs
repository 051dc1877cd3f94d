//! The one task that appends.

use std::sync::Arc;

use super::queue::{Queue, Waiting};
use super::{Refused, Stats};
use crate::clock::Clock;
use crate::store::Log;

/// Appends batch after batch until the queue is closed and empty.
pub(super) async fn run(log: Log, queue: Arc<Queue>, stats: Arc<Stats>) {
    let queue = AbandonOnDrop(queue);
    while let Some(batch) = queue.0.take().await {
        let (events, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Waiting { event, answer }| (event, answer)).unzip();
        let stopwatch = Clock::stopwatch();
        match log.append(&events).await {
            Ok(appended) => {
                stats.commit(&appended, stopwatch.elapsed());
                for (answer, appended) in answers.into_iter().zip(appended) {
                    // Whoever asked may have hung up; the event is stored all the same.
                    let _ = answer.send(Ok(appended));
                }
            }
            Err(error) => {
                stats.fail(events.len(), stopwatch.elapsed());
                tracing::error!(
                    events = events.len(),
                    error = &error as &dyn std::error::Error,
                    "could not append {} events",
                    events.len(),
                );
                for answer in answers {
                    let _ = answer.send(Err(Refused::Unavailable));
                }
            }
        }
    }
}

/// However the writer ends, nobody waits for it for ever.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
