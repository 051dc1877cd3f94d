//! One event, understood: whom it is about and what it adds to that customer's state.

use std::collections::BTreeMap;

use super::group::{Group, Snapshot, Standing};
use super::leaves::Leaves;
use super::order::{Evidence, Phase};
use super::state::{CustomerState, InvoiceState, Overdue, SubscriptionState};
use crate::ids::{CustomerId, CustomerKey, EventId, InvoiceId, SessionId, SubscriptionId};
use crate::stripe::checkout_session::CheckoutSession;
use crate::stripe::customer::Customer;
use crate::stripe::invoice::{Invoice, InvoiceFacts};
use crate::stripe::json::{Id, Text};
use crate::stripe::routing::Routing;
use crate::stripe::subscription::Subscription;
use crate::stripe::{Envelope, EnvelopeError};

/// What an event says.
#[derive(Debug, Default)]
pub struct Observation {
    /// The customer; none where the event names none, and then it touches no state.
    pub customer: Option<CustomerKey>,
    /// The subscription that it names, for the timeline.
    pub subscription: Option<SubscriptionId>,
    /// What it adds to the customer's state: the state of a customer of whom this is all that is
    /// known. Empty for events that are only on the timeline.
    pub state: CustomerState,
}

/// Why an event of a type that is folded could not be.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The logged body is no event.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A field of the object has an impossible type, or a needed one is missing.
    #[error("{kind}: {detail}")]
    Shape {
        /// Which object of Stripe's.
        kind: &'static str,
        /// The field and what is wrong with it.
        detail: String,
    },
    /// The object of a folded type is not there.
    #[error("the event carries no object")]
    NoObject,
    /// Reading it met a defect of this program.
    #[error("a defect of this program; its log says more")]
    Defect,
}

/// The objects that change a row; every other is on the timeline only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Folded {
    Subscription,
    Invoice,
    Session,
    Customer,
}

impl Folded {
    /// By the event's type. `customer.subscription.*` and `customer.*` share a beginning, and
    /// below `customer.` are also discounts, sources and tax ids.
    fn of_type(event_type: &str) -> Option<Self> {
        match event_type {
            // Its time lies ahead, and it has no id: it is a forecast, not an invoice.
            "invoice.upcoming" => None,
            "customer.created" | "customer.updated" | "customer.deleted" => Some(Self::Customer),
            _ if event_type.starts_with("customer.subscription.") => Some(Self::Subscription),
            _ if event_type.starts_with("checkout.session.") => Some(Self::Session),
            _ if event_type.starts_with("invoice.") => Some(Self::Invoice),
            _ => None,
        }
    }
}

/// Reads the body of an event. Pure: the same body, the same observation.
pub fn observe(body: &str) -> Result<Observation, FoldError> {
    observe_envelope(&Envelope::parse(body)?)
}

/// Reads an event whose envelope is already read.
pub fn observe_envelope(envelope: &Envelope<'_>) -> Result<Observation, FoldError> {
    let Some(folded) = Folded::of_type(&envelope.event_type).filter(|_| !envelope.thin) else {
        return Ok(on_the_timeline(envelope));
    };
    let object = envelope.object.ok_or(FoldError::NoObject)?;
    match folded {
        Folded::Subscription => observe_subscription(envelope, object),
        Folded::Invoice => observe_invoice(envelope, object),
        Folded::Session => observe_session(envelope, object),
        Folded::Customer => observe_customer(envelope, object),
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
    let object = envelope.object.unwrap_or_default();
    let named = serde_json::from_str::<Named<'_>>(object).ok().and_then(|named| named.id);
    let rank = match Folded::of_type(&envelope.event_type) {
        Some(Folded::Subscription) => serde_json::from_str::<Subscription<'_>>(object)
            .map_or(0, |subscription| subscription_rank(&subscription.facts().status)),
        Some(Folded::Invoice) => serde_json::from_str::<Invoice<'_>>(object)
            .map_or(0, |invoice| invoice_rank(&envelope.event_type, &invoice.facts())),
        Some(Folded::Session | Folded::Customer) | None => 0,
    };
    let id = named.map(|id| id.to_owned_string()).unwrap_or_default();
    (id, evidence(envelope, object, rank))
}

fn observe_subscription(envelope: &Envelope<'_>, object: &str) -> Result<Observation, FoldError> {
    let read: Option<Subscription<'_>> =
        read("subscription", object, |it: &Subscription<'_>| it.object.clone())?;
    let Some(subscription) = read else { return Ok(on_the_timeline(envelope)) };
    let facts = subscription.facts();
    let id = subscription.id().map(SubscriptionId::from);
    let id = id.ok_or_else(|| missing("subscription", "id"))?;
    let evidence = evidence(envelope, object, subscription_rank(&facts.status));
    let standing = match envelope.event_type.as_ref() {
        "customer.subscription.pending_update_expired" => Standing::Echo,
        "customer.subscription.deleted" => Standing::Terminal,
        _ if facts.is_terminal() => Standing::Terminal,
        _ => Standing::Live,
    };
    // An echo carries an earlier state under a later time, so its second says nothing.
    let overdue = match standing {
        Standing::Echo => Overdue::default(),
        _ => Overdue::seen(envelope.created, facts.status == "past_due"),
    };
    let state = SubscriptionState {
        snapshots: Some(group(envelope, standing, facts, evidence)),
        overdue,
        invoices: BTreeMap::new(),
    };
    let customer = named_customer(subscription.customer, subscription.customer_account)
        .ok_or_else(|| missing("subscription", "customer"))?;
    Ok(observation(
        envelope,
        Some(customer),
        Some(id.clone()),
        CustomerState { subscriptions: BTreeMap::from([(id, state)]), ..CustomerState::default() },
    ))
}

fn observe_invoice(envelope: &Envelope<'_>, object: &str) -> Result<Observation, FoldError> {
    let read: Option<Invoice<'_>> = read("invoice", object, |it: &Invoice<'_>| it.object.clone())?;
    let Some(invoice) = read else { return Ok(on_the_timeline(envelope)) };
    let subscription = invoice.subscription().map(SubscriptionId::from);
    let mut state = CustomerState::default();
    if let (Some(subscription), Some(id)) = (&subscription, &invoice.id) {
        let facts = invoice.facts();
        let deleted = envelope.event_type == "invoice.deleted";
        let standing = if deleted { Standing::Terminal } else { Standing::Live };
        let rank = invoice_rank(&envelope.event_type, &facts);
        let paid_first = facts.is_paid().then_some(envelope.created);
        let failed = envelope.event_type == "invoice.payment_failed";
        let of_invoice = InvoiceState {
            snapshots: group(envelope, standing, facts, evidence(envelope, object, rank)),
            paid_first,
            failed_last: failed.then_some(envelope.created),
        };
        let of_subscription = SubscriptionState {
            invoices: BTreeMap::from([(InvoiceId::from(&**id), of_invoice)]),
            ..SubscriptionState::default()
        };
        state.subscriptions.insert(subscription.clone(), of_subscription);
    }
    let customer = named_customer(invoice.customer.clone(), invoice.customer_account.clone());
    Ok(observation(envelope, customer, subscription, state))
}

fn observe_session(envelope: &Envelope<'_>, object: &str) -> Result<Observation, FoldError> {
    let read: Option<CheckoutSession<'_>> =
        read("checkout.session", object, |it: &CheckoutSession<'_>| it.object.clone())?;
    let Some(session) = read else { return Ok(on_the_timeline(envelope)) };
    let facts = session.facts();
    let subscription = facts.subscription.as_deref().map(SubscriptionId::from);
    let evidence = evidence(envelope, object, 0);
    let group = group(envelope, Standing::Live, facts, evidence);
    let id = SessionId::new(session.id.to_owned_string());
    let customer = named_customer(session.customer, session.customer_account);
    Ok(observation(
        envelope,
        customer,
        subscription,
        CustomerState { sessions: BTreeMap::from([(id, group)]), ..CustomerState::default() },
    ))
}

fn observe_customer(envelope: &Envelope<'_>, object: &str) -> Result<Observation, FoldError> {
    let read: Option<Customer<'_>> =
        read("customer", object, |it: &Customer<'_>| it.object.clone())?;
    let Some(customer) = read else { return Ok(on_the_timeline(envelope)) };
    let deleted = envelope.event_type == "customer.deleted";
    let standing = if deleted { Standing::Terminal } else { Standing::Live };
    let evidence = evidence(envelope, object, 0);
    let group = group(envelope, standing, customer.facts(), evidence);
    let id = customer.id.to_owned_string();
    Ok(observation(
        envelope,
        Some(id),
        None,
        CustomerState { customer: Some(group), ..CustomerState::default() },
    ))
}

/// An event that changes no row stands on the timeline of whom it names. Its object may be of any
/// kind, so what cannot be read names nobody.
fn on_the_timeline(envelope: &Envelope<'_>) -> Observation {
    let routing = envelope.object.and_then(|object| Routing::read(object).ok()).unwrap_or_default();
    let subscription = routing.subscription.map(SubscriptionId::new);
    observation(envelope, routing.customer, subscription, CustomerState::default())
}

fn observation(
    envelope: &Envelope<'_>,
    customer: Option<String>,
    subscription: Option<SubscriptionId>,
    state: CustomerState,
) -> Observation {
    // An empty id would join strangers into one customer.
    let customer = customer.filter(|id| !id.is_empty()).map(CustomerId::new);
    let customer = customer.map(|customer| CustomerKey { scope: envelope.scope(), customer });
    Observation { customer, subscription, state }
}

fn named_customer(customer: Option<Id<'_>>, account: Option<Text<'_>>) -> Option<String> {
    customer.map(|id| id.0).or(account).map(|id| id.to_owned_string())
}

fn group<F: Clone + PartialEq>(
    envelope: &Envelope<'_>,
    standing: Standing,
    facts: F,
    evidence: Evidence,
) -> Group<F> {
    let event_id = EventId::new(envelope.id.clone());
    Group::of(standing, envelope.created, event_id, Snapshot { facts, evidence })
}

fn evidence(envelope: &Envelope<'_>, object: &str, rank: u8) -> Evidence {
    Evidence {
        phase: Phase::of_type(&envelope.event_type),
        rank,
        api_version: envelope.api_version.as_deref().map(str::to_owned),
        object: Leaves::of_object(object),
        previous: envelope.previous_attributes.and_then(Leaves::of_previous_attributes),
    }
}

/// How far a status is along a subscription's life, as far as statuses can be ordered at all:
/// within the middle ones it goes to and fro.
fn subscription_rank(status: &str) -> u8 {
    match status {
        "incomplete" => 0,
        "trialing" => 1,
        "canceled" | "incomplete_expired" => 3,
        _ => 2,
    }
}

fn invoice_rank(event_type: &str, facts: &InvoiceFacts) -> u8 {
    match facts.status.as_str() {
        _ if event_type == "invoice.deleted" => 3,
        "draft" => 0,
        "uncollectible" => 2,
        "paid" | "void" => 3,
        _ => 1,
    }
}

/// Reads an object of a kind; none where it says that it is of another. New types of events appear
/// under known prefixes and carry other objects, as `customer.subscription.item.*` might.
fn read<'a, T: serde::Deserialize<'a>>(
    kind: &'static str,
    object: &'a str,
    kind_of: impl Fn(&T) -> Option<Text<'a>>,
) -> Result<Option<T>, FoldError> {
    #[derive(serde::Deserialize)]
    struct Kind<'a> {
        #[serde(borrow)]
        object: Option<Text<'a>>,
    }
    let is_other = |said: Option<&str>| said.is_some_and(|said| said != kind);
    match serde_json::from_str::<T>(object) {
        Ok(read) if is_other(kind_of(&read).as_deref()) => Ok(None),
        Ok(read) => Ok(Some(read)),
        Err(_) => match serde_json::from_str::<Kind<'_>>(object) {
            Ok(it) if is_other(it.object.as_deref()) => Ok(None),
            _ => Err(FoldError::Shape { kind, detail: shape_error::<T>(object) }),
        },
    }
}

fn missing(kind: &'static str, field: &str) -> FoldError {
    FoldError::Shape { kind, detail: format!("missing field `{field}`") }
}

/// Which field is wrong and how, for a person; without the value, which may be anybody's. Read
/// again only here, because following the path costs time.
fn shape_error<'a, T: serde::Deserialize<'a>>(object: &'a str) -> String {
    let mut deserializer = serde_json::Deserializer::from_str(object);
    let Err(error) = serde_path_to_error::deserialize::<_, T>(&mut deserializer) else {
        return "cannot be read".to_owned();
    };
    let path = error.path().to_string();
    let message = error.into_inner().to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    match message
        .strip_prefix("invalid type: ")
        .and_then(|rest| Some((rest.split([' ', ',']).next()?, rest.rsplit_once(", expected ")?.1)))
    {
        Some((found, expected)) => {
            let article = if found == "integer" { "an" } else { "a" };
            let expected = if expected == "i64" { "an integer" } else { expected };
            format!("`{path}` is {article} {found} where {expected} belongs")
        }
        None if message.starts_with("missing field") => message.to_owned(),
        None if message.starts_with("not an instant") => format!("`{path}` is {message}"),
        None => format!("`{path}` cannot be read"),
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
            reason(r#"{"id":"sub_1","status":"active","items":{"data":[{"quantity":"2"}]}}"#),
            "subscription: `items.data[0].quantity` is a string where an integer belongs"
        );
        assert_eq!(
            reason(r#"{"id":"sub_1","status":{"secret":1}}"#),
            "subscription: `status` is a map where a string belongs"
        );
    }

    #[test]
    fn an_unknown_type_is_on_the_timeline_of_whom_it_names_and_never_fails() {
        let observed = observe(&event("charge.novelty", r#"{"customer":"cus_1"}"#)).unwrap();
        assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
        assert_eq!(observed.state, CustomerState::default());
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
            assert_eq!(observed.state, CustomerState::default());
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
        assert_eq!(observed.state, CustomerState::default());
    }

    #[test]
    fn discounts_and_sources_of_a_customer_are_not_the_customer() {
        let object = r#"{"object":"discount","id":"di_1","customer":"cus_1"}"#;
        let observed = observe(&event("customer.discount.created", object)).unwrap();
        assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
        assert_eq!(observed.state, CustomerState::default());
    }
}
