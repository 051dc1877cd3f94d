//! Lives of paying and of not paying.

use serde_json::json;

use super::{Life, on, shown};

const EARNED: &str = "grace_requires_payment = true";

#[test]
fn a_trial_without_a_card_that_pauses_grants_nothing_until_it_resumes() {
    Life::new()
        .created(0, "trialing")
        .asked(29, true, json!({ "status": "trialing", "paid_through": null }))
        .subscription(30, "paused", "paused", json!({}))
        .asked(30, false, json!({ "status": "paused", "entitled": false, "entitled_until": null }))
        .period_to(70)
        .subscription(40, "resumed", "active", json!({}))
        .asked(41, true, json!({ "status": "active", "entitled_until": shown(100) }));
}

#[test]
fn a_trial_without_a_card_that_cancels_is_over() {
    Life::new().created(0, "trialing").deleted(30).asked(
        30,
        false,
        json!({ "status": "canceled", "entitled": false, "ends_at": shown(30) }),
    );
}

#[test]
fn a_trial_without_a_card_that_is_billed_has_grace_only_where_it_need_not_be_earned() {
    for (policy, on_the_sixth) in [("", true), (EARNED, false)] {
        Life::under(policy)
            .created(0, "trialing")
            .becomes(30, "past_due")
            .asked(36, on_the_sixth, json!({ "status": "past_due", "past_due_since": shown(30) }))
            .asked(37, false, json!({}));
    }
}

#[test]
fn a_payment_that_was_never_confirmed_grants_nothing_and_expires() {
    Life::new()
        .created(0, "incomplete")
        .asked(0, false, json!({ "status": "incomplete" }))
        .becomes(1, "incomplete_expired")
        .asked(2, false, json!({ "status": "incomplete_expired", "entitled": false }));
}

/// Paid for one period, and the next payment fails on day 30.
fn in_debt(policy: &str) -> Life {
    Life::under(policy)
        .created(0, "active")
        .paid(0, "in_1")
        .asked(1, true, json!({ "paid_through": shown(30), "entitled_until": shown(60) }))
        .period_to(60)
        .becomes(30, "past_due")
        .invoice(30, "payment_failed", "in_2", "open")
        .asked(
            36,
            true,
            json!({ "past_due_since": shown(30), "entitled_until": shown(37),
                    "payment_failed_at": shown(30) }),
        )
        .asked(37, false, json!({ "entitled": true }))
}

#[test]
fn dunning_that_recovers_gives_access_back() {
    in_debt("").paid(38, "in_2").becomes(38, "active").asked(
        38,
        true,
        json!({ "status": "active", "past_due_since": null, "paid_through": shown(60),
                "latest_invoice_status": "paid" }),
    );
}

#[test]
fn a_second_failure_does_not_prolong_the_grace() {
    in_debt(EARNED)
        .changes(34, json!({ "metadata": { "seen": "yes" } }))
        .invoice(34, "payment_failed", "in_2", "open")
        .asked(36, true, json!({ "past_due_since": shown(30), "payment_failed_at": shown(34) }))
        .asked(37, false, json!({}));
}

#[test]
fn dunning_that_ends_in_unpaid_grants_nothing_until_it_is_paid_late() {
    in_debt("")
        .becomes(45, "unpaid")
        .asked(45, false, json!({ "status": "unpaid", "entitled": false, "past_due_since": null }))
        .paid(50, "in_2")
        .becomes(50, "active")
        .asked(50, true, json!({ "status": "active", "paid_through": shown(60) }));
}

#[test]
fn what_is_paid_after_the_cancellation_does_not_revive_it() {
    in_debt("")
        .deleted(45)
        .asked(45, false, json!({ "status": "canceled", "ends_at": shown(45) }))
        .paid(50, "in_2")
        .asked(
            50,
            false,
            json!({ "status": "canceled", "entitled": false, "ended_at": shown(45) }),
        );
}

#[test]
fn dunning_that_ends_in_a_pause_says_why_and_goes_on_when_resumed() {
    let reason = json!({ "paused": { "subscription": { "type": "final_payment_failure" } } });
    in_debt("")
        .subscription(45, "paused", "paused", json!({ "status_details": reason }))
        .asked(45, false, json!({ "status": "paused", "paused_reason": "final_payment_failure" }))
        .subscription(50, "resumed", "active", json!({}))
        .asked(50, true, json!({ "status": "active", "paused_reason": null }));
}

#[test]
fn an_invoice_given_up_or_voided_pays_for_nothing() {
    for (verb, status) in [("marked_uncollectible", "uncollectible"), ("voided", "void")] {
        in_debt("").invoice(40, verb, "in_2", status).asked(
            40,
            false,
            json!({ "latest_invoice_status": status, "paid_through": shown(30) }),
        );
    }
}

#[test]
fn money_that_goes_back_changes_nothing_of_access() {
    let before =
        json!({ "status": "active", "paid_through": shown(30), "entitled_until": shown(60) });
    let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_1", "refunded": true });
    let dispute = json!({ "id": "dp_1", "object": "dispute", "charge": "ch_1" });
    Life::new()
        .created(0, "active")
        .paid(0, "in_1")
        .asked(5, true, before.clone())
        .event(5, "charge.refunded", &charge)
        .event(6, "charge.dispute.created", &dispute)
        .asked(7, true, before);
}

#[test]
fn a_credit_for_the_old_plan_does_not_say_how_far_the_new_one_is_paid() {
    let line = |amount: i64, end: i64| json!({ "amount": amount, "period": { "end": on(end) } });
    let invoice = json!({
        "id": "in_2", "object": "invoice", "customer": "cus_1", "status": "paid",
        "subscription": "sub_1", "created": on(5), "lines": { "data": [line(-900, 365), line(90, 35)] },
    });
    Life::new()
        .created(0, "active")
        .event(5, "invoice.paid", &invoice)
        .asked(5, true, json!({ "paid_through": shown(35) }))
        .deleted(6)
        .asked(6, false, json!({ "status": "canceled", "ended_at": shown(6) }));
}

#[test]
fn a_deleted_customer_has_no_access() {
    Life::new()
        .created(0, "active")
        .event(9, "customer.deleted", &json!({ "id": "cus_1", "object": "customer" }))
        .asked(
            9,
            false,
            json!({ "status": "canceled", "ended_at": shown(9), "ends_at": shown(9) }),
        );
}

#[test]
fn a_cancellation_that_never_arrived_does_not_grant_for_ever() {
    for (policy, on_the_29th, on_the_30th) in [
        ("", true, false),
        ("stale_after_period_end_days = 5", false, false),
        ("stale_after_period_end_days = 0", true, true),
    ] {
        Life::under(policy)
            .created(0, "active")
            .asked(34, true, json!({}))
            .asked(59, on_the_29th, json!({}))
            .asked(60, on_the_30th, json!({}));
    }
}

#[test]
fn a_status_of_the_future_does_what_the_policy_says() {
    for (policy, active) in [("", false), ("unknown_status = \"grant\"", true)] {
        Life::under(policy).created(0, "hibernating").asked(
            1,
            active,
            json!({ "entitled": active }),
        );
    }
}

#[test]
fn what_a_test_clock_ended_is_over_though_its_dates_lie_ahead() {
    let ended = json!({ "ended_at": on(400), "test_clock": "clock_1" });
    Life::new().created(0, "active").subscription(0, "deleted", "canceled", ended).asked(
        1,
        false,
        json!({ "entitled": false, "ended_at": shown(400), "test_clock_id": "clock_1" }),
    );
}
