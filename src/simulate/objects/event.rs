//! The envelope around a snapshot.

use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{Format, Object, object};

/// An event, ready to be signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvent {
    /// `evt_…`.
    pub id: String,
    /// The connected account, `acct_…`; empty for the platform's own.
    pub account: String,
    /// Live or test mode.
    pub livemode: bool,
    /// For instance `customer.subscription.updated`.
    pub event_type: String,
    /// When it happened, in Unix seconds.
    pub created: i64,
    /// The exact bytes of the webhook.
    pub body: String,
    /// The bytes that a second endpoint at another API version gets, where there is one.
    pub second_body: Option<String>,
    /// Whether the truth can be told without it.
    pub losable: bool,
}

/// Everything of an event but its snapshot.
#[derive(Clone)]
pub(crate) struct Envelope<'a> {
    pub(crate) id: String,
    pub(crate) account: &'a str,
    pub(crate) livemode: bool,
    pub(crate) event_type: &'static str,
    pub(crate) created: i64,
    pub(crate) version: ApiVersion,
    /// The request that caused it; none where Stripe did it by itself.
    pub(crate) request: Option<String>,
    /// To how many endpoints it is still to be delivered.
    pub(crate) pending_webhooks: i64,
}

impl Envelope<'_> {
    /// Puts the snapshot in and writes the body.
    pub(crate) fn seal(
        &self,
        snapshot: Object,
        previous: Option<Object>,
        format: Format,
    ) -> String {
        let mut data = object! { "object": snapshot };
        if let Some(previous) = previous {
            data.set("previous_attributes", previous);
        }
        let mut event = object! {
            "id": &self.id,
            "object": "event",
            "created": self.created,
            "data": data,
            "livemode": self.livemode,
            "pending_webhooks": self.pending_webhooks,
            "request": &self.request,
            "type": self.event_type,
        };
        // In 2014 an event did not say its version, and its request was the bare id.
        if self.version >= ApiVersion::V2018 {
            event.set("api_version", self.version.as_str());
            let key = self.request.as_ref().map(|id| id.replacen("req_", "key-", 1));
            event.set("request", object! { "id": &self.request, "idempotency_key": key });
        }
        if !self.account.is_empty() {
            event.set("account", self.account.to_owned());
        }
        event.to_body(format)
    }
}
