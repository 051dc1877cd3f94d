//! Late events: an ended subscription stays ended, and a paid invoice stays paid.

use subledger::time::StripeTime;

use crate::order::any_order::{rows_in_any_order, the_row};
use crate::order::told::{CREATED, DELETED, Told, UPDATED};

#[test]
fn nothing_that_arrives_late_revives_a_subscription_that_ended() {
    let row = the_row(&[
        Told::sub("evt_1", CREATED, 1, r#""status":"active""#),
        Told::sub("evt_2", DELETED, 5, r#""status":"canceled","ended_at":5"#),
        // Later by Stripe's clock as well, and still: a new subscription has a new id.
        Told::sub("evt_3", UPDATED, 9, r#""status":"active""#).was(r#"{"status":"past_due"}"#),
        Told::invoice("evt_4", "invoice.paid", 9, r#""status":"paid","created":1"#),
        Told::checkout("evt_5", 9),
    ]);
    assert_eq!((row.status.as_str(), row.entitled), ("canceled", false));
    assert_eq!(row.ended_at.map(|at| at.0), Some(5));
    // What they say of payment and buyer is kept all the same.
    assert_eq!(row.latest_invoice_status.as_deref(), Some("paid"));
    assert_eq!(row.user_id.as_deref(), Some("user_1"));
}

#[test]
fn a_new_subscription_is_active_beside_the_one_that_ended() {
    let of_sub_2 = r#"{"id":"sub_2","object":"subscription","customer":"cus_1","status":"active"}"#;
    let rows = rows_in_any_order(&[
        Told::sub("evt_1", CREATED, 1, r#""status":"active""#),
        Told::sub("evt_2", DELETED, 5, r#""status":"canceled","ended_at":5"#),
        Told::new("evt_3", CREATED, 5, of_sub_2),
        Told::sub("evt_4", UPDATED, 9, r#""status":"active""#),
        Told::checkout("evt_5", 9),
    ]);
    let found: Vec<_> = rows
        .iter()
        .map(|row| (row.subscription_id.as_str(), row.status.as_str(), row.entitled))
        .collect();
    assert_eq!(found, [("sub_1", "canceled", false), ("sub_2", "active", true)]);
}

#[test]
fn a_first_payment_that_never_came_is_an_end_too() {
    let row = the_row(&[
        Told::sub("evt_1", CREATED, 1, r#""status":"incomplete""#),
        Told::sub("evt_2", UPDATED, 5, r#""status":"incomplete_expired""#)
            .was(r#"{"status":"incomplete"}"#),
        Told::sub("evt_3", UPDATED, 7, r#""status":"active""#),
    ]);
    assert_eq!((row.status.as_str(), row.entitled), ("incomplete_expired", false));
}

#[test]
fn a_pending_update_that_expired_does_not_roll_a_paying_account_back() {
    let expired = "customer.subscription.pending_update_expired";
    for created in [5, 9] {
        let row = the_row(&[
            Told::sub("evt_1", UPDATED, 5, r#""status":"active""#),
            Told::sub("evt_2", expired, created, r#""status":"past_due""#),
        ]);
        assert_eq!((row.status.as_str(), row.past_due_since), ("active", None));
    }
}

#[test]
fn a_subscription_left_unpaid_stays_so_when_an_invoice_is_paid_late() {
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"unpaid""#).was(r#"{"status":"past_due"}"#),
        Told::invoice("evt_2", "invoice.paid", 9, r#""status":"paid","created":1"#),
    ]);
    assert_eq!((row.status.as_str(), row.entitled), ("unpaid", false));
    assert_eq!(row.paid_at.map(|at| at.0), Some(9));
}

#[test]
fn a_deleted_customer_ends_its_subscriptions_until_their_own_word_says_better() {
    let customer = |event_type, created| {
        let object = r#"{"id":"cus_1","object":"customer","email":"a@example.com"}"#;
        Told::new(&format!("evt_c{created}"), event_type, created, object)
    };
    let deleted = || customer("customer.deleted", 9);
    let active = || Told::sub("evt_1", UPDATED, 5, r#""status":"active""#);
    // An update of the customer that comes late does not undo the deletion.
    let row = the_row(&[active(), deleted(), customer("customer.updated", 10)]);
    assert_eq!((row.status.as_str(), row.entitled), ("canceled", false));
    assert_eq!((row.ended_at, row.ends_at), (Some(StripeTime(9)), Some(StripeTime(9))));
    let ended = Told::sub("evt_2", DELETED, 8, r#""status":"canceled","ended_at":8"#);
    let row = the_row(&[active(), deleted(), ended]);
    assert_eq!((row.status.as_str(), row.ended_at.map(|at| at.0)), ("canceled", Some(8)));
}

#[test]
fn a_draft_that_was_deleted_is_no_invoice_whatever_arrives_after_it() {
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"active""#),
        Told::invoice("evt_2", "invoice.deleted", 6, r#""status":"draft","created":5"#),
        Told::invoice("evt_3", "invoice.updated", 7, r#""status":"draft","created":5"#),
    ]);
    assert_eq!((row.latest_invoice_id, row.latest_invoice_status), (None, None));
}
