//! Observation of one event: the customer it is about, and the change of that customer's state.
//!
//! There is a file for each object that changes a row or a name. Any other event is only on the timeline of the
//! customer that its object names.

mod catalogue;
mod checkout_session;
mod customer;
mod discount;
mod entitlements;
mod error;
mod invoice;
mod optional_fields;
mod subscription;
mod subscription_schedule;

pub use error::FoldError;

use super::catalogue::CatalogueEntry;
use super::group::{Precedence, Snapshot};
use super::latest::Latest;
use super::lazy_digest::LazyDigest;
use super::order::{Evidence, LifecyclePhase};
use super::state::StateChange;
use crate::ids::{AccountId, CustomerId, CustomerKey, EventId, Scope, SubscriptionId};
use crate::stripe::json::{Id, Text};
use crate::stripe::payment::PaymentReferences;
use crate::stripe::routing::Routing;
use crate::stripe::{Envelope, ObjectType};
use serde_json::value::RawValue;

/// Content of one event, as far as the ledger uses it.
#[derive(Debug, Default)]
pub struct Observation {
    /// The customer; none if the event names none, and then it changes no state.
    pub customer: Option<CustomerKey>,
    /// Subscription that the event names, for the timeline.
    pub subscription: Option<SubscriptionId>,
    /// Objects of the payment, if the event names no customer. They take the customer's place on the timeline
    /// until a [`PaymentLink`] leads from one of them to a customer.
    pub payment_keys: Vec<CustomerKey>,
    /// Links that the event contains, from objects of a payment to their customer.
    pub links: Vec<PaymentLink>,
    /// Name that it gives a product or a price.
    pub catalogue: Option<CatalogueEntry>,
    /// Change of the customer's state; none for events that are only on the timeline.
    pub change: Option<StateChange>,
    /// Notes about fields that could not be read and were skipped, without their values.
    pub notes: Vec<String>,
}

impl Observation {
    /// Sets the account that the event belongs to.
    pub fn set_account(&mut self, account: &AccountId) {
        let Self { customer, payment_keys, links, catalogue, subscription: _, change: _, notes: _ } =
            self;
        let keys = customer.iter_mut().chain(payment_keys).map(|key| &mut key.scope);
        let scopes = keys.chain(links.iter_mut().map(|link| &mut link.scope));
        for scope in scopes.chain(catalogue.iter_mut().map(|entry| &mut entry.scope)) {
            scope.account.clone_from(account);
        }
    }
}

/// Link from an object of a payment (a charge, a payment intent, an invoice) to its customer, or to another
/// object that leads to one. Ordered by the owner first, because it is looked up by owner.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PaymentLink {
    /// Account and mode.
    pub scope: Scope,
    /// Id of the customer, or of the object that is nearer to one.
    pub owner_id: String,
    /// Id of the object.
    pub object_id: String,
}

/// Reads the body of an event. Pure: equal bodies give equal observations.
pub fn observe(body: &str) -> Result<Observation, FoldError> {
    observe_as(&Envelope::parse(body)?.event_type, body)
}

/// Reads the body of an event whose type is known, in one pass.
pub fn observe_as(event_type: &str, body: &str) -> Result<Observation, FoldError> {
    let Some(object_type) = ObjectType::from_event_type(event_type) else {
        return observe_references(body);
    };
    let (observed, notes) =
        optional_fields::read_ignoring_invalid(body, |body| observe_object(object_type, body))?;
    let observed = observed.map_or_else(|| observe_references(body), Ok)?;
    Ok(Observation { notes, ..observed })
}

fn observe_object(object_type: ObjectType, body: &str) -> Result<Option<Observation>, FoldError> {
    match object_type {
        ObjectType::Subscription => subscription::observe(body),
        ObjectType::Invoice => invoice::observe(body),
        ObjectType::CheckoutSession => checkout_session::observe(body),
        ObjectType::Customer => customer::observe(body),
        ObjectType::SubscriptionSchedule => subscription_schedule::observe(body),
        ObjectType::EntitlementSummary => entitlements::observe(body),
        ObjectType::Discount => discount::observe(body),
        ObjectType::Product => catalogue::observe_product(body),
        ObjectType::Price => catalogue::observe_price(body),
        ObjectType::Plan => catalogue::observe_plan(body),
    }
}

/// Id of the object that an event is about, and evidence of the event's place among the events of that object
/// and second.
pub fn evidence_for(envelope: &Envelope<'_>) -> (String, Evidence) {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<Text<'a>>,
    }
    let object = envelope.object.map_or("", RawValue::get);
    let named = serde_json::from_str::<Named<'_>>(object).ok().and_then(|named| named.id);
    let rank = match ObjectType::from_event_type(&envelope.event_type) {
        Some(ObjectType::Subscription) => subscription::rank_of(object),
        Some(ObjectType::Invoice) => invoice::rank_of(&envelope.event_type, object),
        Some(ObjectType::SubscriptionSchedule) => subscription_schedule::rank_of(object),
        _ => 0,
    };
    let id = named.map(|id| id.to_owned_string()).unwrap_or_default();
    (
        id,
        evidence_with(
            envelope,
            rank,
            LazyDigest::from_object(object, envelope.previous_attributes),
        ),
    )
}

/// Reads an event that changes no row, for the timeline. Its object may have any shape, so unreadable references
/// are skipped.
fn observe_references(body: &str) -> Result<Observation, FoldError> {
    let (envelope, routing) = match Envelope::<Routing<'_>>::read(body) {
        Ok(event) => event.split(),
        Err(_) => (Envelope::parse(body)?.split().0, None),
    };
    let Routing { customer, subscription, payment } = routing.unwrap_or_default();
    let subscription = subscription.map(|id| SubscriptionId::new(id.0));
    let mut observed = observation(&envelope, customer, subscription, None);
    link_payment(&mut observed, &envelope, &payment);
    Ok(observed)
}

/// Links each object of a payment to the customer or, if none is named, to the first of
/// [`PaymentReferences::ids`].
fn link_payment(
    observed: &mut Observation,
    envelope: &Envelope<'_, ()>,
    payment: &PaymentReferences<'_>,
) {
    let mut ids = payment.ids().filter(|id| !id.is_empty());
    let scope = || envelope.scope();
    let owner = if let Some(key) = &observed.customer {
        key.customer.as_str()
    } else {
        let Some(nearest) = ids.next() else { return };
        let payment_key = |id: &str| CustomerKey { scope: scope(), customer: CustomerId::from(id) };
        observed.payment_keys =
            std::iter::once(nearest).chain(ids.clone()).map(payment_key).collect();
        nearest
    };
    let link = |id: &str| PaymentLink {
        scope: scope(),
        object_id: id.to_owned(),
        owner_id: owner.to_owned(),
    };
    observed.links = ids.map(link).collect();
}

fn observation(
    envelope: &Envelope<'_, ()>,
    customer: Option<Text<'_>>,
    subscription: Option<SubscriptionId>,
    change: Option<StateChange>,
) -> Observation {
    let customer = customer.filter(|id| !id.is_empty()).map(|id| CustomerId::new(id.0));
    let customer = customer.map(|customer| CustomerKey { scope: envelope.scope(), customer });
    Observation { customer, subscription, change, ..Observation::default() }
}

/// Id of the customer. An empty id counts as none, because it would join strangers into one customer.
fn customer_id<'a>(customer: Option<Id<'a>>, account: Option<Text<'a>>) -> Option<Text<'a>> {
    customer.map(|id| id.0).or(account).filter(|id| !id.is_empty())
}

fn latest<F: Clone + PartialEq>(
    envelope: &Envelope<'_, ()>,
    precedence: Precedence,
    facts: F,
    evidence: Evidence,
) -> Latest<F> {
    let (created, event_id) = (envelope.created, EventId::new(envelope.id.clone()));
    if envelope.is_observation {
        let Evidence { phase: _, rank: _, api_version, digest: _ } = evidence;
        let facts = (facts, is_deletion(envelope));
        return Latest::of_observation(precedence, created, event_id, api_version, facts);
    }
    Latest::of_event(precedence, created, event_id, Snapshot { facts, evidence })
}

/// True if an event or an observation says that its object is gone.
fn is_deletion(envelope: &Envelope<'_, ()>) -> bool {
    LifecyclePhase::from_event_type(&envelope.event_type) == LifecyclePhase::Deleted
}

/// Evidence of an event's place in its second. The digests are computed later, from the body.
fn evidence(envelope: &Envelope<'_, ()>, body: &str, rank: u8) -> Evidence {
    evidence_with(envelope, rank, LazyDigest::from_body(body))
}

fn evidence_with<O>(envelope: &Envelope<'_, O>, rank: u8, digest: LazyDigest) -> Evidence {
    Evidence {
        phase: LifecyclePhase::from_event_type(&envelope.event_type),
        rank,
        api_version: envelope.api_version.as_deref().map(str::to_owned),
        digest,
    }
}

#[cfg(test)]
mod tests;
