//! Comparison of objects by their digests.

use super::*;

fn matches_with(object: &str, previous: &str, same_version: bool) -> bool {
    let previous = AttributeDigests::from_previous_attributes(previous);
    previous
        .is_some_and(|p| AttributeDigests::from_object(object).unwrap().matches(&p, same_version))
}

fn matches(object: &str, previous: &str) -> bool {
    matches_with(object, previous, true)
}

const OBJECT: &str = r#"{"status":"active","cancel_at":null,"n":7,"nested":{"a":1,"b":null},
    "items":{"object":"list","data":[{"id":"si_1","quantity":1},2]},"metadata":{}}"#;

#[test]
fn every_attribute_must_equal() {
    assert!(matches(OBJECT, r#"{"status":"active"}"#));
    assert!(matches(OBJECT, r#"{"n":7,"status":"active"}"#));
    assert!(!matches(OBJECT, r#"{"status":"trialing"}"#));
    assert!(!matches(OBJECT, r#"{"n":7,"status":"trialing"}"#));
    assert!(!matches(OBJECT, r#"{"n":"7"}"#));
    assert!(!matches(OBJECT, r#"{"unknown":1}"#));
}

#[test]
fn null_matches_null_and_absent_and_nothing_else() {
    assert!(matches(OBJECT, r#"{"cancel_at":null}"#));
    assert!(matches(OBJECT, r#"{"never_heard_of":null}"#));
    assert!(matches(OBJECT, r#"{"nested":{"b":null,"c":null}}"#));
    assert!(!matches(OBJECT, r#"{"status":null}"#));
    assert!(!matches(OBJECT, r#"{"nested":null}"#));
    assert!(!matches(OBJECT, r#"{"metadata":null}"#));
    assert!(!matches(OBJECT, r#"{"cancel_at":{"inside":null}}"#));
    assert!(!matches(OBJECT, r#"{"cancel_at":5}"#));
}

#[test]
fn objects_are_compared_by_part_and_arrays_whole() {
    assert!(matches(OBJECT, r#"{"nested":{"a":1}}"#));
    assert!(!matches(OBJECT, r#"{"nested":{"a":2}}"#));
    assert!(matches(OBJECT, r#"{"items":{"data":[{"quantity":1,"id":"si_1"},2]}}"#));
    assert!(!matches(OBJECT, r#"{"items":{"data":[{"id":"si_1"},2]}}"#));
    assert!(!matches(OBJECT, r#"{"items":{"data":[2,{"quantity":1,"id":"si_1"}]}}"#));
}

#[test]
fn nothing_and_the_unreadable_are_no_evidence() {
    for previous in ["{}", "null", "[]", "", "{\"a\":\"\\ud800\"}"] {
        assert!(AttributeDigests::from_previous_attributes(previous).is_none(), "{previous}");
    }
    assert!(AttributeDigests::from_object("null").is_none());
}

#[test]
fn between_versions_only_what_never_moved_counts() {
    assert!(matches_with(OBJECT, r#"{"status":"active","n":8}"#, false));
    assert!(!matches_with(OBJECT, r#"{"status":"past_due","n":7}"#, false));
    assert!(!matches_with(OBJECT, r#"{"n":7}"#, false));
    assert!(matches_with(r#"{"metadata":{"a":"1"}}"#, r#"{"metadata":{"a":"1"}}"#, false));
}

fn was(before: &str, later: &str, previous: &str, same_version: bool) -> bool {
    let of = |json| AttributeDigests::from_object(json).unwrap();
    let previous = AttributeDigests::from_previous_attributes(previous);
    of(before).is_state_before(&of(later), previous.as_ref(), same_version)
}

#[test]
fn what_an_object_was_is_equal_to_it_but_for_what_changed() {
    let object = |fields: &str| format!(r#"{{"status":"active","kept":[1],{fields}}}"#);
    for (before, later, previous) in [
        (r#""n":1"#, r#""n":2"#, r#"{"n":1}"#),
        (r#""n":null"#, r#""n":2"#, r#"{"n":null}"#),
        (r#""n":1"#, r#""n":null"#, r#"{"n":1}"#),
        (r#""n":[1,2]"#, r#""n":[2]"#, r#"{"n":[1,2]}"#),
        (r#""n":{"a":1,"b":2}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":2}}"#),
        (r#""n":{"a":1}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":null}}"#),
        (r#""n":{"a":{"x":1,"y":2}}"#, r#""n":{"a":{"x":1,"y":3}}"#, r#"{"n":{"a":{"y":2}}}"#),
        (r#""n":{"a":{"x":1}}"#, r#""n":{"a":null}"#, r#"{"n":{"a":{"x":1}}}"#),
        (r#""n":{"a":1,"b":null}"#, r#""n":null"#, r#"{"n":{"a":1,"b":null}}"#),
        (r#""n":null"#, r#""n":{"a":{"b":1}}"#, r#"{"n":null}"#),
        (r#""n":2"#, r#""n":2"#, "{}"),
    ] {
        assert!(was(&object(before), &object(later), previous, true), "{before} {later}");
        // Another change, which `previous` does not tell, came between.
        let other = object(before).replace("[1]", "[2]");
        assert!(!was(&other, &object(later), previous, true), "{before} {later}");
        let other = object(&format!(r#"{before},"more":1"#));
        assert!(!was(&other, &object(later), previous, true), "{before} {later}");
    }
    for (before, later, previous) in [
        (r#""n":3"#, r#""n":2"#, r#"{"n":1}"#),
        (r#""n":{"a":9,"b":2}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":2}}"#),
        (r#""n":{"a":1,"b":2,"c":1}"#, r#""n":{"a":1,"b":3}"#, r#"{"n":{"b":2}}"#),
        (r#""n":null"#, r#""n":2"#, "{}"),
        // It cannot be told whether `x` was inside `a`.
        (r#""n":{"a":null}"#, r#""n":{"a":{"x":1}}"#, r#"{"n":{"a":null}}"#),
    ] {
        assert!(!was(&object(before), &object(later), previous, true), "{before} {later}");
    }
}

#[test]
fn no_two_attributes_of_stripes_objects_share_their_place() {
    let names = "id object account amount_due amount_paid amount_remaining application attempt_count \
        attempted auto_advance automatic_tax billing_cycle_anchor billing_mode billing_reason \
        billing_thresholds cancel_at cancel_at_period_end canceled_at cancellation_details \
        client_reference_id closed collection_method completed_at created currency current_phase \
        current_period_end current_period_start customer customer_account customer_details \
        customer_email days_until_due default_payment_method default_settings default_source \
        default_tax_rates description discount discounts due_date email end_behavior ended_at \
        ending_balance entitlements expires_at footer forgiven from_invoice invoice invoice_settings \
        items last_finalization_error latest_invoice latest_revision lines livemode managed_payments \
        metadata mode name next_payment_attempt next_pending_invoice_item_invoice number on_behalf_of \
        paid parent pause_collection payment_intent payment_settings payment_status payments \
        pending_invoice_item_interval pending_setup_intent pending_update period_end period_start phases \
        phone plan presentment_details quantity released_at released_subscription schedule start \
        start_date starting_balance status status_details status_transitions subscription \
        subscription_details subtotal tax tax_percent test_clock total total_count transfer_data \
        trial_end trial_settings trial_start url webhooks_delivered_at";
    let mut places: Vec<u64> = names
        .split_whitespace()
        .map(|name| {
            let leaves = AttributeDigests::from_object(&format!("{{\"{name}\":1}}")).unwrap();
            attribute(u64::from_be_bytes(leaves.numbers()[0]))
        })
        .collect();
    let count = places.len();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), count);
}

#[test]
fn between_versions_an_object_was_another_in_what_never_moved() {
    let (before, later) = (r#"{"status":"a","n":1}"#, r#"{"status":"b","n":2,"m":[1]}"#);
    assert!(was(before, later, r#"{"status":"a"}"#, false));
    assert!(!was(before, later, r#"{"status":"a"}"#, true));
    assert!(!was(r#"{"status":"a","cancel_at":7}"#, later, r#"{"status":"a"}"#, false));
}

#[test]
fn leaves_survive_storage() {
    let leaves = AttributeDigests::from_object(OBJECT).unwrap();
    let bytes = postcard::to_allocvec(&leaves).unwrap();
    assert_eq!(postcard::from_bytes::<AttributeDigests>(&bytes).unwrap(), leaves);
}
