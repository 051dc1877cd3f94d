//! Time of the server, which is simulated too.

use std::sync::atomic::{AtomicI64, Ordering};

use crate::clock::{Clock, Stopwatch};
use crate::time::StripeTime;

/// Microseconds of a second.
pub(super) const MICROS: i64 = 1_000_000;

/// Passage of the server's time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Passage {
    /// It stands still until it is set.
    #[default]
    Still,
    /// It advances with each request by a number of microseconds.
    PerRequest(i64),
    /// It advances as the machine's clock does.
    Real,
}

/// Clock of the server, in microseconds since 1970.
pub(super) struct ServerTime {
    base: AtomicI64,
    per_request: i64,
    stopwatch: Option<Stopwatch>,
}

impl ServerTime {
    pub(super) fn new(now: StripeTime, passage: Passage) -> Self {
        Self {
            base: AtomicI64::new(now.0.saturating_mul(MICROS)),
            per_request: if let Passage::PerRequest(micros) = passage { micros } else { 0 },
            stopwatch: (passage == Passage::Real).then(Clock::stopwatch),
        }
    }

    /// Instant of a new request.
    pub(super) fn tick(&self) -> i64 {
        self.base.fetch_add(self.per_request, Ordering::SeqCst).saturating_add(self.elapsed())
    }

    /// Current second.
    pub(super) fn now(&self) -> StripeTime {
        StripeTime(self.base.load(Ordering::SeqCst).saturating_add(self.elapsed()) / MICROS)
    }

    /// Sets the time.
    pub(super) fn set(&self, now: StripeTime) {
        self.base.store(now.0.saturating_mul(MICROS) - self.elapsed(), Ordering::SeqCst);
    }

    fn elapsed(&self) -> i64 {
        let elapsed = self.stopwatch.as_ref().map(Stopwatch::elapsed).unwrap_or_default();
        i64::try_from(elapsed.as_micros()).unwrap_or(i64::MAX)
    }
}
