//! Queue of received events that are not yet in a commit.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use super::{Limits, SubmitError};
use crate::clock::Stopwatch;
use crate::store::{Appended, NewEvent};

/// Received event, with the way to answer its request.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) event: NewEvent,
    pub(super) answer: Answer,
    /// Running since the event arrived.
    pub(super) since: Stopwatch,
}

/// Channel to the waiting request.
pub(super) type Answer = oneshot::Sender<Result<Appended, SubmitError>>;

/// Queue that is bounded by events and by bytes, and emptied by one task.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    state: Mutex<State>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct State {
    pending: VecDeque<Pending>,
    bytes: usize,
    closed: bool,
    /// Running since the oldest event of the batch arrived that is being written.
    writing: Option<Stopwatch>,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), arrived: Notify::new() }
    }

    /// Adds an event, or returns the reason why it is refused.
    pub(super) fn push(&self, pending: Pending) -> Result<(), SubmitError> {
        let bytes = pending.event.stored_bytes();
        {
            let mut state = self.lock();
            if state.closed {
                return Err(SubmitError::Closed);
            }
            let full = state.pending.len() >= self.limits.queue_events
                || state.bytes.saturating_add(bytes) > self.limits.queue_bytes;
            // An event larger than the whole queue may still wait alone.
            if full && !state.pending.is_empty() {
                return Err(SubmitError::QueueFull);
            }
            state.bytes += bytes;
            state.pending.push_back(pending);
        }
        self.arrived.notify_one();
        Ok(())
    }

    /// Waits for events and takes as many as fit into one commit; `None` once the queue is closed and empty.
    /// Only one task may call it.
    pub(super) async fn take(&self) -> Option<Vec<Pending>> {
        loop {
            {
                let mut state = self.lock();
                if !state.pending.is_empty() {
                    return Some(state.take(self.limits));
                }
                if state.closed {
                    return None;
                }
            }
            // An event that arrived since the check has left a permit, so this returns at once.
            self.arrived.notified().await;
        }
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_one();
    }

    /// Refuses further events and drops the waiting ones: their requests are answered as unavailable.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.bytes = 0;
        state.writing = None;
        state.pending.clear();
    }

    /// Takes the events that have waited for longer than `age`. Events wait in the order of arrival.
    pub(super) fn take_older(&self, age: Duration) -> Vec<Pending> {
        let mut state = self.lock();
        let older = state.pending.partition_point(|it| it.since.elapsed() > age);
        let taken: Vec<Pending> = state.pending.drain(..older).collect();
        state.bytes -= taken.iter().map(|it| it.event.stored_bytes()).sum::<usize>();
        taken
    }

    /// Records that the batch that was taken last is answered.
    pub(super) fn batch_ended(&self) {
        self.lock().writing = None;
    }

    /// Waiting time of the oldest event that is not answered; zero if there is none.
    pub(super) fn oldest(&self) -> Duration {
        let state = self.lock();
        let oldest = state.writing.or_else(|| state.pending.front().map(|it| it.since));
        oldest.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn events(&self) -> usize {
        self.lock().pending.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    /// Locks the state. No code that holds the lock can panic half-way through a change, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, limits: Limits) -> Vec<Pending> {
        let mut batch = Vec::with_capacity(self.pending.len().min(limits.commit_events));
        let mut batch_bytes = 0_usize;
        while let Some(next) = self.pending.front() {
            let bytes = next.event.stored_bytes();
            let fits = batch.len() < limits.commit_events
                && batch_bytes.saturating_add(bytes) <= limits.commit_bytes;
            if !fits && !batch.is_empty() {
                break;
            }
            batch_bytes += bytes;
            batch.extend(self.pending.pop_front());
        }
        self.bytes -= batch_bytes;
        self.writing = batch.first().map(|it| it.since);
        batch
    }
}
