//! Shapes that refused events elsewhere, and what a row says of them.

use subledger::projection::Logic;
use subledger::time::StripeTime;

use crate::order::any_order::{rows_by, states_in_any_order, the_row};
use crate::order::told::{CREATED, Told, UPDATED};

fn row_of(fields: &str) -> subledger::projection::row::SubscriptionRow {
    the_row(&[Told::sub("evt_1", UPDATED, 5, fields)])
}

#[test]
fn one_subscription_at_two_api_versions_gives_one_row() {
    let acacia = r#""status":"active","current_period_start":1,"current_period_end":9,"items":{"data":[
        {"id":"si_1","quantity":2,"price":{"id":"price_1","product":"prod_1"}}]}"#;
    let dahlia = r#""status":"active","items":{"data":[{"id":"si_1","quantity":2,
        "current_period_start":1,"current_period_end":9,"price":{"id":"price_1","product":"prod_1"}}]}"#;
    assert_eq!(row_of(acacia), row_of(dahlia));
}

#[test]
fn an_invoice_at_two_api_versions_is_for_the_same_subscription() {
    let line = r#""lines":{"data":[{"amount":5,"period":{"start":1,"end":9},"#;
    let acacia = format!(
        r#"{{"id":"in_1","object":"invoice","customer":"cus_1","status":"paid","created":5,
        "subscription":"sub_1",{line}"type":"subscription","subscription":"sub_1"}}]}}}}"#
    );
    let details = r#""subscription_details":{"subscription":"sub_1"}"#;
    let item = r#""subscription_item_details":{"subscription":"sub_1"}"#;
    let dahlia = format!(
        r#"{{"id":"in_1","object":"invoice","customer":"cus_1","status":"paid","created":5,
        "parent":{{{details}}},{line}"parent":{{{item}}}}}]}}}}"#
    );
    let row = |invoice: &str| {
        the_row(&[
            Told::sub("evt_1", CREATED, 5, r#""status":"active""#),
            Told::new("evt_2", "invoice.paid", 6, invoice),
        ])
    };
    assert_eq!(row(&acacia), row(&dahlia));
    assert_eq!(row(&dahlia).paid_through.map(|at| at.0), Some(9));
}

#[test]
fn a_portal_cancellation_in_flexible_mode_says_when_it_ends() {
    let fields = r#""status":"active","cancel_at":99,"cancel_at_period_end":false"#;
    let row = the_row(&[Told::sub("evt_1", UPDATED, 5, fields).was(r#"{"cancel_at":null}"#)]);
    assert_eq!(row.ends_at.map(|at| at.0), Some(99));
    assert_eq!(row.entitled_until.map(|at| at.0), Some(99));
}

#[test]
fn a_pause_of_collection_leaves_the_status_and_does_what_the_policy_says() {
    let fields = r#""status":"active","pause_collection":{"behavior":"void","resumes_at":null}"#;
    let states = states_in_any_order(&[Told::sub("evt_1", UPDATED, 5, fields)]);
    let entitled = |policy: &str| {
        let row = rows_by(&states, &Logic::parse(policy, "user_id").unwrap()).remove(0);
        assert_eq!(row.status, "active");
        row.entitled
    };
    assert!(entitled(""));
    assert!(!entitled("[pause_collection]\nvoid = \"deny\""));
    assert!(entitled("[pause_collection]\nkeep_as_draft = \"deny\""));
}

#[test]
fn of_two_items_with_different_intervals_a_cancellation_waits_for_the_earliest() {
    let row = row_of(
        r#""status":"active","cancel_at_period_end":true,"items":{"data":[
        {"id":"si_1","current_period_start":1,"current_period_end":365,
         "price":{"id":"price_y","recurring":{"interval":"year","interval_count":1}}},
        {"id":"si_2","current_period_start":1,"current_period_end":30,
         "price":{"id":"price_m","recurring":{"interval":"month","interval_count":1}}}]}"#,
    );
    assert_eq!((row.items.0.len(), row.interval.as_deref()), (2, Some("year")));
    assert_eq!(row.ends_at.map(|at| at.0), Some(30));
    assert_eq!(row.entitled_until.map(|at| at.0), Some(30));
}

#[test]
fn an_upcoming_invoice_without_an_id_changes_no_row() {
    let fields = r#""status":"active","latest_invoice":"in_1""#;
    let subscription = || Told::sub("evt_1", UPDATED, 5, fields);
    let rest = r#""object":"invoice","customer":"cus_1","subscription":"sub_1","status":"draft""#;
    for id in ["", r#""id":null,"#, r#""id":"upcoming_in_9","#] {
        let upcoming = Told::new("evt_2", "invoice.upcoming", 6, &format!("{{{id}{rest}}}"));
        assert_eq!(the_row(&[subscription(), upcoming]), the_row(&[subscription()]), "{id}");
    }
}

#[test]
fn an_unknown_type_status_or_field_is_kept_and_refuses_nothing() {
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"hibernating","novelty":{"deep":[1]}"#),
        Told::sub("evt_2", "customer.subscription.novelty", 4, r#""status":"active""#),
        Told::new("evt_3", "novelty.happened", 9, r#"{"object":"novelty","customer":"cus_1"}"#),
    ]);
    assert_eq!((row.status.as_str(), row.entitled), ("hibernating", false));
    assert_eq!(row.last_event_id.as_str(), "evt_1");
}

#[test]
fn a_customer_not_heard_of_before_is_no_error() {
    let invoice = Told::invoice("evt_1", "invoice.paid", 5, r#""status":"paid","created":1"#);
    let subscription = Told::sub("evt_2", UPDATED, 5, r#""status":"active""#);
    let row = the_row(&[invoice, subscription, Told::checkout("evt_3", 5)]);
    assert_eq!((row.status.as_str(), row.email), ("active", None));
    assert_eq!(row.user_id.as_deref(), Some("user_1"));
}

#[test]
fn an_invoice_that_does_not_say_when_it_was_paid_was_paid_when_that_was_first_heard() {
    let paid = r#""paid":true,"closed":true,"date":1"#;
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 1, r#""status":"active""#),
        Told::invoice("evt_2", "invoice.payment_succeeded", 5, paid),
        Told::invoice("evt_3", "invoice.updated", 9, paid),
    ]);
    assert_eq!(row.paid_at, Some(StripeTime(5)));
}

#[test]
fn a_discount_goes_by_its_code_though_snapshots_name_its_id_alone() {
    let discount = r#"{"id":"di_1","object":"discount","customer":"cus_1","subscription":"sub_1",
        "coupon":{"id":"half","object":"coupon"},"promotion_code":null}"#;
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"active","discounts":["di_1","di_2"]"#),
        Told::new("evt_2", "customer.discount.created", 4, discount),
    ]);
    assert_eq!(row.discounts.0, ["half", "di_2"]);
    // A snapshot of another version holds the whole discount.
    let row = the_row(&[
        Told::sub("evt_1", UPDATED, 5, r#""status":"active","discounts":["di_1"]"#),
        Told::sub(
            "evt_2",
            UPDATED,
            4,
            r#""status":"active","discount":{"id":"di_1","coupon":{"id":"half"}}"#,
        ),
    ]);
    assert_eq!(row.discounts.0, ["half"]);
}

#[test]
fn a_plan_of_before_2018_names_its_product_and_a_list_of_items_that_is_absent_is_empty() {
    let plan = r#""status":"active","plan":{"id":"gold","name":"Gold","nickname":null}"#;
    let row = the_row(&[Told::sub("evt_1", UPDATED, 5, plan)]);
    assert_eq!((row.product_name.as_deref(), row.price_nickname.as_deref()), (Some("Gold"), None));
    assert_eq!(row.items.0[0].product_name.as_deref(), Some("Gold"));
    let bare = r#""status":"active","current_period_end":99"#;
    let row = the_row(&[Told::sub("evt_1", UPDATED, 5, bare)]);
    assert!(row.items.0.is_empty());
    assert_eq!(row.current_period_end.map(|at| at.0), Some(99));
}
