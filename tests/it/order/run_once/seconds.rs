//! Events that share a second: what came last is found by what they say, not by when they arrive.

use crate::order::any_order::the_row;
use crate::order::told::{CREATED, Told, UPDATED};

#[test]
fn created_after_updated_in_one_second_does_not_put_a_paid_subscription_back() {
    // The ids say the opposite, and there is no previous_attributes to help.
    let row = the_row(&[
        Told::sub("evt_z", CREATED, 5, r#""status":"incomplete""#),
        Told::sub("evt_a", UPDATED, 5, r#""status":"active""#),
    ]);
    assert_eq!((row.status.as_str(), row.order_ambiguous), ("active", false));
}

#[test]
fn without_a_created_event_the_status_says_which_of_a_second_came_last() {
    let row = the_row(&[
        Told::sub("evt_z", UPDATED, 5, r#""status":"incomplete""#),
        Told::sub("evt_a", UPDATED, 5, r#""status":"active""#),
    ]);
    assert_eq!((row.status.as_str(), row.order_ambiguous), ("active", false));
}

#[test]
fn trial_will_end_and_updated_of_one_second_are_told_apart_by_what_changed() {
    let reminder = "customer.subscription.trial_will_end";
    let fields = r#""status":"trialing","cancel_at":null"#;
    let row = the_row(&[
        Told::sub("evt_z", reminder, 5, fields),
        Told::sub("evt_a", UPDATED, 5, r#""status":"trialing","cancel_at":9"#)
            .was(r#"{"cancel_at":null}"#),
    ]);
    assert_eq!((row.cancel_at.map(|at| at.0), row.order_ambiguous), (Some(9), false));
}

#[test]
fn a_paid_invoice_of_one_second_does_not_stay_open() {
    let row = the_row(&[
        Told::sub("evt_1", CREATED, 5, r#""status":"active""#),
        Told::invoice("evt_z", "invoice.finalized", 5, r#""status":"open","created":5"#)
            .was(r#"{"status":"draft"}"#),
        Told::invoice("evt_a", "invoice.paid", 5, r#""status":"paid","created":5"#),
        Told::invoice("evt_y", "invoice.created", 5, r#""status":"draft","created":5"#),
    ]);
    assert_eq!(row.latest_invoice_status.as_deref(), Some("paid"));
    assert_eq!(row.paid_at.map(|at| at.0), Some(5));
}

#[test]
fn rivals_that_disagree_without_evidence_are_marked_and_those_that_agree_are_not() {
    let disagree = the_row(&[
        Told::sub("evt_a", UPDATED, 5, r#""status":"active","cancel_at":7"#),
        Told::sub("evt_b", UPDATED, 5, r#""status":"active","cancel_at":8"#),
    ]);
    assert_eq!((disagree.cancel_at.map(|at| at.0), disagree.order_ambiguous), (Some(8), true));
    let agree = the_row(&[
        Told::sub("evt_a", UPDATED, 5, r#""status":"active","unknown":7"#),
        Told::sub("evt_b", UPDATED, 5, r#""status":"active","unknown":8"#),
    ]);
    assert!(!agree.order_ambiguous);
}

#[test]
fn the_chain_holds_where_two_endpoints_render_one_second_at_two_versions() {
    // Quantity 1 -> 2 -> 3 in one second; which rendering of each was logged must not matter.
    let event = |id: &str, version: &str, quantity: u8| {
        let period = r#","current_period_start":1,"current_period_end":9"#;
        let (on_top, on_item) =
            if version.ends_with("basil") { ("", period) } else { (period, "") };
        let changed = |quantity: u8| {
            format!(
                r#""quantity":{quantity},"items":{{"data":[{{"id":"si_1","quantity":{quantity}{on_item}}}]}}"#
            )
        };
        let fields = format!(r#""status":"active",{}{on_top}"#, changed(quantity));
        let previous = format!("{{{}}}", changed(quantity - 1));
        Told::sub(id, UPDATED, 5, &fields).was(&previous).at_version(version)
    };
    let versions = ["2024-12-18.acacia", "2025-03-31.basil"];
    for first in versions {
        for second in versions {
            // By id alone, the first would come last.
            let row = the_row(&[event("evt_z", first, 2), event("evt_a", second, 3)]);
            let found = (row.quantity, row.order_ambiguous);
            assert_eq!(found, (Some(3), false), "{first} {second}");
        }
    }
}

#[test]
fn one_event_that_comes_many_times_is_one_rival() {
    let once = [Told::sub("evt_1", UPDATED, 5, r#""status":"active","cancel_at":7"#)];
    let thrice = [once[0].clone(), once[0].clone(), once[0].clone()];
    assert_eq!(the_row(&thrice), the_row(&once));
    assert!(!the_row(&thrice).order_ambiguous);
}

/// Renewed and failed in second 6, and heard of once more in second 9.
#[test]
fn a_debt_that_began_in_the_second_of_a_renewal_counts_from_there() {
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 6, r#""status":"active""#),
        Told::sub("evt_2", UPDATED, 6, r#""status":"past_due""#).was(r#"{"status":"active"}"#),
        Told::sub("evt_3", UPDATED, 9, r#""status":"past_due""#),
    ]);
    assert_eq!((row.status.as_str(), row.past_due_since.map(|at| at.0)), ("past_due", Some(6)));
}

#[test]
fn a_debt_that_was_paid_in_the_second_in_which_it_began_is_none() {
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"active""#),
        Told::sub("evt_3", UPDATED, 6, r#""status":"past_due","cancel_at":null"#)
            .was(r#"{"status":"active","cancel_at":99}"#),
        Told::sub("evt_2", UPDATED, 6, r#""status":"active","cancel_at":null"#)
            .was(r#"{"status":"past_due"}"#),
    ]);
    assert_eq!((row.status.as_str(), row.past_due_since), ("active", None));
}
