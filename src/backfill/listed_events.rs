//! Events of the list of events, compared with the log.

use serde_json::value::RawValue;

use super::candidate::{Unreadable, unreadable};
use crate::ids::{EventId, Scope};
use crate::store::{EventFacts, EventSource, KnownEvent, Log, NewEvent, StoreError};
use crate::stripe::Envelope;
use crate::time::StripeTime;

/// Page of the list of events, compared with the log.
#[derive(Debug, Default)]
pub struct ListedEvents {
    /// Events that the log does not have.
    pub new: Vec<NewEvent>,
    /// Events that the log has.
    pub known: Vec<KnownListed>,
    /// Number of events that cannot be read.
    pub unreadable: u64,
}

/// Listed event that the log has.
#[derive(Clone, Debug)]
pub struct KnownListed {
    /// Second in which it happened.
    pub created: StripeTime,
    /// Type of the event.
    pub event_type: String,
    /// Deliveries of it, as far as the log knows them.
    pub known: KnownEvent,
}

impl ListedEvents {
    /// Reads the events of a page of an account and mode, and looks them up in the log by their ids. Listing an event
    /// again is no redelivery.
    pub async fn read(
        log: &Log,
        scope: &Scope,
        objects: &[Box<RawValue>],
    ) -> Result<Self, StoreError> {
        let mut listed = Self::default();
        let mut events = Vec::with_capacity(objects.len());
        for object in objects {
            match listed_event(object.get(), scope) {
                Ok(event) => events.push(event),
                Err(Unreadable(reason)) => {
                    listed.unreadable += 1;
                    tracing::warn!("an event of Stripe's list is not appended: {reason}");
                }
            }
        }
        let ids: Vec<EventId> = events.iter().map(|it| it.facts().event_id.clone()).collect();
        let known = log.known_events(scope, &ids).await?;
        for event in events {
            match known.get(&event.facts().event_id) {
                None => listed.new.push(event),
                Some(known) => listed.known.push(KnownListed {
                    created: event.facts().created,
                    event_type: event.facts().event_type.clone(),
                    known: *known,
                }),
            }
        }
        Ok(listed)
    }
}

/// Event from the list of events. One of a connected account names no account there.
pub(super) fn listed_event(body: &str, scope: &Scope) -> Result<NewEvent, Unreadable> {
    let envelope = Envelope::parse(body).map_err(unreadable)?;
    let mut facts = EventFacts::from(&envelope);
    facts.scope.account = scope.account.clone();
    NewEvent::new(facts, EventSource::Api, None, body.to_owned()).map_err(unreadable)
}
