//! Clock: the only module that reads the time.
//!
//! All other code is passed a [`Clock`] or an instant. A test stops the clock or moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::time::ReceivedAt;

/// Source of the current time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until a test moves it, in microseconds since 1970.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// Creates a clock that stands still at this instant.
    pub fn fixed(at: ReceivedAt) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(at.0)))
    }

    /// Current instant, to the microsecond.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> ReceivedAt {
        match self {
            Self::System => ReceivedAt(chrono::Utc::now().timestamp_micros()),
            Self::Fixed(at) => ReceivedAt(at.load(Ordering::SeqCst)),
        }
    }

    /// Starts a stopwatch.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn stopwatch() -> Stopwatch {
        Stopwatch(Instant::now())
    }
}

/// Stopwatch. Changes of the machine's clock do not affect it.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
