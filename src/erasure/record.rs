//! Event that records an erasure in the log.

use crate::ids::{EventId, Scope};
use crate::projection::erasure_record::ErasureRecord;
use crate::store::{EventFacts, EventSource, InvalidEvent, NewEvent, random_bytes};
use crate::time::StripeTime;

impl ErasureRecord {
    /// Makes the event of the record.
    pub fn into_event(
        self,
        id: EventId,
        scope: &Scope,
        at: StripeTime,
    ) -> Result<NewEvent, InvalidEvent> {
        let body = self.into_body(&id, scope, at);
        let facts = EventFacts {
            scope: scope.clone(),
            event_id: id,
            event_type: Self::TYPE.to_owned(),
            api_version: None,
            created: at,
            created_nanos: 0,
        };
        NewEvent::new(facts, EventSource::Subledger, None, body)
    }

    /// Draws the id of a new record. It is random, so that no event can take it beforehand.
    pub fn draw_id() -> EventId {
        EventId::new(format!("erasure_{}", hex::encode(random_bytes::<16>())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::erasure_record::{ErasedEvent, ErasedSubject};
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
        assert_eq!(erasure.describe(StripeTime(1_700_000_000)), words);
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
}
