//! Policy of repeated requests.

use std::time::Duration;

use backon::ExponentialBuilder;

/// Limits of repeated requests.
#[derive(Clone, Copy, Debug)]
pub struct RetryPolicy {
    /// Greatest number of attempts, the first included.
    pub attempts_max: usize,
    /// Least delay before the first repetition. It doubles with each further one.
    pub delay_min: Duration,
    /// Greatest delay, the random part included.
    pub delay_max: Duration,
    /// Greatest delay that Stripe may ask for by `Retry-After`.
    pub retry_after_max: Duration,
}

impl RetryPolicy {
    /// Policy for a person who waits for the answer.
    pub const IMPATIENT: Self = Self {
        attempts_max: 3,
        delay_min: Duration::from_millis(500),
        delay_max: Duration::from_secs(2),
        retry_after_max: Duration::from_secs(5),
    };

    /// Delays without a wish of Stripe's. A random part is added to each, up to the delay itself.
    pub(super) fn backoff(&self) -> ExponentialBuilder {
        ExponentialBuilder::default()
            .with_min_delay(self.delay_min)
            .with_max_delay(self.delay_max)
            .with_max_times(self.attempts_max.saturating_sub(1))
            .with_jitter()
    }

    /// Delay before the next attempt: what Stripe asks for, or else the next one of the backoff.
    pub(super) fn delay(&self, retry_after: Option<Duration>, backoff: Duration) -> Duration {
        match retry_after {
            Some(wish) => wish.min(self.retry_after_max),
            None => backoff.min(self.delay_max),
        }
    }
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts_max: 10,
            delay_min: Duration::from_secs(1),
            delay_max: Duration::from_secs(32),
            retry_after_max: Duration::from_mins(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use backon::BackoffBuilder as _;

    use super::*;

    #[test]
    fn delays_double_from_one_second_to_32_and_are_random_between() {
        let policy = RetryPolicy::default();
        let delays: Vec<_> = policy.backoff().build().map(|it| policy.delay(None, it)).collect();
        assert_eq!(delays.len(), 9);
        for (delay, least) in delays.iter().zip([1, 2, 4, 8, 16, 32, 32, 32, 32]) {
            let least = Duration::from_secs(least);
            assert!((least..=(2 * least).min(policy.delay_max)).contains(delay), "{delays:?}");
        }
    }

    #[test]
    fn a_wish_of_stripe_comes_first_and_is_limited() {
        let policy = RetryPolicy::default();
        let delay = |wish| policy.delay(Some(Duration::from_secs(wish)), Duration::from_secs(8));
        assert_eq!([delay(0), delay(3), delay(600)].map(|it| it.as_secs()), [0, 3, 60]);
    }
}
