//! Observations of single events.

use super::*;

fn event(event_type: &str, object: &str) -> String {
    format!(
        r#"{{"id":"evt_1","object":"event","type":"{event_type}","created":7,"livemode":true,
        "data":{{"object":{object}}}}}"#
    )
}

#[test]
fn a_fold_that_fails_says_which_field_and_never_its_value() {
    let reason = |object: &str| {
        observe(&event("customer.subscription.updated", object)).unwrap_err().to_string()
    };
    assert_eq!(reason(r#"{"id":"sub_1"}"#), "subscription: missing field `status`");
    assert_eq!(
        reason(r#"{"id":"sub_1","status":"active","cancel_at":"secret"}"#),
        "subscription: `cancel_at` is a string where an integer belongs"
    );
    assert_eq!(
        reason(r#"{"id":"sub_1","status":"active","items":{"data":[{"current_period_end":"2"}]}}"#),
        "subscription: `items.data[0].current_period_end` is a string where an integer belongs"
    );
    assert_eq!(
        reason(r#"{"id":"sub_1","status":{"secret":1}}"#),
        "subscription: `status` is an object where a string belongs"
    );
}

#[test]
fn a_side_field_of_a_wrong_type_is_read_as_absent_with_a_note() {
    let object = r#"{"id":"sub_1","customer":"cus_1","status":"active","cancellation_details":"secret",
        "created":"secret","discounts":{"a":1},"items":{"data":[{"id":"si_1","quantity":"2",
        "price":{"id":"price_1","unit_amount":"5","recurring":7},"current_period_end":9}]}}"#;
    let observed = observe(&event("customer.subscription.updated", object)).unwrap();
    let Some(StateChange::Subscription(_, group, _)) = observed.change else { panic!("no change") };
    let facts = group.facts().next().unwrap();
    assert_eq!((facts.status.as_str(), facts.created), ("active", None));
    assert_eq!(facts.items[0].price.price_id.as_deref(), Some("price_1"));
    assert_eq!((facts.items[0].quantity, facts.items[0].price.unit_amount), (None, None));
    assert_eq!(facts.current_period_end().map(|at| at.0), Some(9));
    let mut notes = observed.notes;
    notes.sort_unstable();
    assert_eq!(
        notes,
        [
            "`cancellation_details` is a string where an object belongs: read as absent",
            "`created` is a string where an integer belongs: read as absent",
            "`discounts` is an object where a list belongs: read as absent",
            "`items.data[0].price.recurring` is an integer where an object belongs: read as absent",
            "`items.data[0].price.unit_amount` is a string where an integer belongs: read as absent",
            "`items.data[0].quantity` is a string where an integer belongs: read as absent",
        ]
    );
}

#[test]
fn an_unknown_type_is_on_the_timeline_of_whom_it_names_and_never_fails() {
    let observed = observe(&event("charge.novelty", r#"{"customer":"cus_1"}"#)).unwrap();
    assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
    assert_eq!(observed.change, None);
    let odd = observe(&event("charge.novelty", r#"{"customer":[1]}"#)).unwrap();
    assert_eq!(odd.customer, None);
}

#[test]
fn another_kind_of_object_under_a_known_prefix_is_on_the_timeline_only() {
    for (event_type, object) in [
        (
            "customer.subscription.item.updated",
            r#"{"object":"subscription_item","customer":"cus_1"}"#,
        ),
        (
            "invoice.novelty",
            r#"{"object":"invoice_novelty","id":"in_9","customer":"cus_1","subscription":"sub_1"}"#,
        ),
    ] {
        let observed = observe(&event(event_type, object)).unwrap();
        assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
        assert_eq!(observed.change, None);
    }
}

#[test]
fn a_time_that_no_database_can_hold_parks_its_event() {
    let object = r#"{"id":"sub_1","customer":"cus_1","status":"active","cancel_at":1735689600000}"#;
    let reason = observe(&event("customer.subscription.updated", object)).unwrap_err();
    assert_eq!(
        reason.to_string(),
        "subscription: `cancel_at` is not an instant between the years 0000 and 9999"
    );
}

#[test]
fn an_upcoming_invoice_is_on_the_timeline_only() {
    let object = r#"{"object":"invoice","customer":"cus_1","subscription":"sub_1"}"#;
    let observed = observe(&event("invoice.upcoming", object)).unwrap();
    assert_eq!(observed.subscription.unwrap().as_str(), "sub_1");
    assert_eq!(observed.change, None);
}

/// The payment keys and the links of an event.
fn followed(event_type: &str, object: &str) -> (String, String) {
    let observed = observe(&event(event_type, object)).unwrap();
    let payment_keys = observed.payment_keys.iter().map(|key| key.customer.to_string());
    let links = observed.links.iter().map(|it| format!("{}>{}", it.object_id, it.owner_id));
    (payment_keys.collect::<Vec<_>>().join(" "), links.collect::<Vec<_>>().join(" "))
}

#[test]
fn a_payment_leads_to_its_customer_or_to_what_lasts_longest() {
    for (event_type, object, payment_keys, links) in [
        (
            "charge.succeeded",
            r#"{"object":"charge","id":"ch_1","customer":"cus_1","payment_intent":"pi_1"}"#,
            "",
            "pi_1>cus_1 ch_1>cus_1",
        ),
        (
            "invoice.paid",
            r#"{"object":"invoice","id":"in_1","customer":"cus_1","charge":"ch_1"}"#,
            "",
            "in_1>cus_1 ch_1>cus_1",
        ),
        (
            "charge.dispute.created",
            r#"{"object":"dispute","id":"dp_1","charge":"ch_1","payment_intent":"pi_1"}"#,
            "pi_1 ch_1",
            "ch_1>pi_1",
        ),
        (
            "invoice_payment.paid",
            r#"{"object":"invoice_payment","id":"inpay_1","invoice":"in_1",
            "payment":{"payment_intent":"pi_1"}}"#,
            "in_1 pi_1",
            "pi_1>in_1",
        ),
        ("balance.available", r#"{"object":"balance"}"#, "", ""),
    ] {
        let expected = (payment_keys.to_owned(), links.to_owned());
        assert_eq!(followed(event_type, object), expected, "{event_type}");
    }
}

#[test]
fn discounts_and_sources_of_a_customer_are_not_the_customer() {
    let object = r#"{"object":"discount","id":"di_1","customer":"cus_1"}"#;
    let observed = observe(&event("customer.discount.created", object)).unwrap();
    assert_eq!(observed.customer.unwrap().customer.as_str(), "cus_1");
    assert_eq!(observed.change, None);
}
