//! Candidates: objects of an answer, as observations that may be appended.

use serde_json::value::RawValue;

use crate::ids::{Position, Scope};
use crate::projection::effects::{EventEffects, LoggedInput};
use crate::projection::row::SubscriptionRow;
use crate::store::{EventFacts, EventSource, NewEvent};
use crate::stripe::observation::{ApiRequest, ObjectHeader, Observation, StripeSeconds};
use crate::stripe::{Envelope, ObjectType};
use crate::time::StripeTime;

/// Object as an event that may be appended.
pub(crate) struct Candidate {
    pub(crate) event: NewEvent,
    /// Effects of an observation. None for an event, which is appended whatever it says.
    pub(crate) effects: Option<EventEffects>,
}

/// Reason why an object becomes no event. It contains nothing of the object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

impl Candidate {
    /// Observation of an object. None if the ledger does not read its type.
    pub(super) fn observed(
        object: &str,
        scope: &Scope,
        request: &ApiRequest,
    ) -> Result<Option<Self>, Unreadable> {
        let header: ObjectHeader<'_> = serde_json::from_str(object).map_err(unreadable)?;
        let is_known = header.object.as_deref().and_then(ObjectType::from_name).is_some();
        if !is_known {
            return Ok(None);
        }
        let seen_at = request.began();
        let observation = Observation::of(object, &header, scope, seen_at, Some(request));
        let observation = observation.map_err(unreadable)?;
        Self::of(&observation).map(Some)
    }

    /// Observation that a subscription is gone. The API shows nothing of it, so its body says only that.
    pub(super) fn gone_subscription(
        id: &str,
        customer: &str,
        scope: &Scope,
        request: &ApiRequest,
    ) -> Result<Self, Unreadable> {
        let object = serde_json::json!({
            "id": id, "object": "subscription", "customer": customer, "status": "canceled", "deleted": true,
        });
        Self::gone(ObjectType::Subscription, id, &object, scope, request)
    }

    /// Observation that the invoice of a subscription is gone: Stripe deletes drafts. Its body says only that.
    pub(super) fn gone_invoice(
        id: &str,
        subscription: &SubscriptionRow,
        scope: &Scope,
        request: &ApiRequest,
    ) -> Result<Self, Unreadable> {
        let object = serde_json::json!({
            "id": id,
            "object": "invoice",
            "customer": subscription.customer_id.as_str(),
            "subscription": subscription.subscription_id.as_str(),
            "deleted": true,
        });
        Self::gone(ObjectType::Invoice, id, &object, scope, request)
    }

    fn gone(
        object_type: ObjectType,
        id: &str,
        object: &serde_json::Value,
        scope: &Scope,
        request: &ApiRequest,
    ) -> Result<Self, Unreadable> {
        let observation = Observation {
            scope,
            object_type: object_type.as_str(),
            object_id: id,
            is_gone: true,
            seen_at: request.began(),
            request: Some(request),
            object: &object.to_string(),
        };
        Self::of(&observation)
    }

    /// Observation of the features of a customer. The API shows a list of them for each customer, and no summary, so
    /// the observation is the summary that an event would carry, around the list's unchanged elements.
    pub(super) fn features(
        customer: &str,
        entitlements: &[Box<RawValue>],
        scope: &Scope,
        request: &ApiRequest,
    ) -> Result<Self, Unreadable> {
        let elements: Vec<&str> = entitlements.iter().map(|it| it.get()).collect();
        let name = ObjectType::EntitlementSummary.as_str();
        let object = format!(
            r#"{{"object":"{name}","customer":{},"livemode":{},"entitlements":{{"object":"list","data":[{}],"has_more":false}}}}"#,
            serde_json::Value::from(customer),
            scope.livemode,
            elements.join(",")
        );
        let seen_at = request.began();
        let observation = Observation {
            scope,
            object_type: name,
            object_id: customer,
            is_gone: false,
            seen_at,
            request: Some(request),
            object: &object,
        };
        Self::of(&observation)
    }

    fn of(observation: &Observation<'_>) -> Result<Self, Unreadable> {
        let body = observation.body();
        let envelope = Envelope::parse(&body).map_err(unreadable)?;
        let facts = EventFacts::from(&envelope);
        let effects = EventEffects::read(&LoggedInput {
            position: Position::ZERO,
            created: facts.created,
            scope: observation.scope,
            event_id: facts.event_id.as_str(),
            event_type: &facts.event_type,
            is_own_record: false,
            body: Some(&body),
            damage: None,
        });
        if let Some(parked) = effects.parked {
            return Err(Unreadable(parked.reason));
        }
        let event = NewEvent::new(facts, EventSource::Api, None, body).map_err(unreadable)?;
        Ok(Self { event, effects: Some(effects) })
    }
}

/// Request whose `Date` is not after `now`. A proxy may have a clock that is ahead, and an observation of the future
/// would win over every event until then.
pub(super) fn seen_by(request: &ApiRequest, now: StripeTime) -> ApiRequest {
    ApiRequest { date: StripeSeconds(request.date.0.min(now.0)), ..request.clone() }
}

pub(super) fn unreadable(error: impl std::fmt::Display) -> Unreadable {
    Unreadable(error.to_string())
}
