//! Client that posts simulated events to a webhook like Stripe: it signs each at the moment of sending, and sends it
//! again if the answer is not 200.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use indicatif::ProgressBar;
use reqwest::StatusCode;
use serde::Deserialize;
use tokio::task::JoinSet;

use super::report::Failure;
use crate::clock::Clock;
use crate::config::{WEBHOOK_SECRET, WebhookSecrets};
use crate::http_client;
use crate::ids::Scope;
use crate::simulate::{SimulatedEvent, sign};

/// Greatest number of attempts to send an event.
const ATTEMPTS_MAX: u32 = 10;
/// Pause before an event is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Time limit of an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Webhook to post to.
#[derive(Clone)]
pub(super) struct WebhookTarget {
    pub(super) url: String,
    pub(super) secrets: WebhookSecrets,
    pub(super) concurrency: usize,
    pub(super) clock: Clock,
}

/// Counts of the answers.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PostCounts {
    pub(super) stored: u64,
    pub(super) duplicates: u64,
}

#[derive(Deserialize)]
struct Receipt {
    duplicate: bool,
}

struct PostJob {
    target: WebhookTarget,
    client: reqwest::Client,
    events: Vec<SimulatedEvent>,
    next: AtomicUsize,
    stored: AtomicU64,
    duplicates: AtomicU64,
    progress: ProgressBar,
}

/// Posts all events, beginning each in order.
pub(super) async fn post(
    target: &WebhookTarget,
    events: Vec<SimulatedEvent>,
    progress: ProgressBar,
) -> anyhow::Result<PostCounts> {
    let job = Arc::new(PostJob {
        target: target.clone(),
        client: http_client::builder().timeout(ANSWER_TIMEOUT).build()?,
        events,
        next: AtomicUsize::new(0),
        stored: AtomicU64::new(0),
        duplicates: AtomicU64::new(0),
        progress,
    });
    let mut workers = JoinSet::new();
    for _ in 0..target.concurrency.max(1) {
        workers.spawn(Arc::clone(&job).run());
    }
    while let Some(worker) = workers.join_next().await {
        worker??;
    }
    job.progress.finish_and_clear();
    Ok(PostCounts {
        stored: job.stored.load(Ordering::Relaxed),
        duplicates: job.duplicates.load(Ordering::Relaxed),
    })
}

impl PostJob {
    async fn run(self: Arc<Self>) -> anyhow::Result<()> {
        while let Some(event) = self.events.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let receipt = self.deliver(event).await?;
            let count = if receipt.duplicate { &self.duplicates } else { &self.stored };
            count.fetch_add(1, Ordering::Relaxed);
            self.progress.inc(1);
        }
        Ok(())
    }

    async fn deliver(&self, event: &SimulatedEvent) -> anyhow::Result<Receipt> {
        let scope = Scope { account: event.account.as_str().into(), livemode: event.livemode };
        let secret = self.target.secrets.vouching_for(&scope).ok_or_else(|| {
            Failure::usage(
                format!("no secret of {WEBHOOK_SECRET} may sign {}", event.id),
                "simulated events are in live mode, in test mode and of connected accounts: set a secret for each, \
                 or one without a binding",
            )
        })?;
        for attempt in 1.. {
            let now = self.target.clock.now().to_stripe_time().0;
            let signature = sign(secret, now, event.body.as_bytes());
            let sent = self
                .client
                .post(&self.target.url)
                .header("stripe-signature", signature)
                .header("content-type", "application/json; charset=utf-8")
                .body(event.body.clone())
                .send()
                .await;
            let failure = match sent {
                Ok(response) if response.status() == StatusCode::OK => {
                    return Ok(serde_json::from_slice(&response.bytes().await?)?);
                }
                Ok(response) if response.status().is_client_error() => {
                    let status = response.status();
                    return Err(Failure::failed(
                        format!("{} answered {status} to {}", self.target.url, event.id),
                        "STRIPE_WEBHOOK_SECRET must be equal to that of the server",
                    ));
                }
                Ok(response) => format!("{} answered {}", self.target.url, response.status()),
                Err(error) => format!("cannot post to {}: {error}", self.target.url),
            };
            if attempt >= ATTEMPTS_MAX {
                return Err(Failure::failed(
                    failure,
                    "check that the server is running at that address",
                ));
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        unreachable!("the loop ends by returning")
    }
}
