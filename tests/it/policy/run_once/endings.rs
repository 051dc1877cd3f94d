//! Ends: asked for, planned, scheduled, heard of late or never.

use serde_json::{Value, json};

use crate::policy::bills::{line, paid, paid_lines};
use crate::policy::life::{
    active, created, day, deleted, inactive, instant, item, items, life, life_under, no_end, on,
    other, shows, status, until, updated,
};

#[test]
fn an_immediate_cancellation_ends_access_and_its_credit_gives_the_rest_back() {
    let over = json!({ "status": "canceled", "canceled_at": day(10), "ended_at": day(10) });
    life([
        on(0, created(json!({ "status": "active" }))),
        on(0, paid("in_1", 0, 30, 0)),
        on(5, paid_lines("in_2", 5, &[line(-700, 5, 99), line(200, 5, 30)])),
        shows("paid_through", instant(30)),
        on(10, deleted(over)),
        on(10, paid_lines("in_3", 10, &[line(-600, 10, 98)])),
        shows("paid_through", instant(10)),
        shows("ends_at", instant(10)),
        status("canceled"),
        inactive(10),
        no_end(),
    ]);
}

#[test]
fn a_date_of_cancellation_ends_access_even_if_nothing_more_is_heard() {
    life([
        on(0, created(json!({ "status": "active" }))),
        on(3, updated(json!({ "cancel_at": day(20), "canceled_at": day(3) }))),
        shows("ends_at", instant(20)),
        until(20),
        active(19),
        inactive(20),
        on(10, updated(json!({ "cancel_at": null, "canceled_at": null }))),
        shows("ends_at", Value::Null),
        active(20),
        until(60),
    ]);
}

#[test]
fn a_snapshot_whose_date_of_cancellation_has_passed_grants_nothing() {
    life([
        on(0, created(json!({ "status": "active" }))),
        on(12, updated(json!({ "cancel_at": day(10), "canceled_at": day(3) }))),
        status("active"),
        shows("ends_at", instant(10)),
        until(10),
        inactive(12),
    ]);
}

#[test]
fn a_cancellation_at_the_end_of_the_period_can_be_taken_back() {
    life([
        on(0, created(json!({ "status": "active" }))),
        on(3, updated(json!({ "cancel_at_period_end": true, "canceled_at": day(3) }))),
        shows("ends_at", instant(30)),
        active(29),
        inactive(30),
        until(30),
        on(5, updated(json!({ "cancel_at_period_end": false, "canceled_at": null }))),
        active(30),
        until(60),
    ]);
}

#[test]
fn items_of_different_intervals_end_with_the_earliest() {
    let mixed =
        || items(&[item("price_year", Some(1), 0, 365), item("price_month", Some(1), 0, 30)]);
    life([
        on(0, created(json!({ "status": "active", "items": mixed() }))),
        shows("current_period_end", instant(365)),
        until(395),
        on(3, updated(json!({ "cancel_at_period_end": true }))),
        shows("ends_at", instant(30)),
        until(30),
        inactive(30),
    ]);
}

#[test]
fn a_cancellation_that_never_arrived_does_not_grant_for_ever() {
    let told = || on(0, created(json!({ "status": "active" })));
    life([told(), active(59), inactive(60), until(60)]);
    let days = "stale_after_period_end_days = 3";
    life_under(days, [told(), active(32), inactive(33), until(33)]);
    life_under("stale_after_period_end_days = 0", [told(), active(9_999), no_end()]);
}

#[test]
fn a_deleted_customer_has_no_access() {
    life([
        on(0, created(json!({ "status": "active" }))),
        on(9, other("customer.deleted", json!({ "id": "cus_1", "object": "customer" }))),
        status("canceled"),
        shows("ended_at", instant(9)),
        inactive(9),
        no_end(),
    ]);
}

#[test]
fn an_end_that_lies_ahead_on_a_test_clock_is_an_end_all_the_same() {
    let over = json!({ "status": "canceled", "canceled_at": day(400), "ended_at": day(400) });
    life([
        on(0, created(json!({ "status": "active", "test_clock": "clock_1" }))),
        on(0, deleted(over)),
        shows("test_clock_id", "clock_1"),
        shows("ended_at", instant(400)),
        inactive(0),
        inactive(399),
        no_end(),
    ]);
}

#[test]
fn an_item_may_have_no_quantity_and_a_quantity_may_be_nought() {
    for quantity in [None, Some(0)] {
        let item = items(&[item("price_1", quantity, 0, 30)]);
        life([
            on(0, created(json!({ "status": "active", "items": item }))),
            shows("quantity", quantity),
            active(20),
            until(60),
        ]);
    }
}
