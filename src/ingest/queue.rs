//! What has arrived and is not yet in a commit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::{Limits, SubmitError};
use crate::clock::Stopwatch;
use crate::store::{Appended, NewEvent};

/// An event and whoever waits for its answer.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) event: NewEvent,
    pub(super) answer: Answer,
    /// Since it arrived.
    pub(super) since: Stopwatch,
}

/// Way back to whoever waits.
pub(super) type Answer = oneshot::Sender<Result<Appended, SubmitError>>;

/// A queue that is bounded by events and by bytes, emptied by one task.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Pending>,
    bytes: usize,
    closed: bool,
    /// Since the oldest event of the batch arrived that is being written.
    writing: Option<Stopwatch>,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), arrived: Notify::new() }
    }

    /// Accepts an event, or says why not.
    pub(super) fn push(&self, waiting: Pending) -> Result<(), SubmitError> {
        let bytes = waiting.event.stored_bytes();
        {
            let mut state = self.lock();
            if state.closed {
                return Err(SubmitError::Closed);
            }
            let full = state.waiting.len() >= self.limits.queue_events
                || state.bytes.saturating_add(bytes) > self.limits.queue_bytes;
            // An event that is greater than all the room there is may still wait alone.
            if full && !state.waiting.is_empty() {
                return Err(SubmitError::QueueFull);
            }
            state.bytes += bytes;
            state.waiting.push_back(waiting);
        }
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits until something has arrived, and takes what fits into one commit; `None` when the
    /// queue is closed and empty. For one task only.
    pub(super) async fn take(&self) -> Option<Vec<Pending>> {
        loop {
            {
                let mut state = self.lock();
                if !state.waiting.is_empty() {
                    return Some(state.take(self.limits));
                }
                if state.closed {
                    return None;
                }
            }
            // What arrived since we looked has left a permit, and this returns at once.
            self.arrived.notified().await;
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Accepts nothing more and forgets what waits: whoever waits for it learns that it was not
    /// stored.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.bytes = 0;
        state.writing = None;
        state.waiting.clear();
    }

    /// Takes what has waited for longer than this. Events wait in the order in which they came.
    pub(super) fn take_older(&self, age: Duration) -> Vec<Pending> {
        let mut state = self.lock();
        let older = state.waiting.partition_point(|it| it.since.elapsed() > age);
        let taken: Vec<Pending> = state.waiting.drain(..older).collect();
        state.bytes -= taken.iter().map(|it| it.event.stored_bytes()).sum::<usize>();
        taken
    }

    /// Takes note that the batch which was taken last is answered.
    pub(super) fn batch_ended(&self) {
        self.lock().writing = None;
    }

    /// Pending time of the oldest event that is not answered; zero where none is.
    pub(super) fn oldest(&self) -> Duration {
        let state = self.lock();
        let oldest = state.writing.or_else(|| state.waiting.front().map(|it| it.since));
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn events(&self) -> usize {
        self.lock().waiting.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// No code that holds the lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, limits: Limits) -> Vec<Pending> {
        let mut batch = Vec::with_capacity(self.waiting.len().min(limits.commit_events));
        let mut batch_bytes = 0_usize;
        while let Some(next) = self.waiting.front() {
            let bytes = next.event.stored_bytes();
            let fits = batch.len() < limits.commit_events
                && batch_bytes.saturating_add(bytes) <= limits.commit_bytes;
            if !fits && !batch.is_empty() {
                break;
            }
            batch_bytes += bytes;
            batch.extend(self.waiting.pop_front());
        }
        self.bytes -= batch_bytes;
        self.writing = batch.first().map(|it| it.since);
        batch
    }
}
