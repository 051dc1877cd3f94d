//! Count of the thin events that wait, kept in memory while the service runs.

use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::find::{mark_known_twins, note_thin_events};
use crate::ids::Mode;
use crate::store::{Log, StoreError, ThinWaiting};

/// Interval between two counts.
const COUNT_EVERY: Duration = Duration::from_secs(15);

/// Thin events of a mode that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThinCounts {
    /// Number of thin events that wait to be fetched.
    pub waiting: u64,
    /// Number of those whose last attempt failed.
    pub failing: u64,
}

/// Thin events that waited when they were last counted. It touches no database.
#[derive(Clone, Debug)]
pub struct ThinStatus(watch::Receiver<Vec<ThinWaiting>>);

impl ThinStatus {
    /// Counts of a mode, over all accounts.
    pub fn counts(&self, mode: Mode) -> ThinCounts {
        let mut counts = ThinCounts::default();
        for it in self.0.borrow().iter().filter(|it| it.scope.livemode == mode.livemode()) {
            counts.waiting += it.waiting;
            counts.failing += it.failing;
        }
        counts
    }
}

/// Sentence about thin events that nothing fetches. None if none waits, or if they are being fetched.
pub fn waiting_reason(counts: ThinCounts, has_api_key: bool) -> Option<String> {
    let ThinCounts { waiting, failing } = counts;
    let words = |count: u64| format!("{count} thin event{}", if count == 1 { "" } else { "s" });
    match (has_api_key, waiting, failing) {
        (false, 0, _) | (true, _, 0) => None,
        (false, waiting, _) => {
            let verb = if waiting == 1 { "waits" } else { "wait" };
            Some(format!("{} {verb} to be fetched: configure STRIPE_API_KEY", words(waiting)))
        }
        (true, _, failing) => {
            Some(format!("{} could not be fetched from Stripe's API yet", words(failing)))
        }
    }
}

/// Starts to note and to count thin events, until `stop` is cancelled. Fetches nothing.
pub fn watch_thin_events(
    log: Log,
    has_api_key: bool,
    stop: CancellationToken,
) -> (ThinStatus, JoinHandle<()>) {
    let (sender, receiver) = watch::channel(Vec::new());
    let task = async move {
        let mut is_announced = has_api_key;
        loop {
            match count(&log).await {
                Ok(waiting) => {
                    let all: u64 = waiting.iter().map(|it| it.waiting).sum();
                    if all > 0 && !is_announced {
                        is_announced = true;
                        tracing::warn!(
                            waiting = all,
                            "{all} thin events are stored and not folded, because they name their object without its \
                             content: set STRIPE_API_KEY so that they are fetched, or add a webhook endpoint that \
                             sends snapshot events"
                        );
                    }
                    sender.send_replace(waiting);
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "could not count the thin events that wait: {error}"
                ),
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
    };
    let task = tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            () = stop.cancelled() => {}
        }
    });
    (ThinStatus(receiver), task)
}

async fn count(log: &Log) -> Result<Vec<ThinWaiting>, StoreError> {
    note_thin_events(log).await?;
    let waiting = log.thin_waiting().await?;
    let mut known = 0;
    for it in &waiting {
        known += mark_known_twins(log, &it.scope).await?;
    }
    if known == 0 { Ok(waiting) } else { log.thin_waiting().await }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_what_to_do() {
        let reason = |waiting, failing, has_api_key| {
            waiting_reason(ThinCounts { waiting, failing }, has_api_key)
        };
        assert_eq!(reason(0, 0, false), None);
        assert_eq!(reason(5, 0, true), None, "the next sync fetches them");
        let without_key = "3 thin events wait to be fetched: configure STRIPE_API_KEY";
        assert_eq!(reason(3, 1, false).as_deref(), Some(without_key));
        let one = "1 thin event waits to be fetched: configure STRIPE_API_KEY";
        assert_eq!(reason(1, 0, false).as_deref(), Some(one));
        let failing = "2 thin events could not be fetched from Stripe's API yet";
        assert_eq!(reason(5, 2, true).as_deref(), Some(failing));
    }
}
