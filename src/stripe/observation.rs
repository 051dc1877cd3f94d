//! Observation: an object as Stripe's API showed it, in the form of an event of the log.
//!
//! ```json
//! {"object":"subledger.observation","id":"obs_…","type":"subledger.observation.subscription","created":1767225600,
//!  "livemode":true,"account":"acct_…","request":{"method":"GET","url":"/v1/subscriptions?limit=100&status=all",
//!  "stripe_version":"2026-09-30.endive","request_id":"req_…","date":1767225601,"seconds":0.25},
//!  "data":{"object":{…}}}
//! ```
//!
//! The bytes of the object are those of the answer. `created` is the second in which the request began, by Stripe's
//! clock: its `Date` less the duration of the request. It is early rather than late, so an event that happened during
//! the request wins over the observation, and loses nothing if the observation contains it already.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::ObjectType;
use super::json::Text;
use crate::ids::{EventId, Scope};
use crate::time::StripeTime;

/// Value of the field `object` of an observation's body.
pub const OBJECT: &str = "subledger.observation";

/// Beginning of the type of an observation; the type of its object follows.
pub const TYPE_PREFIX: &str = "subledger.observation.";

/// End of the type of an observation of an object that is gone.
pub const GONE_SUFFIX: &str = ".deleted";

/// Request to Stripe's API that showed an object.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ApiRequest {
    /// `GET`.
    pub method: String,
    /// Path and query, without the host.
    pub url: String,
    /// API version that the answer is rendered at, by its header `Stripe-Version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_version: Option<String>,
    /// Header `Request-Id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// Header `Date`, by Stripe's clock.
    pub date: StripeSeconds,
    /// Duration of the request until the answer was complete.
    pub seconds: f64,
}

/// Second by Stripe's clock, written as a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StripeSeconds(pub i64);

impl ApiRequest {
    /// Method and path, without the query.
    pub fn describe(&self) -> String {
        let path = self.url.split('?').next().unwrap_or_default();
        format!("{} {path}", self.method)
    }

    /// Second in which the request began, by Stripe's clock. `Date` is cut to whole seconds, so this is never late.
    pub fn began(&self) -> StripeTime {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a request takes less than 2^63 seconds"
        )]
        let seconds = self.seconds.max(0.0).ceil() as i64;
        StripeTime(self.date.0.saturating_sub(seconds))
    }
}

/// Observation before it is logged.
#[derive(Clone, Debug)]
pub struct Observation<'a> {
    /// Account and mode that the object belongs to.
    pub scope: &'a Scope,
    /// Type of the object, such as `subscription`.
    pub object_type: &'a str,
    /// Id of the object.
    pub object_id: &'a str,
    /// True if the API says that the object is gone.
    pub is_gone: bool,
    /// Second in which it was seen: [`ApiRequest::began`], or what a person states.
    pub seen_at: StripeTime,
    /// Request that showed it; none for an object that a person imported.
    pub request: Option<&'a ApiRequest>,
    /// The object's bytes as they stood in the answer.
    pub object: &'a str,
}

/// Reason why JSON is no object that can be observed. It contains nothing of the JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotObservable {
    /// It has no `object` or no `id`.
    #[error("the object has no `id` or no `object`")]
    Nameless,
    /// It is of a type that the ledger does not read.
    #[error("the ledger does not read objects of this type")]
    UnknownType,
}

/// Fields by which an object says what it is.
#[derive(Clone, Debug, Deserialize)]
pub struct ObjectHeader<'a> {
    /// Id of the object.
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    /// Type of the object.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// Mode. Objects inside others, and deleted ones, may lack it.
    pub livemode: Option<bool>,
    /// True for an object that is gone.
    #[serde(default)]
    pub deleted: bool,
}

impl<'a> Observation<'a> {
    /// Observation of an object of Stripe's by the fields in which it says what it is.
    pub fn of(
        object: &'a str,
        header: &'a ObjectHeader<'_>,
        scope: &'a Scope,
        seen_at: StripeTime,
        request: Option<&'a ApiRequest>,
    ) -> Result<Self, NotObservable> {
        let (Some(id), Some(object_type)) = (&header.id, &header.object) else {
            return Err(NotObservable::Nameless);
        };
        if ObjectType::from_name(object_type).is_none() {
            return Err(NotObservable::UnknownType);
        }
        Ok(Self {
            scope,
            object_type: &**object_type,
            object_id: &**id,
            is_gone: header.deleted,
            seen_at,
            request,
            object,
        })
    }

    /// Type of its event.
    pub fn event_type(&self) -> String {
        let suffix = if self.is_gone { GONE_SUFFIX } else { "" };
        format!("{TYPE_PREFIX}{}{suffix}", self.object_type)
    }

    /// Id of its event: one for each object and second, so that a repeated append is a redelivery.
    ///
    /// It does not depend on the content. A hash of the content would let others check a guess at it after it was
    /// erased; and an object that returns to earlier content is a new observation.
    pub fn event_id(&self) -> EventId {
        let mut hash = Sha256::new();
        let Scope { account, livemode } = self.scope;
        let mode = if *livemode { "live" } else { "test" };
        let (event_type, second) = (self.event_type(), self.seen_at.0.to_string());
        for part in [account.as_str(), mode, &event_type, self.object_id, &second] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        EventId::new(format!("obs_{}", hex::encode(&hash.finalize()[..16])))
    }

    /// Body of its event, around the unchanged bytes of the object.
    pub fn body(&self) -> String {
        let Self { scope, is_gone: _, object_type: _, object_id: _, seen_at, request, object } =
            self;
        let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
        let mut body = String::with_capacity(object.len() + 512);
        let _ = write!(
            body,
            r#"{{"object":{},"id":{},"type":{},"created":{},"livemode":{}"#,
            quoted(OBJECT),
            quoted(self.event_id().as_str()),
            quoted(&self.event_type()),
            seen_at.0,
            scope.livemode
        );
        if !scope.account.as_str().is_empty() {
            let _ = write!(body, r#","account":{}"#, quoted(scope.account.as_str()));
        }
        if let Some(version) = request.and_then(|it| it.stripe_version.as_deref()) {
            let _ = write!(body, r#","api_version":{}"#, quoted(version));
        }
        if let Some(request) = request {
            let _ = write!(
                body,
                r#","request":{}"#,
                serde_json::to_string(request).unwrap_or_default()
            );
        }
        let _ = write!(body, r#","data":{{"object":{object}}}}}"#);
        body
    }
}

/// Request that an observation's body names. None if there is none, or it cannot be read.
pub fn request_of(body: &str) -> Option<ApiRequest> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        request: Option<&'a RawValue>,
    }
    let body: Body<'_> = serde_json::from_str(body).ok()?;
    serde_json::from_str(body.request?.get()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::Envelope;

    const OBJECT_BYTES: &str =
        "{ \"id\":\"sub_1\",\n \"object\":\"subscription\", \"livemode\":true }";

    fn request() -> ApiRequest {
        ApiRequest {
            method: "GET".to_owned(),
            url: "/v1/subscriptions?status=all".to_owned(),
            stripe_version: Some("2026-09-30.endive".to_owned()),
            request_id: Some("req_1".to_owned()),
            date: StripeSeconds(100),
            seconds: 1.25,
        }
    }

    #[test]
    fn an_observation_is_an_event_around_the_unchanged_bytes_of_its_object() {
        let (scope, request) = (Scope { account: "acct_1".into(), livemode: true }, request());
        let header: ObjectHeader<'_> = serde_json::from_str(OBJECT_BYTES).unwrap();
        let seen = Observation::of(OBJECT_BYTES, &header, &scope, request.began(), Some(&request))
            .unwrap();
        let body = seen.body();
        let envelope = Envelope::parse(&body).unwrap();
        assert_eq!(envelope.object.unwrap().get(), OBJECT_BYTES);
        assert_eq!(envelope.id, seen.event_id().as_str());
        assert_eq!(envelope.event_type, "subledger.observation.subscription");
        assert_eq!((envelope.created, envelope.scope()), (StripeTime(98), scope.clone()));
        assert_eq!(envelope.api_version.as_deref(), Some("2026-09-30.endive"));
        assert_eq!(request_of(&body), Some(request));
        assert!(envelope.is_observation);
    }

    #[test]
    fn an_object_has_one_observation_a_second_and_another_one_when_it_is_gone() {
        let scope = Scope::default();
        let header: ObjectHeader<'_> = serde_json::from_str(OBJECT_BYTES).unwrap();
        let at = |second, is_gone| Observation {
            is_gone,
            ..Observation::of(OBJECT_BYTES, &header, &scope, StripeTime(second), None).unwrap()
        };
        assert_eq!(at(1, false).event_id(), at(1, false).event_id());
        assert_ne!(at(1, false).event_id(), at(2, false).event_id());
        assert_ne!(at(1, false).event_id(), at(1, true).event_id());
        assert_eq!(at(1, true).event_type(), "subledger.observation.subscription.deleted");
    }

    #[test]
    fn what_is_no_object_of_a_known_type_is_not_observed() {
        let observe = |json: &str| {
            let header: ObjectHeader<'_> = serde_json::from_str(json).unwrap();
            Observation::of(json, &header, &Scope::default(), StripeTime(1), None).map(drop)
        };
        assert_eq!(observe("{}"), Err(NotObservable::Nameless));
        assert_eq!(observe(r#"{"id":"x_1","object":"charge"}"#), Err(NotObservable::UnknownType));
        assert_eq!(observe(r#"{"id":"cus_1","object":"customer","deleted":true}"#), Ok(()));
    }
}
