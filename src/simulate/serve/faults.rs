//! Faults: limits on requests, errors, late and cut answers, drawn from a seed for each request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;

use super::error::ApiError;
use super::server_time::MICROS;
use crate::simulate::dice::Dice;

/// Faults of the server. Shares are from 0 to 1. The same seed and the same number of a request give the same fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Faults {
    /// Seed of the random choices.
    pub seed: u64,
    /// Greatest number of requests a second of the server's time, for each account and mode.
    pub requests_per_second: Option<u32>,
    /// The same for each account, mode and endpoint.
    pub endpoint_requests_per_second: Option<u32>,
    /// Greatest number of requests at the same time.
    pub concurrent_requests: Option<usize>,
    /// Share of requests that are answered with 429 without a reason.
    pub refusals: f64,
    /// Share of the answers 429 with `Retry-After`.
    pub retry_after: f64,
    /// Share of requests that are answered with 500, 502 or 503.
    pub server_errors: f64,
    /// Share of requests that are answered with 409.
    pub conflicts: f64,
    /// Share of answers that are cut: the connection is closed before the body is complete.
    pub cuts: f64,
    /// Share of answers that are late.
    pub delays: f64,
    /// Delay of a late answer.
    pub delay: Duration,
}

impl Default for Faults {
    /// No faults.
    fn default() -> Self {
        Self {
            seed: 1,
            requests_per_second: None,
            endpoint_requests_per_second: None,
            concurrent_requests: None,
            refusals: 0.0,
            retry_after: 0.3,
            server_errors: 0.0,
            conflicts: 0.0,
            cuts: 0.0,
            delays: 0.0,
            delay: Duration::ZERO,
        }
    }
}

/// Counters behind the limits.
#[derive(Default)]
pub(super) struct Limits {
    /// Second and number of requests of each account, mode and endpoint.
    windows: Mutex<BTreeMap<String, (i64, u32)>>,
    concurrent: AtomicUsize,
}

/// Request in progress.
pub(super) struct InProgress<'a>(&'a AtomicUsize);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Limits {
    /// Counts a request as long as the result lives. Refuses one too many.
    pub(super) fn enter(
        &self,
        faults: &Faults,
        dice: &mut Dice,
    ) -> Result<InProgress<'_>, ApiError> {
        let before = self.concurrent.fetch_add(1, Ordering::SeqCst);
        let entered = InProgress(&self.concurrent);
        match faults.concurrent_requests {
            Some(most) if before >= most => Err(faults.too_many(Some("global-concurrency"), dice)),
            _ => Ok(entered),
        }
    }

    /// Refuses a request above the limits of its second.
    pub(super) fn count(
        &self,
        faults: &Faults,
        dice: &mut Dice,
        (account, endpoint): (&str, &str),
        micros: i64,
    ) -> Result<(), ApiError> {
        let second = micros.div_euclid(MICROS);
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut exceeds = |name: String, most: Option<u32>| {
            let Some(most) = most else { return false };
            let window = windows.entry(name).or_insert((second, 0));
            if window.0 != second {
                *window = (second, 0);
            }
            window.1 = window.1.saturating_add(1);
            window.1 > most
        };
        if exceeds(account.to_owned(), faults.requests_per_second) {
            return Err(faults.too_many(Some("global-rate"), dice));
        }
        let endpoint = format!("{account}/{endpoint}");
        if exceeds(endpoint, faults.endpoint_requests_per_second) {
            return Err(faults.too_many(Some("endpoint-rate"), dice));
        }
        Ok(())
    }
}

impl Faults {
    /// Dice of a request.
    pub(super) fn dice(&self, number: u64) -> Dice {
        Dice::new(self.seed, number)
    }

    /// Draws an error.
    pub(super) fn error(&self, dice: &mut Dice) -> Result<(), ApiError> {
        if dice.probability(self.refusals) {
            return Err(self.too_many(None, dice));
        }
        if dice.probability(self.conflicts) {
            let text = "This object cannot be accessed right now because another API request or Stripe process is \
                        currently accessing it. Try again.";
            return Err(ApiError::new(StatusCode::CONFLICT, text).code("lock_timeout"));
        }
        if dice.probability(self.server_errors) {
            let status = *dice.pick(&[
                StatusCode::INTERNAL_SERVER_ERROR,
                StatusCode::BAD_GATEWAY,
                StatusCode::SERVICE_UNAVAILABLE,
            ]);
            let error = ApiError::new(status, "An unknown error occurred");
            return Err(should_retry(error, dice));
        }
        Ok(())
    }

    /// Draws the delay of an answer.
    pub(super) fn delay(&self, dice: &mut Dice) -> Duration {
        if dice.probability(self.delays) { self.delay } else { Duration::ZERO }
    }

    /// Draws the number of bytes after which an answer of this length is cut.
    pub(super) fn cut(&self, dice: &mut Dice, length: usize) -> Option<usize> {
        let cut = dice.probability(self.cuts) && length > 0;
        cut.then(|| usize::try_from(dice.below(length as u64)).unwrap_or(0))
    }
    /// 429, sometimes with a time to wait.
    fn too_many(&self, reason: Option<&'static str>, dice: &mut Dice) -> ApiError {
        let text = "Request rate limit exceeded. Learn more about rate limits here \
                    https://stripe.com/docs/rate-limits.";
        let mut error = ApiError::new(StatusCode::TOO_MANY_REQUESTS, text).code("rate_limit");
        if let Some(reason) = reason {
            error = error.header("stripe-rate-limited-reason", reason);
        }
        if dice.probability(self.retry_after) {
            error = error.header("retry-after", "1");
        }
        should_retry(error, dice)
    }
}

/// Half of the errors say that a client should try again; the others say nothing.
fn should_retry(error: ApiError, dice: &mut Dice) -> ApiError {
    if dice.percent(50) { error.header("stripe-should-retry", "true") } else { error }
}
