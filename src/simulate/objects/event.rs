//! Event around a snapshot.

use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{Format, Object, object};

/// Event to be signed and sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulatedEvent {
    /// `evt_…`.
    pub id: String,
    /// Connected account, `acct_…`; empty for the platform's own.
    pub account: String,
    /// Live or test mode.
    pub livemode: bool,
    /// For instance `customer.subscription.updated`.
    pub event_type: String,
    /// Time at which it happened, in Unix seconds.
    pub created: i64,
    /// Exact bytes of the webhook.
    pub body: String,
    /// Bytes for a second endpoint at another API version, if there is one.
    pub second_body: Option<String>,
    /// True if the final state can be computed without it.
    pub losable: bool,
}

impl SimulatedEvent {
    /// True if it is a v2 event, which has no snapshot.
    pub(crate) fn is_thin(&self) -> bool {
        self.event_type.starts_with("v1.")
    }
}

/// Fields of an event except its snapshot.
#[derive(Clone)]
pub(crate) struct Envelope<'a> {
    pub(crate) id: String,
    pub(crate) account: &'a str,
    pub(crate) livemode: bool,
    pub(crate) event_type: &'static str,
    pub(crate) created: i64,
    pub(crate) version: ApiVersion,
    /// Id of the request that caused it; `None` if Stripe did it by itself.
    pub(crate) request: Option<String>,
    /// Number of endpoints to which it is still to be delivered.
    pub(crate) pending_webhooks: i64,
}

impl Envelope<'_> {
    /// Writes the body with a snapshot.
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
        // In 2014 an event had no version, and its request was only the id.
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
