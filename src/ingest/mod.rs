//! Group commit: all events that arrive during one commit go into the next one.
//!
//! An event enters a bounded queue, and is answered when the transaction that holds it is on the disk. One task
//! writes, one batch at a time. No timer forms the batches: a single event does not wait, and a thousand events at
//! once share one commit.
//!
//! Architecture invariant: nothing here depends on what follows the log. A slow or failing fold cannot reach an
//! append.

mod queue;
mod stats;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use stats::{BATCH_SIZE_BOUNDS, Stats};

use crate::clock::{Clock, Stopwatch};
use crate::store::{Appended, Log, NewEvent};
use queue::{Pending, Queue};

/// Limits of the queue and of one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Greatest number of waiting events.
    pub queue_events: usize,
    /// Greatest size of all waiting events, in bytes.
    pub queue_bytes: usize,
    /// Greatest number of events in one commit.
    pub commit_events: usize,
    /// Greatest size of one commit, in bytes. A single event may exceed it.
    pub commit_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_events: 4_096,
            queue_bytes: 64 * 1024 * 1024,
            commit_events: 1_024,
            commit_bytes: 8 * 1024 * 1024,
        }
    }
}

/// Reason why an event was not stored. It can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The queue has reached a limit.
    #[error("too many events are waiting to be stored")]
    QueueFull,
    /// The log could not commit.
    #[error("the log does not accept events at the moment")]
    Unavailable,
    /// The ledger is shutting down.
    #[error("the ledger is shutting down")]
    Closed,
}

/// Entrance to the log for received events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest {
    queue: Arc<Queue>,
    stats: Arc<Stats>,
    started: Stopwatch,
}

impl Ingest {
    /// Starts the writer. It ends after [`Ingest::close`], once every accepted event is answered.
    pub fn start(log: Log, limits: Limits) -> (Self, JoinHandle<()>) {
        let queue = Arc::new(Queue::new(limits));
        let stats = Arc::new(Stats::default());
        let writer = tokio::spawn(writer::run(log, Arc::clone(&queue), Arc::clone(&stats)));
        (Self { queue, stats, started: Clock::stopwatch() }, writer)
    }

    /// Stores an event, and returns after its commit has reached the disk.
    ///
    /// Dropping the future does not stop the event from being stored. The answer comes within about 20 seconds: while
    /// the log does not respond, events that have waited for ten are refused as unavailable. Such an event may be
    /// stored all the same; sent again, it is a duplicate.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn submit(&self, event: NewEvent) -> Result<Appended, SubmitError> {
        let (answer, answered) = oneshot::channel();
        self.queue.push(Pending { event, answer, since: Clock::stopwatch() })?;
        answered.await.unwrap_or(Err(SubmitError::Unavailable))
    }

    /// Refuses further events. Queued events are still stored and answered.
    pub fn close(&self) {
        self.queue.close();
    }

    /// Counters of the writer.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Time since the last event was stored; since the start before the first one.
    pub fn since_last_event(&self) -> Duration {
        self.stats.since_last_commit().unwrap_or_else(|| self.started.elapsed())
    }

    /// Waiting time of the oldest event that is not yet answered; zero if there is none.
    pub fn oldest_wait(&self) -> Duration {
        self.queue.oldest()
    }

    /// Number of waiting events.
    pub fn queued_events(&self) -> usize {
        self.queue.events()
    }

    /// Size of the waiting events, in bytes.
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }
}
