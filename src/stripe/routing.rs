//! Routing of an event to timelines, by the customer, subscription and payment that its object names.
//!
//! This is read from every event with an object, also of unknown types, so that each stands on the timeline of
//! its customer.

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::invoice::{Line, Parent};
use super::json::{Id, List, MaybeId, Text};
use super::payment::PaymentReferences;

/// References of an object that route its event.
///
/// | fact | reading order |
/// | --- | --- |
/// | customer | the object itself, `customer`, `customer_account` |
/// | subscription | the object itself, `parent.subscription_details.subscription`, `subscription`, `released_subscription`, the lines |
/// | invoice | the object itself, `invoice` |
/// | payment intent | the object itself, `payment_intent`, `payment.payment_intent` (2025-03-31.basil) |
/// | charge | the object itself, `charge`, `latest_charge`, `payment.charge` |
///
/// Deserializing fails if a customer or subscription is neither text nor an object with an id: then the object
/// has an unknown type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Routing<'a> {
    /// `cus_…`, or an `acct_…` in place of a customer.
    pub customer: Option<Text<'a>>,
    /// `sub_…`.
    pub subscription: Option<Text<'a>>,
    /// Objects of the payment.
    pub payment: PaymentReferences<'a>,
}

impl<'de: 'a, 'a> Deserialize<'de> for Routing<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::<'a>::deserialize(deserializer)?;
        let kind = wire.object.as_deref().unwrap_or_default();
        let own = |of: &str| wire.id.clone().filter(|_| kind == of);
        let payment = || -> Option<Payment<'a>> { serde_json::from_str(wire.payment?.get()).ok() };
        // In other objects `payment` means something else.
        let payment = if kind == "invoice_payment" { payment() } else { None }.unwrap_or_default();
        let references = PaymentReferences {
            invoice: own("invoice").or(wire.invoice.0),
            payment_intent: own("payment_intent")
                .or(wire.payment_intent.0)
                .or(payment.payment_intent.0),
            charge: own("charge").or(wire.charge.0).or(wire.latest_charge.0).or(payment.charge.0),
        };
        let customer = own("customer").or_else(|| wire.customer.map(|id| id.0));
        let subscription = own("subscription")
            .or_else(|| wire.parent.as_ref()?.subscription().cloned())
            .or_else(|| wire.subscription.map(|id| id.0))
            .or_else(|| wire.released_subscription.map(|id| id.0))
            .or_else(|| wire.lines.as_ref()?.data.iter().find_map(Line::subscription).cloned());
        Ok(Self { customer: customer.or(wire.customer_account), subscription, payment: references })
    }
}

/// True if events of this type are about the account itself, its money or its settings. Their objects have no
/// customer, subscription or payment, so they need not be read.
pub fn is_account_event(event_type: &str) -> bool {
    let family = event_type.split('.').next().unwrap_or_default();
    match family {
        // `issuing_card`, `issuing_dispute` and the like: cards that the account issues.
        _ if family.starts_with("issuing_") => true,
        "account" | "balance" | "capability" | "climate" | "coupon" | "file" | "financial_connections"
        | "payout" | "person" | "reporting" | "sigma" | "tax" | "tax_rate" | "terminal"
        | "test_helpers" | "topup" | "transfer" | "treasury"
        // Thin events, which have no object.
        | "v1" | "v2" => true,
        _ => false,
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    object: Option<Text<'a>>,
    #[serde(borrow)]
    customer: Option<Id<'a>>,
    #[serde(borrow)]
    customer_account: Option<Text<'a>>,
    #[serde(borrow)]
    parent: Option<Parent<'a>>,
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow)]
    released_subscription: Option<Id<'a>>,
    #[serde(borrow)]
    lines: Option<List<Line<'a>>>,
    #[serde(borrow, default)]
    invoice: MaybeId<'a>,
    #[serde(borrow, default)]
    payment_intent: MaybeId<'a>,
    #[serde(borrow, default)]
    charge: MaybeId<'a>,
    #[serde(borrow, default)]
    latest_charge: MaybeId<'a>,
    #[serde(borrow)]
    payment: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
struct Payment<'a> {
    #[serde(borrow, default)]
    payment_intent: MaybeId<'a>,
    #[serde(borrow, default)]
    charge: MaybeId<'a>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn customer_and_subscription_are_found_whatever_the_shape() {
        let cases = [
            (r#"{"object":"customer","id":"cus_1"}"#, Some("cus_1"), None),
            (r#"{"object":"charge","customer":"cus_1"}"#, Some("cus_1"), None),
            (
                r#"{"object":"charge","customer":{"id":"cus_1","deleted":true}}"#,
                Some("cus_1"),
                None,
            ),
            (
                r#"{"object":"invoice","customer":null,"customer_account":"acct_1"}"#,
                Some("acct_1"),
                None,
            ),
            (
                r#"{"object":"subscription","id":"sub_1","customer":"cus_1"}"#,
                Some("cus_1"),
                Some("sub_1"),
            ),
            (
                r#"{"object":"invoice","customer":"cus_1",
                "parent":{"subscription_details":{"subscription":"sub_1"}}}"#,
                Some("cus_1"),
                Some("sub_1"),
            ),
            (
                r#"{"object":"subscription_schedule","customer":"cus_1","subscription":null,
                "released_subscription":"sub_1"}"#,
                Some("cus_1"),
                Some("sub_1"),
            ),
            (r#"{"object":"product","id":"prod_1"}"#, None, None),
        ];
        for (json, customer, subscription) in cases {
            let routing: Routing<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(routing.customer.as_deref(), customer, "{json}");
            assert_eq!(routing.subscription.as_deref(), subscription, "{json}");
        }
    }
    #[test]
    fn a_payment_is_followed_by_what_names_it() {
        let cases = [
            (
                r#"{"object":"invoice","id":"in_1","charge":"ch_1","payment_intent":null}"#,
                "in_1 ch_1",
            ),
            (
                r#"{"object":"charge","id":"ch_1","payment_intent":"pi_1","invoice":"in_1"}"#,
                "in_1 pi_1 ch_1",
            ),
            (
                r#"{"object":"payment_intent","id":"pi_1","latest_charge":{"id":"ch_1"}}"#,
                "pi_1 ch_1",
            ),
            (
                r#"{"object":"dispute","id":"dp_1","charge":"ch_1","payment_intent":"pi_1"}"#,
                "pi_1 ch_1",
            ),
            (r#"{"object":"refund","id":"re_1","charge":"ch_1"}"#, "ch_1"),
            (
                r#"{"object":"invoice_payment","id":"inpay_1","invoice":"in_1",
                "payment":{"type":"payment_intent","payment_intent":"pi_1"}}"#,
                "in_1 pi_1",
            ),
            (r#"{"object":"novelty","payment":"soon","charge":[7],"invoice":3}"#, ""),
        ];
        for (json, ids) in cases {
            let routing: Routing<'_> = serde_json::from_str(json).unwrap();
            assert_eq!(routing.payment.ids().collect::<Vec<_>>().join(" "), ids, "{json}");
        }
    }
}
