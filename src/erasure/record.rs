//! The record of an erasure, as it stands in the log.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{CustomerId, EventId, Scope, SubscriptionId};
use crate::store::{EventFacts, EventSource, InvalidEvent, NewEvent, random_bytes};
use crate::time::StripeTime;

/// What was erased, by whom and why. When is the event's own time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// A person or an office.
    pub by: String,
    /// As the number of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The events, of the account and mode of the record.
    pub events: Vec<ErasedEvent>,
}

/// An event that said something until it was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedEvent {
    /// Which.
    pub event_id: EventId,
    /// Whose history it belongs to; ids alone, so that a history can say that something is gone.
    pub subjects: Vec<ErasedSubject>,
}

/// A customer, or an object that stands in one's place, and the subscription that an event named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ErasedSubject {
    /// `cus_…`
    pub customer: CustomerId,
    /// `sub_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
}

/// The form of Stripe's events, so that who reads the log needs to know no other.
#[derive(Serialize, Deserialize)]
struct Body<O> {
    id: String,
    object: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<String>,
    created: i64,
    livemode: bool,
    r#type: String,
    data: Data<O>,
}

#[derive(Serialize, Deserialize)]
struct Data<O> {
    object: O,
}

impl ErasureRecord {
    /// The type of the record.
    pub const TYPE: &str = "subledger.erasure";

    /// The record as an event of its own.
    pub fn into_event(
        self,
        id: EventId,
        scope: &Scope,
        at: StripeTime,
    ) -> Result<NewEvent, InvalidEvent> {
        let facts = EventFacts {
            scope: scope.clone(),
            event_id: id,
            event_type: Self::TYPE.to_owned(),
            api_version: None,
            created: at,
            created_nanos: 0,
        };
        let account = scope.account.as_str();
        let body = Body {
            id: facts.event_id.as_str().to_owned(),
            object: "event".to_owned(),
            account: (!account.is_empty()).then(|| account.to_owned()),
            created: at.0,
            livemode: scope.livemode,
            r#type: Self::TYPE.to_owned(),
            data: Data { object: self },
        };
        // Text, numbers and lists of them are always written.
        let body = serde_json::to_string(&body).unwrap_or_default();
        NewEvent::new(facts, EventSource::Subledger, None, body)
    }

    /// A new id of a record. Nobody can guess it, and so no event can take it before the record does.
    pub fn draw_id() -> EventId {
        EventId::new(format!("erasure_{}", hex::encode(random_bytes::<16>())))
    }

    /// The record that a body is, if it is one.
    pub fn read(body: &str) -> Option<Self> {
        let body: Body<Self> = serde_json::from_str(body).ok()?;
        (body.r#type == Self::TYPE).then_some(body.data.object)
    }

    /// As a history says it: "erased on 2026-03-01 by Ann (request 7)".
    pub fn in_words(&self, at: StripeTime) -> String {
        let day = at.to_string();
        let day = day.get(..10).unwrap_or(&day);
        let reason = self.reason.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        format!("erased on {day} by {}{reason}", self.by)
    }

    /// Whose history it belongs to.
    pub fn subjects(&self) -> BTreeSet<&ErasedSubject> {
        self.events.iter().flat_map(|event| &event.subjects).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::Envelope;

    #[test]
    fn a_record_is_read_as_it_was_written_and_is_an_event_like_any_other() {
        let subject =
            ErasedSubject { customer: "cus_1".into(), subscription: Some("sub_1".into()) };
        let event = |id: &str| ErasedEvent { event_id: id.into(), subjects: vec![subject.clone()] };
        let erasure = ErasureRecord {
            by: "Ann \"privacy\"\n".to_owned(),
            reason: Some("request 7".to_owned()),
            events: vec![event("evt_1"), event("evt_2")],
        };
        assert_eq!(erasure.subjects().len(), 1);
        let words = "erased on 2023-11-14 by Ann \"privacy\"\n (request 7)";
        assert_eq!(erasure.in_words(StripeTime(1_700_000_000)), words);
        let scope = Scope { account: "acct_1".into(), livemode: true };
        let id = ErasureRecord::draw_id();
        let new =
            erasure.clone().into_event(id.clone(), &scope, StripeTime(1_700_000_000)).unwrap();
        let body = new.body().unwrap();
        assert_eq!(ErasureRecord::read(body), Some(erasure));
        let facts = EventFacts::from(&Envelope::parse(body).unwrap());
        assert_eq!(&facts, new.facts());
        assert_eq!(facts.event_id, id);
    }

    #[test]
    fn the_id_of_a_record_is_never_the_same_again() {
        let (one, other) = (ErasureRecord::draw_id(), ErasureRecord::draw_id());
        assert_ne!(one, other);
        assert_eq!(one.as_str().len(), "erasure_".len() + 32);
    }

    #[test]
    fn what_is_no_record_is_none() {
        for body in ["", "{}", r#"{"id":"evt_1","type":"customer.created","data":{"object":{}}}"#] {
            assert_eq!(ErasureRecord::read(body), None);
        }
    }
}
