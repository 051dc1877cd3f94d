//! What the fold parses of a body, and nothing else.

use std::hint::black_box;

use serde::Deserialize;
use subledger::stripe::Envelope;
use subledger::stripe::checkout_session::CheckoutSession;
use subledger::stripe::customer::Customer;
use subledger::stripe::entitlements::EntitlementSummary;
use subledger::stripe::invoice::Invoice;
use subledger::stripe::price::{Plan, Price};
use subledger::stripe::product::Product;
use subledger::stripe::routing::Routing;
use subledger::stripe::subscription::Subscription;
use subledger::stripe::subscription_schedule::Schedule;

/// The envelope, and the object of a folded type into the borrowed structs that the fold reads it with.
pub(crate) fn parse(body: &str) {
    fn object<'a, T: Deserialize<'a>>(object: &'a str) {
        let _ = black_box(serde_json::from_str::<T>(object));
    }
    let Ok(envelope) = Envelope::parse(body) else { return };
    let Some(json) = envelope.object else { return };
    match envelope.event_type.as_ref() {
        "customer.created" | "customer.updated" | "customer.deleted" => {
            object::<Customer<'_>>(json);
        }
        "invoice.upcoming" => drop(black_box(Routing::read(json))),
        it if it.starts_with("customer.subscription.") => object::<Subscription<'_>>(json),
        it if it.starts_with("invoice.") => object::<Invoice<'_>>(json),
        it if it.starts_with("checkout.session.") => object::<CheckoutSession<'_>>(json),
        it if it.starts_with("subscription_schedule.") => object::<Schedule<'_>>(json),
        it if it.starts_with("entitlements.") => object::<EntitlementSummary<'_>>(json),
        it if it.starts_with("product.") => object::<Product<'_>>(json),
        it if it.starts_with("price.") => object::<Price<'_>>(json),
        it if it.starts_with("plan.") => object::<Plan<'_>>(json),
        _ => drop(black_box(Routing::read(json))),
    }
}
