//! Trials, and first payments that never came.

use serde_json::json;

use crate::policy::bills::{line, paid_lines};
use crate::policy::life::{
    active, created, day, deleted, inactive, instant, life, life_under, no_end, on, period, shows,
    status, subscription, until, updated,
};

#[test]
fn a_trial_that_is_paid_for_goes_on() {
    life([
        on(
            0,
            created(json!({ "status": "trialing", "items": period(0, 14), "trial_end": day(14) })),
        ),
        status("trialing"),
        active(0),
        until(44),
        on(11, subscription("customer.subscription.trial_will_end", json!({}))),
        active(14),
        on(14, updated(json!({ "status": "active", "items": period(14, 44) }))),
        status("active"),
        shows("trial_end", instant(14)),
        active(40),
        until(74),
    ]);
}

#[test]
fn a_trial_without_a_card_that_pauses_grants_nothing_until_it_is_resumed() {
    let trial = json!({ "status": "trialing", "items": period(0, 14), "trial_end": day(14),
        "trial_settings": { "end_behavior": { "missing_payment_method": "pause" } } });
    life([
        on(0, created(trial)),
        active(13),
        on(14, subscription("customer.subscription.paused", json!({ "status": "paused" }))),
        status("paused"),
        shows("entitled", false),
        inactive(14),
        no_end(),
        on(
            20,
            subscription(
                "customer.subscription.resumed",
                json!({ "status": "active", "items": period(20, 50) }),
            ),
        ),
        active(20),
        until(80),
    ]);
}

#[test]
fn a_trial_without_a_card_that_cancels_is_over() {
    let over = json!({ "status": "canceled", "canceled_at": day(14), "ended_at": day(14) });
    life([
        on(
            0,
            created(json!({ "status": "trialing", "items": period(0, 14), "trial_end": day(14) })),
        ),
        on(14, deleted(over)),
        status("canceled"),
        shows("ended_at", instant(14)),
        shows("ends_at", instant(14)),
        inactive(13),
        inactive(14),
        no_end(),
    ]);
}

/// A trial that ends without a card and whose first invoice is then overdue.
fn overdue_trial() -> [crate::policy::life::Step; 3] {
    let trial = json!({ "status": "trialing", "items": period(0, 14), "trial_end": day(14) });
    [
        on(0, created(trial)),
        on(0, paid_lines("in_1", 0, &[line(0, 0, 14)])),
        on(14, updated(json!({ "status": "past_due", "items": period(14, 44) }))),
    ]
}

#[test]
fn a_trial_without_a_card_that_is_billed_has_grace() {
    let [begins, trial_invoice, overdue] = overdue_trial();
    life([
        begins,
        trial_invoice,
        overdue,
        shows("past_due_since", instant(14)),
        active(20),
        inactive(21),
        until(21),
    ]);
}

#[test]
fn grace_that_must_be_earned_is_not_earned_by_a_trial() {
    let [begins, _, overdue] = overdue_trial();
    life_under(
        "grace_requires_payment = true",
        [begins, active(13), overdue, shows("entitled", false), inactive(14), no_end()],
    );
}

#[test]
fn an_invoice_of_nothing_for_a_trial_earns_no_grace() {
    let [begins, trial_invoice, overdue] = overdue_trial();
    life_under(
        "grace_requires_payment = true",
        [begins, trial_invoice, overdue, shows("entitled", false), inactive(14)],
    );
}

#[test]
fn a_first_payment_that_is_never_confirmed_grants_nothing() {
    let incomplete = || on(0, created(json!({ "status": "incomplete" })));
    life([
        incomplete(),
        inactive(0),
        on(1, updated(json!({ "status": "incomplete_expired", "ended_at": day(1) }))),
        status("incomplete_expired"),
        inactive(1),
        no_end(),
    ]);
    life([incomplete(), on(0, updated(json!({ "status": "active" }))), active(0), until(60)]);
}
