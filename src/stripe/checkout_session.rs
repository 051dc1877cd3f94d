//! `checkout.session`: links the application's user, the customer and the subscription.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::json::{Id, Metadata, Seconds, Text, owned_text};
use super::payment::PaymentReferences;
use crate::time::StripeTime;

/// Facts of one snapshot of a checkout session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionFacts {
    /// Subscription that the session created; none in the modes `payment` and `setup`.
    pub subscription: Option<String>,
    /// True if the buyer completed it. An abandoned session bought nothing, so its user does not count.
    pub is_completed: bool,
    /// Reference that the application gave when it created the session.
    pub client_reference_id: Option<String>,
    /// Second of its creation, if Stripe says it (2022-11-15).
    pub created: Option<StripeTime>,
    /// E-mail address that the buyer gave.
    pub email: Option<String>,
    /// Metadata of the merchant.
    pub metadata: BTreeMap<String, String>,
}

/// Checkout session as it is in an event.
#[derive(Clone, Debug, Deserialize)]
pub struct CheckoutSession<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `cs_…`.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Id of the customer, or the expanded customer; none for a guest.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    /// Account in place of a customer, since 2026-03-25.dahlia.
    #[serde(borrow)]
    pub customer_account: Option<Text<'a>>,
    /// Id of the subscription, or the expanded subscription.
    #[serde(borrow)]
    pub subscription: Option<Id<'a>>,
    #[serde(borrow)]
    invoice: Option<Id<'a>>,
    #[serde(borrow)]
    payment_intent: Option<Id<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    client_reference_id: Option<Text<'a>>,
    created: Option<Seconds>,
    #[serde(borrow)]
    customer_details: Option<CustomerDetails<'a>>,
    #[serde(borrow)]
    customer_email: Option<Text<'a>>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct CustomerDetails<'a> {
    #[serde(borrow)]
    email: Option<Text<'a>>,
}

impl<'a> CheckoutSession<'a> {
    /// Payment of the session; since 2023-08-16 also the invoice.
    pub fn payment_references(&self) -> PaymentReferences<'a> {
        PaymentReferences {
            invoice: self.invoice.clone().map(|id| id.0),
            payment_intent: self.payment_intent.clone().map(|id| id.0),
            charge: None,
        }
    }

    /// The facts, in the [reading order](super#where-each-fact-is-found).
    /// Before `status` (2020-08-27) only the event type shows that the session was completed.
    pub fn facts(&self, event_type: &str) -> SessionFacts {
        let is_of_completed = matches!(
            event_type,
            "checkout.session.is_completed"
                | "checkout.session.async_payment_succeeded"
                | "checkout.session.async_payment_failed"
        );
        let details = self.customer_details.as_ref().and_then(|details| details.email.as_ref());
        SessionFacts {
            subscription: self.subscription.as_ref().map(Id::to_owned_string),
            is_completed: is_of_completed || self.status.as_deref() == Some("complete"),
            client_reference_id: owned_text(self.client_reference_id.as_ref()),
            created: self.created.map(StripeTime::from),
            email: owned_text(details.or(self.customer_email.as_ref())),
            metadata: self.metadata.as_ref().map(Metadata::to_map).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_any_mode_is_read() {
        let facts = |json| {
            let session = serde_json::from_str::<CheckoutSession<'_>>(json).unwrap();
            session.facts("checkout.session.is_completed")
        };
        let paid = facts(
            r#"{"id":"cs_1","customer":"cus_1","subscription":"sub_1","client_reference_id":"7",
            "customer_details":{"email":"a@example.com"},"customer_email":"b@example.com","metadata":{}}"#,
        );
        assert_eq!(paid.subscription.as_deref(), Some("sub_1"));
        assert_eq!(paid.email.as_deref(), Some("a@example.com"));
        let setup = facts(
            r#"{"id":"cs_2","mode":"setup","customer":null,"subscription":null,
            "customer_details":null,"client_reference_id":null,"metadata":null}"#,
        );
        assert_eq!(setup, SessionFacts { is_completed: true, ..SessionFacts::default() });
    }

    #[test]
    fn a_session_is_completed_by_its_status_or_by_the_type_of_the_event() {
        let completed = |event_type: &str, fields: &str| {
            let json = format!(r#"{{"id":"cs_1"{fields}}}"#);
            let session: CheckoutSession<'_> = serde_json::from_str(&json).unwrap();
            session.facts(event_type).is_completed
        };
        assert!(completed("checkout.session.is_completed", ""));
        assert!(completed("checkout.session.async_payment_failed", ""));
        assert!(completed("checkout.session.novelty", r#","status":"complete""#));
        assert!(!completed("checkout.session.expired", ""));
        assert!(!completed("checkout.session.expired", r#","status":"expired""#));
        assert!(!completed("checkout.session.novelty", r#","status":"open""#));
    }
}
