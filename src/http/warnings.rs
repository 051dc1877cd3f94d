//! Warnings about refused webhooks, refused reads and connections that were closed for a limit.
//!
//! A log line contains counts and reasons, but no secret, body or signature.

use std::time::Duration;

use super::problem::ProblemType;
use super::throttle::{ReasonCounts, Throttle};
use crate::clock::{Clock, Stopwatch};
use crate::config::{ACCESS_TOKEN, API_TOKEN};

/// Interval between two warnings of one kind.
const INTERVAL: Duration = Duration::from_mins(1);

/// Throttled warnings of the HTTP server.
#[derive(Debug)]
pub(super) struct Warnings {
    time: Stopwatch,
    webhook: Throttle,
    api: Throttle,
    connections: Throttle,
}

impl Default for Warnings {
    fn default() -> Self {
        let throttle = || Throttle::new(INTERVAL);
        Self {
            time: Clock::stopwatch(),
            webhook: throttle(),
            api: throttle(),
            connections: throttle(),
        }
    }
}

impl Warnings {
    /// Counts a refused request, if the operator can do something about it.
    pub(super) fn request_refused(&self, kind: ProblemType) {
        let now = self.time.elapsed();
        match kind {
            ProblemType::Unauthorized | ProblemType::Forbidden => {
                self.api.count(kind.name(), now).as_ref().map(warn_api);
            }
            _ if webhook_hint(kind).is_some() => {
                self.webhook.count(kind.name(), now).as_ref().map(warn_webhook);
            }
            _ => {}
        }
    }

    /// Counts a connection that was closed or refused because of this limit.
    pub(super) fn connection_evicted(&self, reason: &'static str) {
        self.connections.count(reason, self.time.elapsed()).as_ref().map(warn_connections);
    }

    /// Logs the counts whose interval is over.
    pub(super) fn log_due(&self) {
        let now = self.time.elapsed();
        self.webhook.due(now).as_ref().map(warn_webhook);
        self.api.due(now).as_ref().map(warn_api);
        self.connections.due(now).as_ref().map(warn_connections);
    }
}

fn warn_webhook(counts: &ReasonCounts) {
    let kinds = ProblemType::ALL.iter().filter(|kind| counts.reasons().any(|it| it == kind.name()));
    let mut hints: Vec<&str> = kinds.filter_map(|kind| webhook_hint(*kind)).collect();
    hints.dedup();
    let (refused, hints) = (counts.total(), hints.join("; "));
    tracing::warn!(
        refused,
        reasons = %counts,
        "refused webhooks since the last warning: {refused} ({counts}); {hints}"
    );
}

fn warn_api(counts: &ReasonCounts) {
    let refused = counts.total();
    tracing::warn!(
        refused,
        reasons = %counts,
        "refused reads since the last warning: {refused} ({counts}); send a token of {API_TOKEN} as \
         Authorization: Bearer (a token of {ACCESS_TOKEN} only asks who has access: \
         /v1/users/{{id}}/access, /v1/customers/{{id}}/access, /v1/access)"
    );
}

fn warn_connections(counts: &ReasonCounts) {
    let closed = counts.total();
    tracing::warn!(
        closed,
        reasons = %counts,
        "connections closed at a limit since the last warning: {closed} ({counts}); raise --connections or \
         --connections-per-address if the clients are yours"
    );
}

/// Advice for the operator about a refused webhook; none for other problems, and for those that are logged elsewhere.
fn webhook_hint(kind: ProblemType) -> Option<&'static str> {
    Some(match kind {
        ProblemType::SignatureMissing => {
            "if these are from Stripe, let the proxy forward the Stripe-Signature header"
        }
        ProblemType::SignatureMalformed
        | ProblemType::SignatureWithoutV1
        | ProblemType::SignatureMismatch => {
            "set STRIPE_WEBHOOK_SECRET to the signing secret of the endpoint that posts here (Stripe \
             Dashboard: Developers, Webhooks, the endpoint, Signing secret; `stripe listen` prints its own), \
             and let no proxy change the body"
        }
        ProblemType::SignatureWrongBinding => {
            "correct the binding (live:, test:, connect:) before that secret in STRIPE_WEBHOOK_SECRET, or the \
             events that its endpoint sends"
        }
        ProblemType::SignatureTooOld | ProblemType::SignatureTooNew => {
            "compare this machine's clock with UTC, and check whether a proxy delays requests"
        }
        ProblemType::NotUtf8 | ProblemType::NotJson | ProblemType::NotAnEvent => {
            "the bodies are signed but are not events: check who else has the signing secret"
        }
        ProblemType::BodyIncomplete | ProblemType::BodyTooSlow | ProblemType::BodyTooLarge => {
            "bodies arrive slowly, broken or too large: check the proxy and the network"
        }
        ProblemType::BodiesFull => "too many large bodies arrive at once",
        ProblemType::QueueFull => {
            "events arrive faster than the log can commit: check the disk or the database"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_signature_has_a_hint() {
        for kind in ProblemType::ALL.iter().filter(|kind| kind.name().starts_with("signature-")) {
            assert!(webhook_hint(*kind).is_some(), "{kind:?}");
        }
        assert_eq!(webhook_hint(ProblemType::NotFound), None);
    }
}
