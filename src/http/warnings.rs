//! Warnings of the HTTP edge: refused webhooks, refused reads, connections that gave way.
//!
//! A line of the log holds counts and reasons, and never a secret, a body or a signature.

use std::time::Duration;

use super::problem::ProblemType;
use super::throttle::{ReasonCounts, Throttle};
use crate::clock::{Clock, Stopwatch};
use crate::config::{ACCESS_TOKEN, API_TOKEN};

/// Interval between two warnings of one throttle.
const INTERVAL: Duration = Duration::from_mins(1);

/// Warnings of the HTTP edge.
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
    /// Counts a refused request, if its kind is of interest to the operator.
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

    /// Counts a connection that was closed to make room for another one.
    pub(super) fn connection_evicted(&self, reason: &'static str) {
        self.connections.count(reason, self.time.elapsed()).as_ref().map(warn_connections);
    }

    /// Tells what was counted and not told, where an interval is over.
    pub(super) fn log_due(&self) {
        let now = self.time.elapsed();
        self.webhook.due(now).as_ref().map(warn_webhook);
        self.api.due(now).as_ref().map(warn_api);
        self.connections.due(now).as_ref().map(warn_connections);
    }
}

fn warn_webhook(tally: &ReasonCounts) {
    let kinds = ProblemType::ALL.iter().filter(|kind| tally.reasons().any(|it| it == kind.name()));
    let mut hints: Vec<&str> = kinds.filter_map(|kind| webhook_hint(*kind)).collect();
    hints.dedup();
    let (refused, hints) = (tally.total(), hints.join("; "));
    tracing::warn!(
        refused,
        reasons = %tally,
        "webhooks are refused, {refused} since the last such line ({tally}): {hints}"
    );
}

fn warn_api(tally: &ReasonCounts) {
    let refused = tally.total();
    tracing::warn!(
        refused,
        reasons = %tally,
        "requests for reading are refused, {refused} since the last such line ({tally}): send a token of \
         {API_TOKEN} as Authorization: Bearer (a token of {ACCESS_TOKEN} only opens /v1/users/{{id}})"
    );
}

fn warn_connections(tally: &ReasonCounts) {
    let closed = tally.total();
    tracing::warn!(
        closed,
        reasons = %tally,
        "connections were closed because a limit was reached, {closed} since the last such line ({tally}): \
         raise --connections or --connections-per-address if the clients are yours"
    );
}

/// Advice about a kind of refused webhook; none for what is no refusal of a webhook, or is logged elsewhere.
fn webhook_hint(kind: ProblemType) -> Option<&'static str> {
    Some(match kind {
        ProblemType::SignatureMissing => {
            "if these are from Stripe, let the proxy pass the Stripe-Signature header on"
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
            "compare this machine's clock with UTC; a proxy that holds requests back makes them old, too"
        }
        ProblemType::NotUtf8 | ProblemType::NotJson | ProblemType::NotAnEvent => {
            "these are signed and are no events: look who else has the signing secret"
        }
        ProblemType::BodyIncomplete | ProblemType::BodyTooSlow | ProblemType::BodyTooLarge => {
            "bodies arrive slowly, broken or too large: look at the proxy and the network"
        }
        ProblemType::BodiesFull => "too many large bodies arrive at once",
        ProblemType::QueueFull => {
            "events arrive faster than the log can commit: look at the disk or the database"
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
