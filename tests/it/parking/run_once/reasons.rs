//! Reasons of parked events: written for people, without values of the event.

use serde_json::{Value, json};
use subledger::projection::observe::observe;

/// Reason why an event of this type with this object is parked.
fn said(event_type: &str, object: &Value) -> String {
    let body = json!({
        "id": "evt_1", "object": "event", "type": event_type, "created": 7, "livemode": true,
        "data": { "object": object },
    });
    observe(&body.to_string()).map_or_else(|error| error.to_string(), |_| "nothing".to_owned())
}

#[test]
fn why_an_event_is_parked_can_be_understood_and_gives_no_value_away() {
    let cases = [
        (
            "customer.subscription.updated",
            json!({ "id": { "secret": 1 }, "customer": "cus_1", "status": "active" }),
            "subscription: `id` is an object where a string belongs",
        ),
        (
            "customer.subscription.updated",
            json!({ "id": "sub_1", "status": "active" }),
            "subscription: missing field `customer`",
        ),
        (
            "customer.subscription.updated",
            json!({ "id": "sub_1", "customer": ["secret"], "status": "active" }),
            "subscription: `customer` is a list where an id or an object with an id belongs",
        ),
        (
            "checkout.session.completed",
            json!({ "id": true }),
            "checkout.session: `id` is a truth value where a string belongs",
        ),
        ("customer.updated", json!({}), "customer: missing field `id`"),
        (
            "subscription_schedule.updated",
            json!({ "id": "sub_sched_1", "customer": "cus_1", "status": 7 }),
            "subscription_schedule: `status` is an integer where a string belongs",
        ),
        (
            "entitlements.active_entitlement_summary.updated",
            json!({ "customer": null }),
            "entitlements.active_entitlement_summary: missing field `customer`",
        ),
        ("product.updated", json!({ "name": "secret" }), "product: missing field `id`"),
        ("price.updated", json!({ "id": null }), "price: missing field `id`"),
        ("plan.updated", json!({ "id": 5 }), "plan: `id` is an integer where a string belongs"),
    ];
    for (event_type, object, reason) in cases {
        assert_eq!(said(event_type, &object), reason);
    }
}

#[test]
fn a_reference_without_an_id_is_named_and_not_its_holder() {
    let object = json!({ "id": "sub_1", "customer": { "name": "secret" }, "status": "active" });
    let reason = said("customer.subscription.updated", &object);
    assert!(reason.contains("`customer"), "{reason}");
}

#[test]
fn a_fraction_is_called_a_number() {
    let reason = said("plan.updated", &json!({ "id": 0.5 }));
    assert_eq!(reason, "plan: `id` is a number where a string belongs");
    let object =
        json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "cancel_at": 0.5 });
    let reason = said("customer.subscription.updated", &object);
    assert_eq!(reason, "subscription: `cancel_at` is a number where an integer belongs");
}

#[test]
fn a_list_that_is_no_list_is_told_without_words_of_the_program() {
    for items in [json!({ "data": [null] }), json!("secret")] {
        let object =
            json!({ "id": "sub_1", "customer": "cus_1", "status": "active", "items": items });
        let reason = said("customer.subscription.updated", &object);
        assert!(!reason.contains("struct"), "{reason}");
    }
}

#[test]
fn an_id_of_nothing_is_none() {
    for (id, customer, missing) in [("", "cus_1", "id"), ("sub_1", "", "customer")] {
        let object = json!({ "id": id, "customer": customer, "status": "active" });
        let reason = said("customer.subscription.updated", &object);
        assert_eq!(reason, format!("subscription: missing field `{missing}`"));
    }
}
