//! Random small events about few objects with few values, so that ties, chains, cycles and
//! contradictions come up often.

use subledger::projection::user_link::UserLinkRecord;

use super::dice::Dice;
use super::told::{Told, UPDATED};

const STATUSES: [&str; 6] =
    ["incomplete", "trialing", "active", "past_due", "canceled", "hibernating"];
const VERSIONS: [&str; 2] = ["2024-12-18.acacia", "2026-04-22.dahlia"];

/// An event or an observation about a subscription, an invoice, a session, a schedule, the features or the customer
/// `cus_1` or `cus_2`.
pub(super) fn any_event(dice: &mut Dice, id: &str) -> Told {
    let customer = dice.pick(&["cus_1", "cus_1", "cus_2"]);
    let created = 1 + i64::try_from(dice.below(3)).unwrap();
    let (event_type, object) = match dice.below(10) {
        0..4 => subscription(dice, customer),
        4..6 => invoice(dice, customer),
        6 => session(dice, customer),
        7 => schedule(dice, customer),
        8 => features(dice, customer),
        _ => customer_itself(dice, customer),
    };
    let event = Told::new(id, event_type, created, &object).was(&previous(dice));
    let event = if dice.one_in(4) { event.into_observation(dice.one_in(6)) } else { event };
    if dice.one_in(3) { event } else { event.at_version(dice.pick(&VERSIONS)) }
}

/// The same, or a link to a user, whose id says something about time.
pub(super) fn any_event_or_link(dice: &mut Dice, id: &str) -> Told {
    if !dice.one_in(6) {
        return any_event(dice, id);
    }
    let user = dice.pick(&["null", "\"u1\"", "\"u3\""]);
    let customer = dice.pick(&["cus_1", "cus_1", "cus_2"]);
    let object = format!(r#"{{"customer":"{customer}","user_id":{user},"by":"Ann"}}"#);
    Told::new(id, UserLinkRecord::TYPE, 1 + i64::try_from(dice.below(3)).unwrap(), &object)
}

/// A customer belongs to one subscription id each, as it does at Stripe.
fn subscription_id(dice: &mut Dice, customer: &str) -> String {
    format!("sub_{}{}", &customer[4..], dice.pick(&["a", "b"]))
}

fn previous(dice: &mut Dice) -> String {
    match dice.below(5) {
        0 => "null".to_owned(),
        1 => format!(r#"{{"status":"{}"}}"#, dice.pick(&STATUSES)),
        2 => format!(r#"{{"cancel_at":{}}}"#, dice.pick(&["null", "7", "8"])),
        3 => format!(r#"{{"quantity":{}}}"#, dice.below(3)),
        _ => format!(
            r#"{{"cancel_at":{},"metadata":{{"user_id":"{}"}}}}"#,
            dice.pick(&["null", "7", "8"]),
            dice.pick(&["u1", "u2"]),
        ),
    }
}

fn subscription(dice: &mut Dice, customer: &str) -> (&'static str, String) {
    let event_type = dice.pick(&[
        "customer.subscription.created",
        UPDATED,
        UPDATED,
        UPDATED,
        "customer.subscription.deleted",
        "customer.subscription.trial_will_end",
        "customer.subscription.pending_update_expired",
    ]);
    let object = format!(
        r#"{{"id":"{}","object":"subscription","customer":"{customer}","status":"{}",
        "cancel_at":{},"quantity":{},"metadata":{{"user_id":"{}"}},
        "items":{{"data":[{{"id":"si_1","quantity":{},"current_period_end":{}}}]}}}}"#,
        subscription_id(dice, customer),
        dice.pick(&STATUSES),
        dice.pick(&["null", "7", "8"]),
        dice.below(3),
        dice.pick(&["u1", "u2"]),
        dice.below(3),
        dice.pick(&["null", "50", "60"]),
    );
    (event_type, object)
}

fn invoice(dice: &mut Dice, customer: &str) -> (&'static str, String) {
    let event_type = dice.pick(&[
        "invoice.created",
        "invoice.updated",
        "invoice.paid",
        "invoice.payment_failed",
        "invoice.deleted",
        "invoice.upcoming",
    ]);
    let subscription = subscription_id(dice, customer);
    let object = format!(
        r#"{{"id":"in_{}","object":"invoice","customer":"{customer}","subscription":"{subscription}",
        "status":"{}","created":{},"customer_email":"{}@example.com","quantity":{},
        "lines":{{"data":[{{"amount":5,"type":"subscription","subscription":"{subscription}",
        "period":{{"end":{}}}}}]}}}}"#,
        dice.pick(&["1", "2"]),
        dice.pick(&["draft", "open", "uncollectible", "paid", "void"]),
        dice.below(3),
        dice.pick(&["a", "b"]),
        dice.below(3),
        dice.pick(&["50", "60"]),
    );
    (event_type, object)
}

fn session(dice: &mut Dice, customer: &str) -> (&'static str, String) {
    let event_type = dice.pick(&[
        "checkout.session.completed",
        "checkout.session.expired",
        "checkout.session.async_payment_succeeded",
    ]);
    let object = format!(
        r#"{{"id":"cs_{}","object":"checkout.session","customer":"{customer}","subscription":"{}",
        "client_reference_id":"{}","created":{},"status":"{}"}}"#,
        dice.pick(&["1", "2"]),
        subscription_id(dice, customer),
        dice.pick(&["u1", "u2", "u3"]),
        dice.below(3),
        dice.pick(&["open", "complete"]),
    );
    (event_type, object)
}

fn schedule(dice: &mut Dice, customer: &str) -> (&'static str, String) {
    let event_type = dice.pick(&[
        "subscription_schedule.created",
        "subscription_schedule.updated",
        "subscription_schedule.released",
    ]);
    let object = format!(
        r#"{{"id":"sub_sched_{}","object":"subscription_schedule","customer":"{customer}",
        "subscription":"{}","status":"{}","end_behavior":"{}","current_phase":{{"end_date":40}},
        "phases":[{{"start_date":40,"end_date":80,"items":[{{"price":"price_1","quantity":{}}}]}}]}}"#,
        dice.pick(&["1", "2"]),
        subscription_id(dice, customer),
        dice.pick(&["not_started", "active", "released", "canceled"]),
        dice.pick(&["release", "cancel"]),
        dice.below(3),
    );
    (event_type, object)
}

fn features(dice: &mut Dice, customer: &str) -> (&'static str, String) {
    let object = format!(
        r#"{{"object":"entitlements.active_entitlement_summary","customer":"{customer}",
        "entitlements":{{"data":[{{"lookup_key":"{}"}}],"has_more":{}}}}}"#,
        dice.pick(&["sso", "audit"]),
        dice.one_in(3),
    );
    ("entitlements.active_entitlement_summary.updated", object)
}

fn customer_itself(dice: &mut Dice, customer: &str) -> (&'static str, String) {
    let event_type = dice.pick(&[
        "customer.created",
        "customer.updated",
        "customer.updated",
        "customer.deleted",
    ]);
    let object = format!(
        r#"{{"id":"{customer}","object":"customer","email":"{}@example.com",
        "metadata":{{"user_id":"{}"}}}}"#,
        dice.pick(&["a", "b"]),
        dice.pick(&["u1", "u2"]),
    );
    (event_type, object)
}
