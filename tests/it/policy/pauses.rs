//! Pauses: of the subscription, and of the collection of its invoices.

use serde_json::{Value, json};

use super::bills::paid;
use super::life::{
    active, created, day, inactive, instant, life, life_under, no_end, on, period, shows, status,
    subscription, until, updated,
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
