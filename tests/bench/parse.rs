//! Parsing of a body as the fold needs it, and nothing else.

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

/// The envelope and, in the same pass, the object of a folded type into the borrowed structs that the fold
/// reads it with.
pub(crate) fn parse(event_type: &str, body: &str) {
    fn event<'a, T: Deserialize<'a>>(body: &'a str) {
        let _ = black_box(Envelope::<T>::read(body));
    }
    match event_type {
        "customer.created" | "customer.updated" | "customer.deleted" => event::<Customer<'_>>(body),
        "invoice.upcoming" => event::<Routing<'_>>(body),
        it if it.starts_with("customer.subscription.") => event::<Subscription<'_>>(body),
        it if it.starts_with("invoice.") => event::<Invoice<'_>>(body),
        it if it.starts_with("checkout.session.") => event::<CheckoutSession<'_>>(body),
        it if it.starts_with("subscription_schedule.") => event::<Schedule<'_>>(body),
        it if it.starts_with("entitlements.") => event::<EntitlementSummary<'_>>(body),
        it if it.starts_with("product.") => event::<Product<'_>>(body),
        it if it.starts_with("price.") => event::<Price<'_>>(body),
        it if it.starts_with("plan.") => event::<Plan<'_>>(body),
        _ => event::<Routing<'_>>(body),
    }
}
