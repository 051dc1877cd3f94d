//! The one task that appends.

use std::sync::Arc;
use std::time::Duration;

use super::queue::{Answer, Pending, Queue};
use super::{Stats, SubmitError};
use crate::clock::Clock;
use crate::store::{Appended, Log, NewEvent, StoreError};

/// Time that one append may take. One that takes longer is given up: its connection may be dead, and nobody
/// learns that from it. The events are answered as not stored, and are sent again.
const APPEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Events of a failed batch that are tried one by one although none of them could be stored.
const TRIES_IN_VAIN: usize = 8;

/// Appends batch after batch until the queue is closed and empty.
pub(super) async fn run(log: Log, queue: Arc<Queue>, stats: Arc<Stats>) {
    let queue = AbandonOnDrop(queue);
    while let Some(batch) = queue.0.take().await {
        let (events, answers): (Vec<_>, Vec<_>) =
            batch.into_iter().map(|Pending { event, answer, .. }| (event, answer)).unzip();
        match append(&log, &stats, &events).await {
            Ok(appended) => {
                for (answer, appended) in answers.into_iter().zip(appended) {
                    reply(&stats, answer, Some(appended));
                }
            }
            // The database answers, and does not take what it was given.
            Err(error) if !error.is_unavailable() && events.len() > 1 => {
                append_one_by_one(&log, &stats, &events, answers).await;
            }
            Err(_) => {
                // Those who have waited as long would only wait for the next failure.
                let expired = queue.0.take_older(APPEND_TIMEOUT);
                let expired = expired.into_iter().map(|it| it.answer);
                for answer in answers.into_iter().chain(expired) {
                    reply(&stats, answer, None);
                }
            }
        }
        queue.0.batch_ended();
    }
}

/// Appends the events of a batch that was refused, so that the one that is to blame fails alone.
async fn append_one_by_one(log: &Log, stats: &Stats, events: &[NewEvent], answers: Vec<Answer>) {
    let (mut stored, mut failed) = (false, 0);
    for (event, answer) in events.iter().zip(answers) {
        // Where nothing can be stored, no single event is to blame.
        if !stored && failed == TRIES_IN_VAIN {
            reply(stats, answer, None);
            continue;
        }
        let appended = append(log, stats, std::slice::from_ref(event)).await;
        let appended = appended.ok().and_then(|mut appended| appended.pop());
        match appended {
            Some(_) => stored = true,
            None => failed += 1,
        }
        reply(stats, answer, appended);
    }
}

/// Appends events in one transaction, within the time that there is.
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
        Ok(answers) => stats.commit(answers, stopwatch.elapsed()),
        Err(error) => {
            stats.fail_commit(stopwatch.elapsed());
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

/// Answers one who waits, with where the event stands now if it was stored. Whoever asked may have hung up;
/// what was stored is stored all the same.
fn reply(stats: &Stats, answer: Answer, stored: Option<Appended>) {
    if stored.is_none() {
        stats.fail_event();
    }
    let _ = answer.send(stored.ok_or(SubmitError::Unavailable));
}

/// However the writer ends, nobody waits for it for ever.
struct AbandonOnDrop(Arc<Queue>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.abandon();
    }
}
