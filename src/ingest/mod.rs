//! Group commit: whatever has arrived while the last commit ran goes into the next one.
//!
//! An event enters a bounded queue and is answered when the transaction that holds it is on the
//! disk. One task writes, one batch at a time. Batches form by themselves, so a lone event waits for
//! nothing, and a thousand at once share one commit.
//!
//! Architecture invariant: nothing here knows what becomes of an event after the log has it.

mod queue;
mod stats;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use stats::{BATCH_SIZE_BOUNDS, Stats};

use crate::clock::Clock;
use crate::store::{Appended, Log, NewEvent};
use queue::{Pending, Queue};

/// How much may wait, and how much goes into one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events that may wait.
    pub queue_events: usize,
    /// Bytes that may wait.
    pub queue_bytes: usize,
    /// Events in one commit.
    pub commit_events: usize,
    /// Bytes in one commit; a single event may exceed them.
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

/// Why an event was not stored. It can be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// Too much is waiting already.
    #[error("too many events are waiting to be stored")]
    QueueFull,
    /// The log could not commit.
    #[error("the log does not accept events at the moment")]
    Unavailable,
    /// The ledger is shutting down.
    #[error("the ledger is shutting down")]
    Closed,
}

/// Where events are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ingest {
    queue: Arc<Queue>,
    stats: Arc<Stats>,
}

impl Ingest {
    /// Starts the task that writes. It ends after [`Ingest::close`], when all that was accepted has
    /// been answered.
    pub fn start(log: Log, limits: Limits) -> (Self, JoinHandle<()>) {
        let queue = Arc::new(Queue::new(limits));
        let stats = Arc::new(Stats::default());
        let writer = tokio::spawn(writer::run(log, Arc::clone(&queue), Arc::clone(&stats)));
        (Self { queue, stats }, writer)
    }

    /// Stores an event; the answer comes after the commit that holds it has reached the disk.
    ///
    /// Whoever stops waiting for the answer does not stop the event from being stored. The answer comes within about
    /// 20 seconds: while the log does not answer, what has waited for ten is refused. An event that is refused so may
    /// be stored all the same, and is then a duplicate when it is sent again.
    pub async fn submit(&self, event: NewEvent) -> Result<Appended, SubmitError> {
        let (answer, answered) = oneshot::channel();
        let accepted = self.queue.push(Pending { event, answer, since: Clock::stopwatch() });
        if let Err(refused) = accepted {
            self.stats.refuse(refused);
            return Err(refused);
        }
        answered.await.unwrap_or(Err(SubmitError::Unavailable))
    }

    /// Accepts nothing more; what is queued is still stored and answered.
    pub fn close(&self) {
        self.queue.close();
    }

    /// What has been done so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Pending time of the oldest event that is neither stored nor refused; zero where none waits.
    pub fn oldest_wait(&self) -> Duration {
        self.queue.oldest()
    }

    /// Events that wait now.
    pub fn queued_events(&self) -> usize {
        self.queue.events()
    }

    /// Bytes that wait now.
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }
}
