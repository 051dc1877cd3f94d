//! Every way between two statuses that Stripe documents, and what it does to access.

use serde_json::json;

use crate::policy::life::{
    Step, active, created, day, deleted, inactive, life, life_under, on, other, period, status,
    subscription, until, updated,
};

/// From one status to another.
const WAYS: [(&str, &str); 21] = [
    ("incomplete", "active"),
    ("incomplete", "trialing"),
    ("incomplete", "incomplete_expired"),
    ("trialing", "active"),
    ("trialing", "past_due"),
    ("trialing", "paused"),
    ("trialing", "canceled"),
    ("active", "trialing"),
    ("active", "past_due"),
    ("active", "paused"),
    ("active", "canceled"),
    ("past_due", "active"),
    ("past_due", "unpaid"),
    ("past_due", "paused"),
    ("past_due", "canceled"),
    ("unpaid", "active"),
    ("unpaid", "canceled"),
    ("paused", "active"),
    ("paused", "past_due"),
    ("paused", "trialing"),
    ("paused", "canceled"),
];

fn asked(status: &str, day: i64) -> Step {
    if ["active", "trialing", "past_due"].contains(&status) { active(day) } else { inactive(day) }
}

#[test]
fn after_every_turn_the_new_status_decides() {
    for (from, to) in WAYS {
        life([
            on(0, created(json!({ "status": from }))),
            status(from),
            asked(from, 0),
            on(5, updated(json!({ "status": to }))),
            status(to),
            asked(to, 5),
        ]);
    }
}

#[test]
fn a_turn_within_one_second_ends_where_it_led_whatever_the_ids_say() {
    for (from, to) in WAYS {
        // The second begins in some third status, so that no `created` event helps.
        let before = if from == "incomplete" { "novel" } else { "incomplete" };
        life([
            on(0, created(json!({ "status": before }))),
            on(5, updated(json!({ "status": from }))),
            on(5, updated(json!({ "status": to }))),
            status(to),
            asked(to, 5),
        ]);
    }
}

#[test]
fn a_trial_that_is_given_to_who_pays_already_is_access_until_it_ends() {
    life([
        on(0, created(json!({ "status": "active" }))),
        until(60),
        on(
            10,
            updated(json!({ "status": "trialing", "trial_start": day(10), "trial_end": day(40),
                "items": period(10, 40) })),
        ),
        status("trialing"),
        active(39),
        until(70),
    ]);
}

#[test]
fn a_pause_may_end_in_debt_and_the_debt_in_access() {
    life([
        on(0, created(json!({ "status": "trialing", "items": period(0, 14) }))),
        on(14, updated(json!({ "status": "paused" }))),
        inactive(14),
        on(
            20,
            subscription(
                "customer.subscription.resumed",
                json!({ "status": "past_due", "items": period(20, 50) }),
            ),
        ),
        status("past_due"),
        // The debt begins when the pause ends, not with the pause.
        active(26),
        inactive(27),
        until(27),
        on(25, updated(json!({ "status": "active" }))),
        active(49),
        until(80),
    ]);
}

#[test]
fn a_pause_may_end_for_good() {
    life([
        on(0, created(json!({ "status": "active" }))),
        on(5, subscription("customer.subscription.paused", json!({ "status": "paused" }))),
        inactive(5),
        on(9, deleted(json!({ "status": "canceled", "ended_at": day(9) }))),
        status("canceled"),
        inactive(9),
    ]);
}

#[test]
fn an_invoice_that_is_sent_is_owed_only_when_the_subscription_says_so() {
    let open = json!({ "id": "in_1", "object": "invoice", "customer": "cus_1", "status": "open",
        "subscription": "sub_1", "created": day(0), "due_date": day(14) });
    life_under(
        "past_due_grace_days = 3",
        [
            on(0, created(json!({ "status": "active", "collection_method": "send_invoice" }))),
            on(0, other("invoice.sent", open.clone())),
            active(13),
            until(60),
            on(14, other("invoice.overdue", open)),
            until(60),
            on(14, updated(json!({ "status": "past_due" }))),
            active(16),
            inactive(17),
        ],
    );
}
