//! Payments that failed, and what became of them.

use serde_json::{Value, json};

use crate::policy::bills::{failed, given_up, paid};
use crate::policy::life::{
    Told, active, created, day, deleted, inactive, instant, life, life_under, no_end, on, other,
    period, shows, status, subscription, until, updated,
};

fn overdue() -> Told {
    updated(json!({ "status": "past_due", "items": period(30, 60) }))
}

#[test]
fn dunning_that_recovers_gives_access_back() {
    life([
        on(0, created(json!({ "status": "active" }))),
        on(0, paid("in_1", 0, 30, 0)),
        shows("paid_through", instant(30)),
        on(30, overdue()),
        on(30, failed("in_2", 30, 60, Some(33))),
        shows("past_due_since", instant(30)),
        shows("payment_failed_at", instant(30)),
        shows("next_payment_attempt", instant(33)),
        active(36),
        inactive(37),
        until(37),
        // A second failure does not begin the grace anew.
        on(33, failed("in_2", 30, 60, Some(40))),
        on(33, updated(json!({ "latest_invoice": "in_2" }))),
        until(37),
        on(40, paid("in_2", 30, 60, 40)),
        on(40, updated(json!({ "status": "active" }))),
        status("active"),
        shows("past_due_since", Value::Null),
        shows("next_payment_attempt", Value::Null),
        shows("paid_through", instant(60)),
        active(59),
        until(90),
    ]);
}

#[test]
fn dunning_that_ends_in_unpaid_is_mended_by_paying_late() {
    life([
        on(0, created(json!({ "status": "active" }))),
        on(30, overdue()),
        on(50, updated(json!({ "status": "unpaid" }))),
        status("unpaid"),
        inactive(31),
        inactive(50),
        no_end(),
        on(70, paid("in_2", 30, 60, 70)),
        inactive(70),
        on(70, updated(json!({ "status": "active", "items": period(60, 90) }))),
        active(70),
        until(120),
    ]);
}

#[test]
fn dunning_that_ends_in_a_cancellation_is_not_mended_by_paying_late() {
    let over = json!({ "status": "canceled", "canceled_at": day(50), "ended_at": day(50),
        "cancellation_details": { "reason": "payment_failed" } });
    life([
        on(0, created(json!({ "status": "active" }))),
        on(30, overdue()),
        on(50, deleted(over)),
        status("canceled"),
        shows("cancellation_reason", "payment_failed"),
        inactive(31),
        on(55, paid("in_2", 30, 60, 55)),
        status("canceled"),
        shows("latest_invoice_status", "paid"),
        shows("paid_through", instant(60)),
        shows("ends_at", instant(50)),
        inactive(55),
    ]);
}

#[test]
fn dunning_that_ends_in_a_pause_says_why() {
    let paused = json!({ "status": "paused",
        "status_details": { "paused": { "subscription": { "type": "final_payment_failure" } } } });
    let resumed = json!({ "status": "active", "status_details": null, "items": period(60, 90) });
    life([
        on(0, created(json!({ "status": "active" }))),
        on(30, overdue()),
        on(50, subscription("customer.subscription.paused", paused)),
        status("paused"),
        shows("paused_reason", "final_payment_failure"),
        inactive(50),
        on(60, subscription("customer.subscription.resumed", resumed)),
        shows("paused_reason", Value::Null),
        active(60),
        until(120),
    ]);
}

#[test]
fn grace_is_as_long_as_the_policy_says() {
    for (policy, last) in [("past_due_grace_days = 0", 30), ("past_due_grace_days = 14", 44)] {
        life_under(
            policy,
            [
                on(0, created(json!({ "status": "active" }))),
                on(30, overdue()),
                active(last - 1),
                inactive(last),
                until(last),
            ],
        );
    }
}

#[test]
fn an_invoice_that_is_given_up_pays_for_nothing() {
    for (event_type, word) in
        [("invoice.marked_uncollectible", "uncollectible"), ("invoice.voided", "void")]
    {
        life([
            on(0, created(json!({ "status": "active" }))),
            on(0, paid("in_1", 0, 30, 0)),
            on(30, updated(json!({ "items": period(30, 60) }))),
            on(30, failed("in_2", 30, 60, Some(33))),
            on(35, given_up(event_type, word, "in_2", 30, 60)),
            shows("latest_invoice_status", word),
            shows("paid_through", instant(30)),
            shows("next_payment_attempt", Value::Null),
            status("active"),
            until(90),
        ]);
    }
}

#[test]
fn money_that_goes_back_changes_nothing_of_access() {
    let refund = json!({ "id": "re_1", "object": "refund", "charge": "ch_1", "amount": 900 });
    let dispute = json!({ "id": "dp_1", "object": "dispute", "charge": "ch_1", "amount": 900 });
    life([
        on(0, created(json!({ "status": "active" }))),
        on(0, paid("in_1", 0, 30, 0)),
        on(5, other("refund.created", refund)),
        on(6, other("charge.dispute.created", dispute)),
        status("active"),
        shows("paid_through", instant(30)),
        active(20),
        until(60),
    ]);
}
