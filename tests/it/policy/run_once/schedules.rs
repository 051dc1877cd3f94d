//! Schedules: what comes next, and what ends.

use serde_json::{Value, json};

use crate::policy::life::{
    active, created, day, deleted, inactive, instant, life, on, other, period, shows, until,
    updated,
};

/// A schedule of two phases, in the first or the second of them.
fn schedule(current: (i64, i64), end_behavior: &str) -> Value {
    json!({
        "id": "sub_sched_1", "object": "subscription_schedule", "customer": "cus_1",
        "status": "active", "subscription": "sub_1", "end_behavior": end_behavior,
        "current_phase": { "start_date": day(current.0), "end_date": day(current.1) },
        "phases": [
            { "start_date": day(0), "end_date": day(30),
              "items": [{ "price": "price_month", "quantity": 1 }] },
            { "start_date": day(30), "end_date": day(45),
              "items": [{ "price": "price_pro", "quantity": 2 }, { "price": "price_metered" }] },
        ],
    })
}

#[test]
fn a_schedule_says_what_comes_next_and_when_it_ends() {
    let update = json!({ "schedule_id": "sub_sched_1", "at": instant(30), "action": "update",
        "items": [{ "price_id": "price_pro", "quantity": 2 },
                  { "price_id": "price_metered", "quantity": null }] });
    let cancel = json!({ "schedule_id": "sub_sched_1", "at": instant(45), "action": "cancel",
        "items": [] });
    life([
        on(0, created(json!({ "status": "active" }))),
        shows("scheduled_change", Value::Null),
        on(1, other("subscription_schedule.created", schedule((0, 30), "cancel"))),
        shows("scheduled_change", update),
        shows("ends_at", instant(45)),
        until(45),
        on(30, updated(json!({ "items": period(30, 60) }))),
        on(30, other("subscription_schedule.updated", schedule((30, 45), "cancel"))),
        shows("scheduled_change", cancel),
        active(44),
        inactive(45),
    ]);
}

#[test]
fn a_schedule_that_is_released_leaves_the_subscription_as_it_is() {
    let mut released = schedule((0, 30), "release");
    released["status"] = "released".into();
    released["subscription"] = Value::Null;
    released["released_subscription"] = "sub_1".into();
    life([
        on(0, created(json!({ "status": "active" }))),
        on(1, other("subscription_schedule.created", schedule((0, 30), "release"))),
        shows("ends_at", Value::Null),
        until(60),
        on(2, other("subscription_schedule.released", released)),
        shows("scheduled_change", Value::Null),
        until(60),
    ]);
}

#[test]
fn a_schedule_that_has_not_started_has_its_first_phase_ahead() {
    let mut ahead = schedule((0, 30), "release");
    ahead["status"] = "not_started".into();
    ahead["current_phase"] = Value::Null;
    ahead["phases"].as_array_mut().unwrap().remove(0);
    let update = json!({ "schedule_id": "sub_sched_1", "at": instant(30), "action": "update",
        "items": [{ "price_id": "price_pro", "quantity": 2 },
                  { "price_id": "price_metered", "quantity": null }] });
    life([
        on(0, created(json!({ "status": "active" }))),
        on(1, other("subscription_schedule.created", ahead)),
        shows("scheduled_change", update),
        shows("ends_at", Value::Null),
        until(60),
    ]);
}

#[test]
fn a_schedule_that_is_over_plans_nothing_whatever_is_heard_of_it_late() {
    for status in ["completed", "released", "canceled"] {
        let mut over = schedule((30, 45), "cancel");
        over["status"] = status.into();
        life([
            on(0, created(json!({ "status": "active" }))),
            on(5, other("subscription_schedule.updated", over)),
            on(6, other("subscription_schedule.updated", schedule((0, 30), "cancel"))),
            shows("scheduled_change", Value::Null),
            shows("ends_at", Value::Null),
            until(60),
        ]);
    }
}

#[test]
fn the_schedule_of_another_subscription_plans_nothing_here() {
    let mut of_another = schedule((0, 30), "cancel");
    of_another["subscription"] = "sub_2".into();
    life([
        on(0, created(json!({ "status": "active" }))),
        on(1, other("subscription_schedule.created", of_another)),
        shows("scheduled_change", Value::Null),
        until(60),
    ]);
}

#[test]
fn a_subscription_that_is_over_has_nothing_planned() {
    let over = json!({ "status": "canceled", "canceled_at": day(9), "ended_at": day(9) });
    life([
        on(0, created(json!({ "status": "active" }))),
        on(1, other("subscription_schedule.created", schedule((0, 30), "cancel"))),
        on(9, deleted(over)),
        shows("scheduled_change", Value::Null),
        shows("ends_at", instant(9)),
        inactive(9),
    ]);
}

#[test]
fn what_the_subscription_says_later_of_its_schedule_wins_over_the_schedules_own_word() {
    let made = || on(1, other("subscription_schedule.created", schedule((0, 30), "cancel")));
    let says = |at: i64, schedule: Value| on(at, updated(json!({ "schedule": schedule })));
    let planned = || shows("ends_at", instant(45));
    let nothing_planned = || shows("ends_at", Value::Null);
    life([
        on(0, created(json!({ "status": "active" }))),
        made(),
        planned(),
        // It says nothing of any schedule, as before 2019-08-14.
        on(2, updated(json!({ "quantity": 2 }))),
        planned(),
        says(3, json!("sub_sched_1")),
        planned(),
        says(4, Value::Null),
        nothing_planned(),
        shows("scheduled_change", Value::Null),
        active(46),
        // Another one drives it now, of which no event is known.
        says(5, json!("sub_sched_2")),
        nothing_planned(),
        // And the schedule itself says later that it still does.
        on(6, other("subscription_schedule.updated", schedule((0, 30), "cancel"))),
        planned(),
    ]);
    // In one second nothing says which came later, and the schedule's own word counts.
    life([
        on(0, created(json!({ "status": "active" }))),
        on(1, updated(json!({ "schedule": null }))),
        made(),
        planned(),
    ]);
}
