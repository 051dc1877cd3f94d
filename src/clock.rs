//! The only place that reads a clock.
//!
//! Everything else is handed a [`Clock`], or an instant. A test holds a clock still or moves it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::time::ReceivedAt;

/// Where the time comes from.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock.
    System,
    /// A clock that stands still until it is moved; in microseconds since 1970.
    Fixed(Arc<AtomicI64>),
}

impl Clock {
    /// A clock that stands at this instant.
    pub fn fixed(at: ReceivedAt) -> Self {
        Self::Fixed(Arc::new(AtomicI64::new(at.0)))
    }

    /// The instant now, to the microsecond.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> ReceivedAt {
        match self {
            Self::System => ReceivedAt(chrono::Utc::now().timestamp_micros()),
            Self::Fixed(at) => ReceivedAt(at.load(Ordering::SeqCst)),
        }
    }

    /// Starts measuring how long something takes.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn stopwatch() -> Stopwatch {
        Stopwatch(Instant::now())
    }
}

/// Measures a duration; unaffected by changes of the machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// The time since the start.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}
