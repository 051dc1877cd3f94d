//! One event, understood: whom it is about and what it adds to what is known.
//!
//! There is a file for each object that changes a row or a name; every other event is on the
//! timeline of whom its object names.

mod catalogue;
mod checkout_session;
mod customer;
mod discount;
mod entitlements;
mod error;
mod invoice;
mod side;
mod subscription;
mod subscription_schedule;

pub use error::FoldError;

use super::catalogue::CatalogueEntry;
use super::group::{Group, Snapshot, Standing};
use super::late::LateLeaves;
use super::order::{Evidence, Phase};
use super::state::Change;
use crate::ids::{CustomerId, CustomerKey, EventId, Scope, SubscriptionId};
use crate::stripe::Envelope;
use crate::stripe::json::{Id, Text};
use crate::stripe::routing::{Routing, Trail};
use serde_json::value::RawValue;

/// What an event says.
#[derive(Debug, Default)]
pub struct Observation {
    /// The customer; none where the event names none, and then it touches no state.
    pub customer: Option<CustomerKey>,
    /// The subscription that it names, for the timeline.
    pub subscription: Option<SubscriptionId>,
    /// Where it names no customer: the objects of its payment, in whose place it stands until a
    /// [`Link`] leads from one of them to a customer.
    pub stand_ins: Vec<CustomerKey>,
    /// Which objects belong to whom, as it says.
    pub links: Vec<Link>,
    /// What it calls a product or a price.
    pub catalogue: Option<CatalogueEntry>,
    /// What it adds to the customer's state; none for events that are only on the timeline.
    pub change: Option<Change>,
    /// Fields that could not be read and were passed over, in words and without their values.
    pub notes: Vec<String>,
}

/// An object of a payment (a charge, a payment intent, an invoice) and the customer it belongs to, or
/// another object that leads to one. Ordered by the owner first, as it is looked up.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    /// The account and mode.
    pub scope: Scope,
    /// The customer, or the object that stands nearer to one.
    pub owner_id: String,
    /// The object.
    pub object_id: String,
}

/// The objects that are folded, by the type of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folded {
    Subscription,
    Invoice,
    Session,
    Customer,
    Schedule,
    Entitlements,
    Discount,
    Product,
    Price,
    Plan,
}

impl Folded {
    /// By the event's type. `customer.subscription.*` and `customer.*` share a beginning, and
    /// below `customer.` are also discounts, sources and tax ids.
    fn of_type(event_type: &str) -> Option<Self> {
        let is = |prefix: &str| event_type.starts_with(prefix);
        Some(match event_type {
            // Its time lies ahead, and it has no id: it is a forecast, not an invoice.
            "invoice.upcoming" => return None,
            "customer.created" | "customer.updated" | "customer.deleted" => Self::Customer,
            _ if is("customer.subscription.") => Self::Subscription,
            _ if is("customer.discount.") => Self::Discount,
            _ if is("invoice.") => Self::Invoice,
            _ if is("checkout.session.") => Self::Session,
            _ if is("subscription_schedule.") => Self::Schedule,
            _ if is("entitlements.active_entitlement_summary.") => Self::Entitlements,
            _ if is("product.") => Self::Product,
            _ if is("price.") => Self::Price,
            _ if is("plan.") => Self::Plan,
            _ => return None,
        })
    }
}

/// Reads the body of an event. Pure: the same body, the same observation.
pub fn observe(body: &str) -> Result<Observation, FoldError> {
    observe_as(&Envelope::parse(body)?.event_type, body)
}

/// Reads the body of an event whose type is known, in one pass.
pub fn observe_as(event_type: &str, body: &str) -> Result<Observation, FoldError> {
    let Some(folded) = Folded::of_type(event_type) else { return on_the_timeline(body) };
    let (observed, notes) =
        side::read_without_wrong_side_fields(body, |body| observe_folded(folded, body))?;
    let observed = observed.map_or_else(|| on_the_timeline(body), Ok)?;
    Ok(Observation { notes, ..observed })
}

fn observe_folded(folded: Folded, body: &str) -> Result<Option<Observation>, FoldError> {
    match folded {
        Folded::Subscription => subscription::observe(body),
        Folded::Invoice => invoice::observe(body),
        Folded::Session => checkout_session::observe(body),
        Folded::Customer => customer::observe(body),
        Folded::Schedule => subscription_schedule::observe(body),
        Folded::Entitlements => entitlements::observe(body),
        Folded::Discount => discount::observe(body),
        Folded::Product => catalogue::observe_product(body),
        Folded::Price => catalogue::observe_price(body),
        Folded::Plan => catalogue::observe_plan(body),
    }
}

/// The object that an event is about, and what the event says about its place among the events
/// of that object and second.
pub fn evidence_of(envelope: &Envelope<'_>) -> (String, Evidence) {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<Text<'a>>,
    }
    let object = envelope.object.map_or("", RawValue::get);
    let named = serde_json::from_str::<Named<'_>>(object).ok().and_then(|named| named.id);
    let rank = match Folded::of_type(&envelope.event_type) {
        Some(Folded::Subscription) => subscription::rank_of(object),
        Some(Folded::Invoice) => invoice::rank_of(&envelope.event_type, object),
        Some(Folded::Schedule) => subscription_schedule::rank_of(object),
        _ => 0,
    };
    let id = named.map(|id| id.to_owned_string()).unwrap_or_default();
    (id, evidence_with(envelope, rank, LateLeaves::of(object, envelope.previous_attributes)))
}

/// An event that changes no row stands on the timeline of whom it names. Its object may be of any
/// kind, so what cannot be read names nobody.
fn on_the_timeline(body: &str) -> Result<Observation, FoldError> {
    let (envelope, routing) = match Envelope::<Routing<'_>>::read(body) {
        Ok(event) => event.split(),
        Err(_) => (Envelope::parse(body)?.split().0, None),
    };
    let Routing { customer, subscription, trail } = routing.unwrap_or_default();
    let subscription = subscription.map(|id| SubscriptionId::new(id.0));
    let mut observed = observation(&envelope, customer, subscription, None);
    follow(&mut observed, &envelope, &trail);
    Ok(observed)
}

/// Writes down where a payment leads: each of its objects to the customer or, where none is named, to
/// that of them that lasts longest.
fn follow(observed: &mut Observation, envelope: &Envelope<'_, ()>, trail: &Trail<'_>) {
    let mut ids = trail.ids().filter(|id| !id.is_empty());
    let scope = || envelope.scope();
    let owner = if let Some(key) = &observed.customer {
        key.customer.as_str()
    } else {
        let Some(nearest) = ids.next() else { return };
        let stand_in = |id: &str| CustomerKey { scope: scope(), customer: CustomerId::from(id) };
        observed.stand_ins = std::iter::once(nearest).chain(ids.clone()).map(stand_in).collect();
        nearest
    };
    let link =
        |id: &str| Link { scope: scope(), object_id: id.to_owned(), owner_id: owner.to_owned() };
    observed.links = ids.map(link).collect();
}

fn observation(
    envelope: &Envelope<'_, ()>,
    customer: Option<Text<'_>>,
    subscription: Option<SubscriptionId>,
    change: Option<Change>,
) -> Observation {
    let customer = customer.filter(|id| !id.is_empty()).map(|id| CustomerId::new(id.0));
    let customer = customer.map(|customer| CustomerKey { scope: envelope.scope(), customer });
    Observation { customer, subscription, change, ..Observation::default() }
}

/// An id of nothing is none: it would join strangers into one customer.
fn named_customer<'a>(customer: Option<Id<'a>>, account: Option<Text<'a>>) -> Option<Text<'a>> {
    customer.map(|id| id.0).or(account).filter(|id| !id.is_empty())
}

fn group<F: Clone + PartialEq>(
    envelope: &Envelope<'_, ()>,
    standing: Standing,
    facts: F,
    evidence: Evidence,
) -> Group<F> {
    let event_id = EventId::new(envelope.id.clone());
    Group::of(standing, envelope.created, event_id, Snapshot { facts, evidence })
}

/// What an event says about its place in its second; the leaves are in its body.
fn evidence(envelope: &Envelope<'_, ()>, body: &str, rank: u8) -> Evidence {
    evidence_with(envelope, rank, LateLeaves::in_body(body))
}

fn evidence_with<O>(envelope: &Envelope<'_, O>, rank: u8, leaves: LateLeaves) -> Evidence {
    Evidence {
        phase: Phase::of_type(&envelope.event_type),
        rank,
        api_version: envelope.api_version.as_deref().map(str::to_owned),
        leaves,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(event_type: &str, object: &str) -> String {
        format!(
            r#"{{"id":"evt_1","object":"event","type":"{event_type}","created":7,"livemode":true,
            "data":{{"object":{object}}}}}"#
        )
    }

    #[test]
    fn a_fold_that_fails_says_which_field_and_never_its_value() {
        let reason = |object: &str| {
            observe(&event("customer.subscription.updated", object)).unwrap_err().to_string()
        };
        assert_eq!(reason(r#"{"id":"sub_1"}"#), "subscription: missing field `status`");
        assert_eq!(
            reason(r#"{"id":"sub_1","status":"active","cancel_at":"secret"}"#),
            "subscription: `cancel_at` is a string where an integer belongs"
        );
        assert_eq!(
            reason(
                r#"{"id":"sub_1","status":"active","items":{"data":[{"current_period_end":"2"}]}}"#
            ),
            "subscription: `items.data[0].current_period_end` is a string where an integer belongs"
        );
        assert_eq!(
            reason(r#"{"id":"sub_1","status":{"secret":1}}"#),
            "subscription: `status` is an object where a string belongs"
        );
    }

    #[test]
    fn a_side_field_of_a_wrong_type_is_read_as_absent_with_a_note() {
        let object = r#"{"id":"sub_1","customer":"cus_1","status":"active","cancellation_details":"secret",
            "created":"secret","discounts":{"a":1},"items":{"data":[{"id":"si_1","quantity":"2",
            "price":{"id":"price_1","unit_amount":"5","recurring":7},"current_period_end":9}]}}"#;
        let observed = observe(&event("customer.subscription.updated", object)).unwrap();
        let Some(Change::Subscription(_, group, _)) = observed.change else { panic!("no change") };
        let facts = group.facts().next().unwrap();
        assert_eq!((facts.status.as_str(), facts.created), ("active", None));
        assert_eq!(facts.items[0].price.price_id.as_deref(), Some("price_1"));
        assert_eq!((facts.items[0].quantity, facts.items[0].price.unit_amount), (None, None));
        assert_eq!(facts.current_period_end().map(|at| at.0), Some(9));
        let mut notes = observed.notes;
        notes.sort_unstable();
        assert_eq!(
            notes,
            [
                "`cancellation_details` is a string where an object belongs: read as absent",
                "`created` is a string where an integer belongs: read as absent",
                "`discounts` is an object where a list belongs: read as absent",
                "`items.data[0].price.recurring` is an integer where an object belongs: read as absent",
                "`items.data[0].price.unit_amount` is a string where an integer belongs: read as absent",
                "`items.data[0].quantity` is a string where an integer belongs: read as absent",
            ]
        );
    }

    #[test]
    fn an_unknown_type_is_on_the_timeline_of_whom_it_names_and_never_fails() {
        let observed = observe(&event("charge.novelty", r#"{"customer":"cus_1"}"#)).unwrap();
        assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
        assert_eq!(observed.change, None);
        let odd = observe(&event("charge.novelty", r#"{"customer":[1]}"#)).unwrap();
        assert_eq!(odd.customer, None);
    }

    #[test]
    fn another_kind_of_object_under_a_known_prefix_is_on_the_timeline_only() {
        for (event_type, object) in [
            (
                "customer.subscription.item.updated",
                r#"{"object":"subscription_item","customer":"cus_1"}"#,
            ),
            (
                "invoice.novelty",
                r#"{"object":"invoice_novelty","id":"in_9","customer":"cus_1","subscription":"sub_1"}"#,
            ),
        ] {
            let observed = observe(&event(event_type, object)).unwrap();
            assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
            assert_eq!(observed.change, None);
        }
    }

    #[test]
    fn a_time_that_no_database_can_hold_parks_its_event() {
        let object =
            r#"{"id":"sub_1","customer":"cus_1","status":"active","cancel_at":1735689600000}"#;
        let reason = observe(&event("customer.subscription.updated", object)).unwrap_err();
        assert_eq!(
            reason.to_string(),
            "subscription: `cancel_at` is not an instant between the years 0000 and 9999"
        );
    }

    #[test]
    fn an_upcoming_invoice_is_on_the_timeline_only() {
        let object = r#"{"object":"invoice","customer":"cus_1","subscription":"sub_1"}"#;
        let observed = observe(&event("invoice.upcoming", object)).unwrap();
        assert_eq!(observed.subscription.unwrap().as_str(), "sub_1");
        assert_eq!(observed.change, None);
    }

    /// The stand-ins, and what leads where.
    fn followed(event_type: &str, object: &str) -> (String, String) {
        let observed = observe(&event(event_type, object)).unwrap();
        let stand_ins = observed.stand_ins.iter().map(|key| key.customer.to_string());
        let links = observed.links.iter().map(|it| format!("{}>{}", it.object_id, it.owner_id));
        (stand_ins.collect::<Vec<_>>().join(" "), links.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_payment_leads_to_its_customer_or_to_what_lasts_longest() {
        for (event_type, object, stand_ins, links) in [
            (
                "charge.succeeded",
                r#"{"object":"charge","id":"ch_1","customer":"cus_1","payment_intent":"pi_1"}"#,
                "",
                "pi_1>cus_1 ch_1>cus_1",
            ),
            (
                "invoice.paid",
                r#"{"object":"invoice","id":"in_1","customer":"cus_1","charge":"ch_1"}"#,
                "",
                "in_1>cus_1 ch_1>cus_1",
            ),
            (
                "charge.dispute.created",
                r#"{"object":"dispute","id":"dp_1","charge":"ch_1","payment_intent":"pi_1"}"#,
                "pi_1 ch_1",
                "ch_1>pi_1",
            ),
            (
                "invoice_payment.paid",
                r#"{"object":"invoice_payment","id":"inpay_1","invoice":"in_1",
                "payment":{"payment_intent":"pi_1"}}"#,
                "in_1 pi_1",
                "pi_1>in_1",
            ),
            ("balance.available", r#"{"object":"balance"}"#, "", ""),
        ] {
            let expected = (stand_ins.to_owned(), links.to_owned());
            assert_eq!(followed(event_type, object), expected, "{event_type}");
        }
    }

    #[test]
    fn discounts_and_sources_of_a_customer_are_not_the_customer() {
        let object = r#"{"object":"discount","id":"di_1","customer":"cus_1"}"#;
        let observed = observe(&event("customer.discount.created", object)).unwrap();
        assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
        assert_eq!(observed.change, None);
    }
}
