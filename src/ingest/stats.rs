//! What the writer has done, as plain counters for whoever shows them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::SubmitError;
use crate::clock::{Clock, Stopwatch};
use crate::store::Appended;

/// Upper bounds of the classes in which commits are counted by their size; one more class holds
/// what is beyond.
pub const BATCH_SIZE_BOUNDS: [usize; 8] = [1, 2, 4, 8, 16, 64, 256, 1_024];

/// Counters since the start. They only rise.
#[derive(Debug, Default)]
pub struct Stats {
    commits: AtomicU64,
    commits_failed: AtomicU64,
    commit_micros: AtomicU64,
    by_size: [AtomicU64; BATCH_SIZE_BOUNDS.len() + 1],
    events_new: AtomicU64,
    events_duplicate: AtomicU64,
    events_failed: AtomicU64,
    refused_full: AtomicU64,
    refused_closed: AtomicU64,
    last_commit: Mutex<Option<Stopwatch>>,
}

impl Stats {
    /// Transactions that were committed.
    pub fn commits(&self) -> u64 {
        get(&self.commits)
    }

    /// Time since the last transaction was committed; none before the first.
    pub fn since_last_commit(&self) -> Option<Duration> {
        let last = *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|it| it.elapsed())
    }

    /// Transactions that failed.
    pub fn commits_failed(&self) -> u64 {
        get(&self.commits_failed)
    }

    /// Time spent in all transactions, whether they were committed or failed.
    pub fn commit_time(&self) -> Duration {
        Duration::from_micros(get(&self.commit_micros))
    }

    /// Commits in each class of [`BATCH_SIZE_BOUNDS`], the last class being without bound.
    pub fn commits_by_size(&self) -> [u64; BATCH_SIZE_BOUNDS.len() + 1] {
        std::array::from_fn(|class| get(&self.by_size[class]))
    }

    /// Events that were appended.
    pub fn events_new(&self) -> u64 {
        get(&self.events_new)
    }

    /// Events that the log knew already.
    pub fn events_duplicate(&self) -> u64 {
        get(&self.events_duplicate)
    }

    /// Events that were answered as unavailable, because their commit failed.
    pub fn events_failed(&self) -> u64 {
        get(&self.events_failed)
    }

    /// Events that were refused because the queue was full.
    pub fn refused_full(&self) -> u64 {
        get(&self.refused_full)
    }

    /// Events that were refused because the ledger was shutting down.
    pub fn refused_closed(&self) -> u64 {
        get(&self.refused_closed)
    }

    pub(super) fn commit(&self, answers: &[Appended], took: Duration) {
        let duplicates = answers.iter().filter(|answer| answer.duplicate).count();
        let class = BATCH_SIZE_BOUNDS.iter().position(|&bound| answers.len() <= bound);
        add(&self.commits, 1);
        add(&self.by_size[class.unwrap_or(BATCH_SIZE_BOUNDS.len())], 1);
        add(&self.events_new, answers.len() - duplicates);
        add(&self.events_duplicate, duplicates);
        self.time(took);
        let mut last = self.last_commit.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Clock::stopwatch());
    }

    pub(super) fn fail_commit(&self, took: Duration) {
        add(&self.commits_failed, 1);
        self.time(took);
    }

    pub(super) fn fail_event(&self) {
        add(&self.events_failed, 1);
    }

    pub(super) fn refuse(&self, refused: SubmitError) {
        match refused {
            SubmitError::QueueFull => add(&self.refused_full, 1),
            SubmitError::Closed => add(&self.refused_closed, 1),
            SubmitError::Unavailable => {}
        }
    }

    fn time(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.commit_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

fn add(counter: &AtomicU64, events: usize) {
    counter.fetch_add(events as u64, Ordering::Relaxed);
}
