//! Ambiguous rows are marked, and no others: the smallest example of each case.

use subledger::ids::InvoiceId;

use crate::order::any_order::the_row;
use crate::order::told::{Told, UPDATED};

#[test]
fn where_a_later_rank_and_a_chain_disagree_the_ids_decide_nothing_unmarked() {
    // The first leads to the second by its chain; nothing says where the third belongs.
    let row = |ids: [&str; 3]| {
        let [first, second, third] = ids;
        the_row(&[
            Told::sub(first, UPDATED, 5, r#""status":"active""#).was(r#"{"status":"past_due"}"#),
            Told::sub(second, UPDATED, 5, r#""status":"trialing""#).was(r#"{"status":"active"}"#),
            Told::sub(third, UPDATED, 5, r#""status":"unpaid""#),
        ])
    };
    let rows = [row(["evt_a", "evt_b", "evt_c"]), row(["evt_c", "evt_b", "evt_a"])];
    let [one, other] = &rows;
    let certain = rows.iter().all(|row| !row.order_ambiguous);
    assert!(one.status == other.status || !certain, "{} or {}", one.status, other.status);
}

#[test]
fn a_part_of_an_object_that_is_asked_for_is_not_found_where_there_is_no_such_object() {
    // A pause gets an end, and is lifted: the second leads from what the first came to.
    let ending = r#"{"behavior":"void","resumes_at":9}"#;
    let row = the_row(&[
        Told::sub(
            "evt_b",
            UPDATED,
            5,
            &format!(r#""status":"active","pause_collection":{ending}"#),
        )
        .was(r#"{"pause_collection":{"resumes_at":null}}"#),
        Told::sub("evt_a", UPDATED, 5, r#""status":"active","pause_collection":null"#)
            .was(&format!(r#"{{"pause_collection":{ending}}}"#)),
    ]);
    assert_eq!(row.pause_collection, None);
    assert!(!row.order_ambiguous);
}

#[test]
fn rivals_that_differ_in_nothing_that_stands_in_the_row_are_not_marked() {
    let row = the_row(&[
        Told::sub("evt_a", UPDATED, 5, r#""status":"active","latest_invoice":"in_0""#),
        Told::sub("evt_b", UPDATED, 5, r#""status":"active","latest_invoice":"in_1""#),
        Told::invoice("evt_c", "invoice.paid", 5, r#""status":"paid","created":5"#),
    ]);
    assert_eq!(row.latest_invoice_id.as_ref().map(InvoiceId::as_str), Some("in_1"));
    assert!(!row.order_ambiguous);
}

#[test]
fn a_link_that_two_versions_hide_does_not_make_a_value_that_came_back_certain() {
    // cancel_at: null, 8, 8, null. The second changes only what the versions render differently, so
    // nothing shows that the first came before it; and the third seems to lead to the first.
    let (acacia, dahlia) = ("2024-12-18.acacia", "2026-04-22.dahlia");
    let items = |quantity: u8, end: &str| {
        format!(r#""items":{{"data":[{{"id":"si_1","quantity":{quantity}{end}}}]}}"#)
    };
    let now = |cancel_at: &str, items: &str| {
        format!(r#""status":"active","cancel_at":{cancel_at},{items}"#)
    };
    let end = r#","current_period_end":9"#;
    let row = the_row(&[
        Told::sub("evt_0", UPDATED, 5, &now("8", &items(1, "")))
            .was(r#"{"cancel_at":null}"#)
            .at_version(acacia),
        Told::sub("evt_2", UPDATED, 5, &now("8", &items(2, end)))
            .was(&format!("{{{}}}", items(1, end)))
            .at_version(dahlia),
        Told::sub("evt_1", UPDATED, 5, &now("null", &items(3, "")))
            .was(&format!(r#"{{"cancel_at":8,{}}}"#, items(2, "")))
            .at_version(acacia),
    ]);
    let found = (row.cancel_at, row.quantity);
    assert!(found == (None, Some(3)) || row.order_ambiguous, "{found:?} without a doubt");
}

#[test]
fn of_invoices_of_one_second_the_snapshot_decides_and_without_it_they_are_in_doubt() {
    let invoice = |id: &str, status: &str, credit: bool| {
        let (amount, from) = if credit { (-900, 10) } else { (900, 1) };
        let object = format!(
            r#"{{"id":"{id}","object":"invoice","customer":"cus_1","subscription":"sub_1",
            "status":"{status}","created":5,"lines":{{"data":[{{"amount":{amount},
            "subscription":"sub_1","subscription_item":"si_1","period":{{"start":{from},"end":90}}}}]}}}}"#
        );
        Told::new(&format!("evt_{id}"), "invoice.updated", 6, &object)
    };
    let row = |pointer: &str, invoices: [Told; 2]| {
        let fields = format!(r#""status":"active","latest_invoice":{pointer}"#);
        let [one, other] = invoices;
        the_row(&[Told::sub("evt_1", UPDATED, 5, &fields), one, other])
    };
    let two = || [invoice("in_a", "open", false), invoice("in_z", "paid", false)];
    for (pointer, latest, status) in [("in_a", "in_a", "open"), ("in_z", "in_z", "paid")] {
        let row = row(&format!("\"{pointer}\""), two());
        assert_eq!(row.latest_invoice_id.as_ref().map(InvoiceId::as_str), Some(latest));
        assert_eq!(row.latest_invoice_status.as_deref(), Some(status));
        assert!(!row.order_ambiguous, "{pointer}");
    }
    assert!(row("null", two()).order_ambiguous);
    // Which of a charge and a credit came first decides how far it is paid.
    let both = [invoice("in_a", "paid", false), invoice("in_z", "paid", true)];
    assert!(row("\"in_z\"", both).order_ambiguous);
}
