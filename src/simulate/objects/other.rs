//! Objects whose events are stored and not folded.

use super::customer::{Customer, address};
use crate::simulate::wire::{NULL, Object, object};

/// Object of `payment_method.attached`.
pub(crate) fn payment_method(id: &str, at: i64, customer: &Customer) -> Object {
    object! {
        "id": id.to_owned(),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": object! {
            "address": address(),
            "email": &customer.email,
            "name": &customer.name,
            "phone": NULL,
        },
        "card": object! {
            "brand": "visa",
            "checks": object! {
                "address_line1_check": NULL,
                "address_postal_code_check": NULL,
                "cvc_check": "pass",
            },
            "country": "DE",
            "exp_month": 4_i64,
            "exp_year": 2031_i64,
            "funding": "credit",
            "generated_from": NULL,
            "last4": "4242",
            "wallet": NULL,
        },
        "created": at,
        "customer": &customer.id,
        "livemode": customer.home.livemode,
        "metadata": Object::EMPTY,
        "type": "card",
    }
}

/// Object of an unknown type of event, which Stripe may invent one day.
pub(crate) fn loyalty_tier(id: String, at: i64, customer: &Customer) -> Object {
    object! {
        "id": id,
        "object": "loyalty_tier",
        "created": at,
        "customer": &customer.id,
        "livemode": customer.home.livemode,
        "tier": "silver",
    }
}

/// Body of a thin event: no snapshot, an instant as text.
pub(crate) fn thin_event(id: &str, created: &str, livemode: bool) -> Object {
    object! {
        "id": id.to_owned(),
        "object": "v2.core.event",
        "context": NULL,
        "created": created.to_owned(),
        "livemode": livemode,
        "reason": NULL,
        "related_object": object! {
            "id": "mtr_simulated1",
            "type": "billing.meter",
            "url": "/v1/billing/meters/mtr_simulated1",
        },
        "type": "v1.billing.meter.error_report_triggered",
    }
}
