//! Lives with an end or a change that is planned, and with unusual items.

use serde_json::{Value, json};

use super::{Life, on, shown};

#[test]
fn a_cancellation_ahead_ends_access_on_its_day_and_one_taken_back_does_not() {
    Life::new()
        .created(0, "active")
        .changes(5, json!({ "cancel_at": on(20) }))
        .asked(19, true, json!({ "ends_at": shown(20), "entitled_until": shown(20) }))
        .asked(20, false, json!({ "status": "active" }))
        .changes(6, json!({ "cancel_at": null }))
        .asked(20, true, json!({ "ends_at": null }));
}

#[test]
fn a_cancellation_at_the_periods_end_takes_effect_at_the_earliest_items_end() {
    let item = |id: &str, end: i64| json!({ "id": id, "current_period_end": on(end) });
    let items = json!({ "data": [item("si_1", 365), item("si_2", 30)] });
    Life::new()
        .created(0, "active")
        .changes(5, json!({ "cancel_at_period_end": true }))
        .asked(29, true, json!({ "ends_at": shown(30), "entitled_until": shown(30) }))
        .asked(30, false, json!({}))
        .changes(6, json!({ "cancel_at_period_end": true, "items": items }))
        .asked(29, true, json!({ "ends_at": shown(30), "current_period_end": shown(365) }))
        .asked(30, false, json!({}));
}

#[test]
fn items_without_a_quantity_or_with_none_of_it_are_items() {
    for quantity in [json!(0), Value::Null] {
        let item = json!({ "id": "si_1", "quantity": quantity, "current_period_end": on(30) });
        Life::new().created(0, "active").changes(1, json!({ "items": { "data": [item] } })).asked(
            2,
            true,
            json!({ "quantity": quantity }),
        );
    }
}

/// A schedule whose first phase ends on day 30 and whose second on day 90.
fn schedule(status: &str, end_behavior: &str) -> Value {
    let phase = |from: i64, to: i64, price: &str| {
        json!({ "start_date": on(from), "end_date": on(to),
                "items": [{ "price": price, "quantity": 2 }] })
    };
    json!({
        "id": "sub_sched_1", "object": "subscription_schedule", "customer": "cus_1",
        "status": status, "subscription": "sub_1", "end_behavior": end_behavior,
        "current_phase": { "start_date": on(0), "end_date": on(30) },
        "phases": [phase(0, 30, "price_1"), phase(30, 90, "price_2")],
    })
}

#[test]
fn a_schedule_says_what_comes_next_and_bounds_access_only_where_it_cancels() {
    let next = json!({
        "schedule_id": "sub_sched_1", "at": shown(30), "action": "update",
        "items": [{ "price_id": "price_2", "quantity": 2 }],
    });
    for (end_behavior, ends_at, active) in
        [("release", Value::Null, true), ("cancel", shown(90), false)]
    {
        Life::new()
            .created(0, "active")
            .event(1, "subscription_schedule.created", &schedule("active", end_behavior))
            .asked(2, true, json!({ "scheduled_change": next, "ends_at": ends_at }))
            .period_to(120)
            .becomes(30, "active")
            .asked(90, active, json!({}));
    }
}

#[test]
fn a_released_schedule_plans_nothing() {
    let released = super::with(
        schedule("released", "cancel"),
        json!({ "subscription": null, "released_subscription": "sub_1" }),
    );
    Life::new()
        .created(0, "active")
        .event(1, "subscription_schedule.created", &schedule("active", "cancel"))
        .event(2, "subscription_schedule.released", &released)
        .asked(3, true, json!({ "scheduled_change": null, "ends_at": null }));
}

#[test]
fn the_last_phase_of_a_schedule_that_cancels_has_the_cancellation_ahead() {
    let last = json!({ "current_phase": { "start_date": on(30), "end_date": on(90) } });
    let planned = json!({
        "schedule_id": "sub_sched_1", "at": shown(90), "action": "cancel", "items": [],
    });
    Life::new()
        .created(0, "active")
        .event(
            30,
            "subscription_schedule.updated",
            &super::with(schedule("active", "cancel"), last),
        )
        .asked(31, true, json!({ "scheduled_change": planned, "ends_at": shown(90) }));
}

#[test]
fn a_cancellation_whose_day_has_passed_ends_access_though_nothing_more_arrives() {
    let cancelled = json!({ "cancel_at": on(10), "canceled_at": on(3) });
    Life::new()
        .created(0, "active")
        .paid(0, "in_1")
        .changes(3, cancelled.clone())
        .asked(9, true, json!({ "ends_at": shown(10), "entitled_until": shown(10) }))
        .asked(10, false, json!({ "status": "active", "entitled": true }))
        // An update that arrives after that day grants nothing either.
        .changes(12, cancelled)
        .asked(12, false, json!({ "ends_at": shown(10), "ended_at": null }))
        .deleted(13)
        .asked(13, false, json!({ "status": "canceled", "ended_at": shown(13) }));
}

#[test]
fn the_list_of_statuses_says_which_of_them_grant() {
    for (policy, status, active) in [
        ("grant = [\"active\"]", "trialing", false),
        ("grant = [\"active\"]", "past_due", false),
        ("grant = [\"active\", \"unpaid\"]", "unpaid", true),
        ("grant = [\"paused\"]", "paused", true),
        ("grant = []", "active", false),
    ] {
        let row = json!({ "status": status, "entitled": active });
        Life::under(policy).created(0, status).asked(1, active, row);
    }
}
