//! The envelope around a snapshot.

use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{Format, Object, Wire, object};

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
    /// Whether the truth can still be told if this event never arrives.
    pub losable: bool,
}

/// Everything of an event but its snapshot.
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
    /// Until May 2017 the bare id or null.
    fn render_request(&self) -> Wire {
        if self.version == ApiVersion::V2014 {
            return self.request.clone().into();
        }
        object! {
            "id": &self.request,
            "idempotency_key": self.request.as_ref().map(|id| id.replacen("req_", "key-", 1)),
        }
        .into()
    }

    /// Puts the snapshot in and writes the body.
    pub(crate) fn seal(
        self,
        snapshot: Object,
        previous: Option<Object>,
        format: Format,
    ) -> SimulatedEvent {
        let mut data = object! { "object": snapshot };
        if let Some(previous) = previous {
            data.set("previous_attributes", previous);
        }
        let mut event = object! { "id": &self.id, "object": "event" };
        // Events of 2014 do not say at which version they are rendered.
        if self.version > ApiVersion::V2014 {
            event.set("api_version", self.version.as_str());
        }
        event.set("created", self.created);
        event.set("data", data);
        event.set("livemode", self.livemode);
        event.set("pending_webhooks", self.pending_webhooks);
        event.set("request", self.render_request());
        event.set("type", self.event_type);
        if !self.account.is_empty() {
            event.set("account", self.account.to_owned());
        }
        SimulatedEvent {
            id: self.id,
            account: self.account.to_owned(),
            livemode: self.livemode,
            event_type: self.event_type.to_owned(),
            created: self.created,
            body: event.to_body(format),
            losable: false,
        }
    }
}
