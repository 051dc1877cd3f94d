//! Counters of the writer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::{Clock, Stopwatch};
use crate::store::Appended;

/// Upper bounds of the classes in which commits are counted by their number of events. One more class is
/// without a bound.
pub const BATCH_SIZE_BOUNDS: [usize; 8] = [1, 2, 4, 8, 16, 64, 256, 1_024];

/// Counters since the start. They only rise.
#[derive(Debug, Default)]
pub struct Stats {
    commits_by_size: [AtomicU64; BATCH_SIZE_BOUNDS.len() + 1],
    commits_failed: AtomicU64,
    commit_micros: AtomicU64,
    events_new: AtomicU64,
    events_duplicate: AtomicU64,
    last_commit: Mutex<Option<Stopwatch>>,
}

impl Stats {
    /// Transactions that were committed.
    pub fn commits(&self) -> u64 {
        self.commits_by_size().iter().sum()
    }

    /// Committed transactions in each class of [`BATCH_SIZE_BOUNDS`], the last class being without bound.
    pub fn commits_by_size(&self) -> [u64; BATCH_SIZE_BOUNDS.len() + 1] {
        self.commits_by_size.each_ref().map(get)
    }

    /// Transactions that failed.
    pub fn commits_failed(&self) -> u64 {
        get(&self.commits_failed)
    }

    /// Time spent in all transactions, committed or failed.
    pub fn commit_time(&self) -> Duration {
        Duration::from_micros(get(&self.commit_micros))
    }

    /// Time since the last commit; none before the first.
    pub fn since_last_commit(&self) -> Option<Duration> {
        let last = *self.last_commit.lock().unwrap_or_else(PoisonError::into_inner);
        last.map(|it| it.elapsed())
    }

    /// Events that were appended.
    pub fn events_new(&self) -> u64 {
        get(&self.events_new)
    }

    /// Deliveries of events that the log already had.
    pub fn events_duplicate(&self) -> u64 {
        get(&self.events_duplicate)
    }

    pub(super) fn record_commit(&self, answers: &[Appended], took: Duration) {
        let duplicates = answers.iter().filter(|answer| answer.duplicate).count();
        let class = BATCH_SIZE_BOUNDS.partition_point(|&bound| bound < answers.len());
        add(&self.commits_by_size[class], 1);
        add(&self.events_new, answers.len() - duplicates);
        add(&self.events_duplicate, duplicates);
        self.record_time(took);
        let mut last = self.last_commit.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some(Clock::stopwatch());
    }

    pub(super) fn record_failure(&self, took: Duration) {
        add(&self.commits_failed, 1);
        self.record_time(took);
    }

    fn record_time(&self, took: Duration) {
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
