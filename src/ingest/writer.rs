//! Writer: the only task that appends received events.

use std::sync::Arc;
use std::time::Duration;

use super::queue::{Answer, Pending, Queue};
use super::{Stats, SubmitError};
use crate::clock::Clock;
use crate::store::{Appended, Log, NewEvent, StoreError};

/// Time limit of one append. A dead connection does not report itself, so an append that takes longer is given up.
/// Its events are answered as not stored, and Stripe sends them again.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of events of a failed batch that are tried one by one if none of them can be stored.
const SINGLE_TRIES_MAX: usize = 8;

/// Appends batch after batch until the queue is closed and empty.
pub(super) async fn run(log: Log, queue: Arc<Queue>, stats: Arc<Stats>) {
    let queue = AbandonOnDrop(queue);
    while let Some(batch) = queue.0.take().await {
        let (events, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Pending { event, answer, .. }| (event, answer)).unzip();
        match append(&log, &stats, &events).await {
            Ok(appended) => {
                for (answer, appended) in answers.into_iter().zip(appended) {
                    reply(answer, Some(appended));
                }
            }
            // The database answers, but rejects this batch.
            Err(error) if !error.is_unavailable() && events.len() > 1 => {
                append_one_by_one(&log, &stats, &events, answers).await;
            }
            Err(_) => {
                // Events that have waited as long would only wait for the next failure.
                let expired = queue.0.take_older(APPEND_TIMEOUT);
                let expired = expired.into_iter().map(|it| it.answer);
                for answer in answers.into_iter().chain(expired) {
                    reply(answer, None);
                }
            }
        }
        queue.0.batch_ended();
    }
}

/// Appends the events of a rejected batch singly, so that only the event that causes the error fails.
async fn append_one_by_one(log: &Log, stats: &Stats, events: &[NewEvent], answers: Vec<Answer>) {
    let (mut stored, mut failed) = (false, 0);
    for (event, answer) in events.iter().zip(answers) {
        // If nothing can be stored, the cause is not a single event.
        if !stored && failed == SINGLE_TRIES_MAX {
            reply(answer, None);
            continue;
        }
        let appended = append(log, stats, std::slice::from_ref(event)).await;
        let appended = appended.ok().and_then(|mut appended| appended.pop());
        match appended {
            Some(_) => stored = true,
            None => failed += 1,
        }
        reply(answer, appended);
    }
}

/// Appends events in one transaction, within [`APPEND_TIMEOUT`].
#[tracing::instrument(level = "debug", skip_all, fields(events = events.len()))]
async fn append(
    log: &Log,
    stats: &Stats,
    events: &[NewEvent],
) -> Result<Vec<Appended>, StoreError> {
    let stopwatch = Clock::stopwatch();
    let appended = tokio::time::timeout(APPEND_TIMEOUT, log.append(events)).await;
    let appended = appended.unwrap_or_else(|_| {
        let seconds = APPEND_TIMEOUT.as_secs();
        Err(StoreError::Unavailable(format!("no answer within {seconds} seconds").into()))
    });
    match &appended {
        Ok(answers) => stats.record_commit(answers, stopwatch.elapsed()),
        Err(error) => {
            stats.record_failure(stopwatch.elapsed());
            tracing::error!(
                events = events.len(),
                error = error as &dyn std::error::Error,
                "could not append {} events: {error}",
                events.len(),
            );
        }
    }
    appended
}

/// Answers a request with the position of its event, if the event was stored. The client may have disconnected;
/// the event stays stored.
fn reply(answer: Answer, stored: Option<Appended>) {
    let _ = answer.send(stored.ok_or(SubmitError::Unavailable));
}

/// Closes the queue however the writer ends, so that no request waits for ever.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
