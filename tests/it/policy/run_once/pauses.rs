//! Pauses: of the subscription, and of the collection of its invoices.

use serde_json::{Value, json};

use crate::policy::bills::{line, paid, paid_lines};
use crate::policy::life::{
    active, created, day, inactive, instant, life, life_under, no_end, on, other, period, shows,
    status, subscription, until, updated,
};

#[test]
fn a_requested_pause_ends_access_until_it_is_resumed() {
    let paused = json!({ "status": "paused",
        "status_details": { "paused": { "subscription": { "type": "pause_requested" } } } });
    let resumed = json!({ "status": "active", "status_details": null, "items": period(20, 50) });
    life([
        on(0, created(json!({ "status": "active" }))),
        on(10, subscription("customer.subscription.paused", paused)),
        status("paused"),
        shows("paused_reason", "pause_requested"),
        inactive(10),
        no_end(),
        on(20, subscription("customer.subscription.resumed", resumed)),
        shows("paused_reason", Value::Null),
        active(20),
        until(80),
    ]);
}

#[test]
fn a_pause_of_collection_does_what_the_policy_says_of_its_behaviour() {
    for behavior in ["keep_as_draft", "mark_uncollectible", "void"] {
        for (effect, last) in [("grant", 60), ("until_paid_through", 30), ("deny", 5)] {
            let policy = format!("[pause_collection]\n{behavior} = \"{effect}\"");
            let pause = json!({ "behavior": behavior, "resumes_at": day(50) });
            let shown = json!({ "behavior": behavior, "resumes_at": instant(50) });
            life_under(
                &policy,
                [
                    on(0, created(json!({ "status": "active" }))),
                    on(0, paid("in_1", 0, 30, 0)),
                    until(60),
                    on(5, updated(json!({ "pause_collection": pause }))),
                    status("active"),
                    shows("pause_collection", shown),
                    shows("entitled", effect != "deny"),
                    if effect == "deny" { no_end() } else { until(last) },
                    if effect == "deny" { inactive(5) } else { active(last - 1) },
                    inactive(last),
                    on(50, updated(json!({ "pause_collection": null, "items": period(30, 60) }))),
                    active(50),
                    until(90),
                ],
            );
        }
    }
}

#[test]
fn what_was_never_paid_for_has_no_paid_time_left_when_collection_pauses() {
    let void = json!({ "behavior": "void", "resumes_at": null });
    life_under(
        "[pause_collection]\nvoid = \"until_paid_through\"",
        [
            on(0, created(json!({ "status": "active" }))),
            on(5, updated(json!({ "pause_collection": void }))),
            shows("entitled", false),
            inactive(5),
        ],
    );
}

const UNTIL_PAID: &str = "[pause_collection]\nvoid = \"until_paid_through\"";

#[test]
fn time_that_was_given_back_grants_no_access_while_collection_is_paused() {
    let void = json!({ "behavior": "void", "resumes_at": null });
    // A year is changed to a month on day 60.
    life_under(
        UNTIL_PAID,
        [
            on(0, created(json!({ "status": "active", "items": period(0, 365) }))),
            on(0, paid("in_1", 0, 365, 0)),
            shows("paid_through", instant(365)),
            on(60, updated(json!({ "items": period(60, 90) }))),
            on(60, paid_lines("in_2", 60, &[line(-900, 60, 365), line(100, 60, 90)])),
            shows("paid_through", instant(90)),
            on(70, updated(json!({ "pause_collection": void }))),
            until(90),
            active(89),
            inactive(90),
        ],
    );
}

#[test]
fn a_paid_invoice_whose_list_was_cut_counts_for_the_period_or_is_said_to_be_unknown() {
    let void = json!({ "behavior": "void", "resumes_at": null });
    let cut = |id: &str| {
        let proration = json!({
            "amount": 100, "period": { "start": day(5), "end": day(30) },
            "parent": { "subscription_item_details":
                { "subscription": "sub_1", "subscription_item": "si_price_month", "proration": true } },
        });
        let invoice = json!({
            "id": id, "object": "invoice", "customer": "cus_1", "status": "paid", "created": day(30),
            "parent": { "subscription_details": { "subscription": "sub_1" } },
            "lines": { "data": [proration], "has_more": true, "total_count": 12 },
        });
        other("invoice.paid", invoice)
    };
    let renewed =
        |latest: &str| updated(json!({ "items": period(30, 60), "latest_invoice": latest }));
    life_under(
        UNTIL_PAID,
        [
            on(0, created(json!({ "status": "active" }))),
            on(0, paid("in_1", 0, 30, 0)),
            on(30, renewed("in_2")),
            on(30, cut("in_2")),
            shows("paid_through", instant(60)),
            shows("paid_through_unknown", false),
        ],
    );
    life_under(
        UNTIL_PAID,
        [
            on(0, created(json!({ "status": "active" }))),
            on(0, paid("in_1", 0, 30, 0)),
            // The snapshot does not point at it, so its period may be another.
            on(30, renewed("in_3")),
            on(30, cut("in_2")),
            shows("paid_through", Value::Null),
            shows("paid_through_unknown", true),
            on(31, updated(json!({ "pause_collection": void }))),
            until(60),
            active(59),
            // A later invoice says it again.
            on(60, paid("in_4", 60, 90, 60)),
            shows("paid_through", instant(90)),
            shows("paid_through_unknown", false),
        ],
    );
}
