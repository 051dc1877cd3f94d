//! Effects of one event: the single place where an event of the log is read for the read model.
//!
//! Live folding, a rebuild, a verification, a history and an erasure all take what they need from [`EventEffects`].
//!
//! *Invariant: pure. The same event has the same effects, whoever asks.*

use std::panic::{UnwindSafe, catch_unwind};

use super::catalogue::CatalogueEntry;
use super::erasure_record::ErasureRecord;
use super::observe::{FoldError, Observation, PaymentLink, observe_as};
use super::state::StateChange;
use super::user_link::{UserLink, UserLinkRecord};
use crate::ids::{CustomerId, CustomerKey, EventId, Position, Scope, SubscriptionId};
use crate::stripe::Envelope;
use crate::stripe::json::Text;
use crate::stripe::routing::{self, Routing};
use crate::time::StripeTime;

/// Event of the log, as the fold reads it.
#[derive(Clone, Debug)]
pub struct LoggedInput<'a> {
    /// Position of the event.
    pub position: Position,
    /// Second in which it happened, by Stripe's clock.
    pub created: StripeTime,
    /// Account and mode.
    pub scope: &'a Scope,
    /// Id of the event.
    pub event_id: &'a str,
    /// Type of the event.
    pub event_type: &'a str,
    /// True for a record of the ledger's own, such as that of an erasure.
    pub is_own_record: bool,
    /// Body; none if it was erased. Of a damaged event, the readable rest.
    pub body: Option<&'a str>,
    /// Reason why the event cannot be read; none if its row is sound.
    pub damage: Option<String>,
}

/// Effects of one event on a read model.
#[derive(Debug, Default)]
pub struct EventEffects {
    /// Entries of timelines.
    pub timeline: Vec<TimelineEntry>,
    /// Customer that the event names; none for an event that could not be folded.
    pub customer: Option<CustomerKey>,
    /// Subscription that the event names; none for an event that could not be folded.
    pub subscription: Option<SubscriptionId>,
    /// Change of that customer's state; none for an event that is on timelines only.
    pub change: Option<StateChange>,
    /// Links from objects of a payment to their customer.
    pub links: Vec<PaymentLink>,
    /// Name of a product or a price.
    pub catalogue: Option<CatalogueEntry>,
    /// Entry of an event that could not be folded.
    pub parked: Option<Parked>,
    /// Fields that could not be read and were skipped, in words and without their values.
    pub notes: Vec<String>,
}

/// Entry of one event on one timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// Customer of the timeline. Where an event names no customer, an object of its payment stands in
    /// their place, and [`PaymentLink`]s lead from it to the customer when the timeline is read.
    pub customer: CustomerKey,
    /// Subscription that the event names.
    pub subscription: Option<SubscriptionId>,
    /// Position of the event.
    pub position: Position,
    /// Second in which the event happened.
    pub created: StripeTime,
}

/// Event whose fold failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Position of the event.
    pub position: Position,
    /// Id of the event.
    pub event_id: EventId,
    /// Account and mode.
    pub scope: Scope,
    /// Customer that the event names, as far as that can be read.
    pub customer: Option<CustomerId>,
    /// Subscription that the event names, as far as that can be read.
    pub subscription: Option<SubscriptionId>,
    /// Type of the event.
    pub event_type: String,
    /// Reason.
    pub reason: String,
}

impl EventEffects {
    /// Reads an event. A defect that it brings to light parks this event and holds up no other.
    pub fn read(event: &LoggedInput<'_>) -> Self {
        Self::guarded(event, || Self::read_unguarded(event))
    }

    fn guarded(event: &LoggedInput<'_>, read: impl FnOnce() -> Self + UnwindSafe) -> Self {
        let defect = || Self::parked(event, &Routing::default(), &FoldError::Defect);
        catch_unwind(read).unwrap_or_else(|_| defect())
    }

    fn read_unguarded(event: &LoggedInput<'_>) -> Self {
        if let Some(cause) = &event.damage {
            let error = FoldError::Damaged(cause.clone());
            return Self::parked(event, &routing_of_rest(event.body), &error);
        }
        let Some(body) = event.body else { return Self::default() };
        if event.is_own_record {
            return Self::of_own_record(event, body).unwrap_or_default();
        }
        // The body of a type that no projection folds is not parsed.
        if routing::is_account_event(event.event_type) {
            return Self::default();
        }
        match observe_as(event.event_type, body) {
            Ok(mut observation) => {
                // The API lists the events of a connected account without naming it.
                if !event.scope.account.as_str().is_empty() {
                    observation.set_account(&event.scope.account);
                }
                Self::observed(event, observation)
            }
            Err(error) => Self::parked(event, &routing(body), &error),
        }
    }

    fn observed(event: &LoggedInput<'_>, observation: Observation) -> Self {
        let Observation { customer, subscription, payment_keys, links, catalogue, change, notes } =
            observation;
        let timeline = payment_keys.into_iter().chain(customer.clone());
        let timeline = timeline.map(|key| event.entry(key, subscription.clone())).collect();
        Self { timeline, customer, subscription, change, links, catalogue, parked: None, notes }
    }

    fn of_own_record(event: &LoggedInput<'_>, body: &str) -> Option<Self> {
        Some(if event.event_type == UserLinkRecord::TYPE {
            Self::of_link(event, UserLinkRecord::read(body)?)
        } else {
            Self::of_erasure(event, &ErasureRecord::read(body)?)
        })
    }

    /// The record links the customer, and stands on its timeline.
    fn of_link(event: &LoggedInput<'_>, record: UserLinkRecord) -> Self {
        let key = CustomerKey { scope: event.scope.clone(), customer: record.customer };
        let link = UserLink {
            created: event.created,
            event_id: EventId::new(event.event_id),
            user_id: record.user_id.filter(|user| !user.is_empty()),
        };
        Self {
            timeline: vec![event.entry(key.clone(), None)],
            customer: Some(key),
            change: Some(StateChange::UserLink(link)),
            ..Self::default()
        }
    }

    /// The record stands on the timelines that held the erased events.
    fn of_erasure(event: &LoggedInput<'_>, record: &ErasureRecord) -> Self {
        let entries = record.subjects().into_iter().map(|subject| {
            let (scope, customer) = (event.scope.clone(), subject.customer.clone());
            event.entry(CustomerKey { scope, customer }, subject.subscription.clone())
        });
        Self { timeline: entries.collect(), ..Self::default() }
    }

    /// A parked event still stands on the timeline of the customer that it names.
    fn parked(event: &LoggedInput<'_>, routing: &Routing<'_>, error: &FoldError) -> Self {
        let parked = Parked {
            position: event.position,
            event_id: EventId::new(event.event_id),
            scope: event.scope.clone(),
            customer: routing.customer.as_deref().map(CustomerId::from),
            subscription: routing.subscription.as_deref().map(SubscriptionId::from),
            event_type: event.event_type.to_owned(),
            reason: error.to_string(),
        };
        let key = |customer| CustomerKey { scope: event.scope.clone(), customer };
        let customer = parked.customer.clone().map(key);
        let timeline = customer.map(|key| event.entry(key, parked.subscription.clone()));
        let timeline = timeline.into_iter().collect();
        Self { timeline, parked: Some(parked), ..Self::default() }
    }

    /// Customer whose state the event changes.
    pub fn changed_customer(&self) -> Option<&CustomerKey> {
        self.customer.as_ref().filter(|_| self.change.is_some())
    }
}

impl LoggedInput<'_> {
    fn entry(&self, customer: CustomerKey, subscription: Option<SubscriptionId>) -> TimelineEntry {
        TimelineEntry { customer, subscription, position: self.position, created: self.created }
    }
}

/// Customer and subscription that a body names, as far as they can be read.
fn routing(body: &str) -> Routing<'_> {
    let routing = Envelope::<Routing<'_>>::read(body).ok().and_then(|it| it.object);
    routing.unwrap_or_default()
}

/// Customer and subscription that the rest of a damaged body names. An id that is damaged itself does not count.
fn routing_of_rest(body: Option<&str>) -> Routing<'_> {
    let mut routing = body.map(routing).unwrap_or_default();
    let is_whole = |id: &Text<'_>| !id.contains(char::REPLACEMENT_CHARACTER);
    routing.customer = routing.customer.filter(is_whole);
    routing.subscription = routing.subscription.filter(is_whole);
    routing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input<'a>(scope: &'a Scope, event_type: &'a str, body: &'a str) -> LoggedInput<'a> {
        LoggedInput {
            position: Position(7),
            created: StripeTime(1),
            scope,
            event_id: "evt_7",
            event_type,
            is_own_record: false,
            body: Some(body),
            damage: None,
        }
    }

    #[test]
    fn the_body_of_a_type_that_names_nobody_is_not_parsed() {
        let scope = Scope::default();
        let is_parked =
            |event_type| EventEffects::read(&input(&scope, event_type, "no JSON")).parked.is_some();
        assert!(!is_parked("payout.paid"));
        assert!(is_parked("charge.refunded"));
    }

    #[test]
    fn a_defect_that_an_event_brings_to_light_parks_it() {
        let scope = Scope::default();
        let event = input(&scope, "customer.updated", "{}");
        let parked = EventEffects::guarded(&event, || panic!("a defect")).parked.unwrap();
        assert_eq!((parked.position, parked.event_id.as_str()), (Position(7), "evt_7"));
        assert_eq!(parked.reason, FoldError::Defect.to_string());
    }
}
