//! Two objects in doubt, of which neither alone would change the row and both together do.

use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;

use crate::order::any_order::{rows_by, states_in_any_order, the_row};
use crate::order::told::{Told, UPDATED};

/// A customer that has an address or none, and an invoice that went to one or another, all in one
/// second; nothing says which of each was last.
fn customer_and_invoice(ids: [&str; 4]) -> SubscriptionRow {
    let [with, without, to_a, to_b] = ids;
    let customer = |id, email: &str| {
        let object = format!(r#"{{"id":"cus_1","object":"customer","email":{email}}}"#);
        Told::new(id, "customer.updated", 5, &object)
    };
    let invoice = |id, email: &str| {
        let fields = format!(r#""status":"open","created":5,"customer_email":"{email}""#);
        Told::invoice(id, "invoice.updated", 5, &fields)
    };
    the_row(&[
        Told::sub("evt_1", UPDATED, 1, r#""status":"active""#),
        customer(with, r#""a@example.com""#),
        customer(without, "null"),
        invoice(to_a, "a@example.com"),
        invoice(to_b, "b@example.com"),
    ])
}

#[test]
fn an_address_that_two_doubts_decide_together_is_in_doubt() {
    let to_a = customer_and_invoice(["evt_9", "evt_2", "evt_8", "evt_3"]);
    let to_b = customer_and_invoice(["evt_2", "evt_9", "evt_3", "evt_8"]);
    let found = [to_a, to_b].map(|row| (row.email.unwrap(), row.order_ambiguous));
    let expected = ["a@example.com", "b@example.com"].map(|email| (email.to_owned(), true));
    assert_eq!(found, expected);
}

/// Two invoices of which each was paid or voided in one second, and a third that is open.
fn two_invoices(paid: &str, voided: &str) -> SubscriptionRow {
    let invoice = |id: &str, event: &str, event_type: &str, status: &str| {
        let object = format!(
            r#"{{"id":"{id}","object":"invoice","customer":"cus_1","subscription":"sub_1",
            "status":"{status}","created":1,"amount_paid":900,"status_transitions":{{"paid_at":5}},
            "lines":{{"data":[{{"amount":900,"subscription":"sub_1","period":{{"end":40}}}}]}}}}"#
        );
        Told::new(&format!("{event}_{id}"), event_type, 5, &object)
    };
    let mut events = vec![
        Told::sub("evt_1", UPDATED, 6, r#""status":"past_due""#),
        Told::new(
            "evt_2",
            "invoice.finalized",
            6,
            r#"{"id":"in_3","object":"invoice","customer":"cus_1","subscription":"sub_1",
            "status":"open","created":6}"#,
        ),
    ];
    for id in ["in_1", "in_2"] {
        events.push(invoice(id, paid, "invoice.paid", "paid"));
        events.push(invoice(id, voided, "invoice.voided", "void"));
    }
    let logic = Logic::parse("grace_requires_payment = true", "user_id").unwrap();
    rows_by(&states_in_any_order(&events), &logic).remove(0)
}

#[test]
fn access_that_two_doubts_decide_together_is_in_doubt() {
    let found = [two_invoices("evt_9", "evt_0"), two_invoices("evt_0", "evt_9")]
        .map(|row| (row.entitled, row.order_ambiguous));
    assert_eq!(found, [(true, true), (false, true)]);
}

/// So many invoices in doubt as to their address, and a later one that decides the row's.
fn invoices_in_doubt(count: u32) -> SubscriptionRow {
    let invoice = |id: String, event: String, at: i64, email: &str| {
        let object = format!(
            r#"{{"id":"{id}","object":"invoice","customer":"cus_1","subscription":"sub_1",
            "status":"open","created":{at},"customer_email":"{email}"}}"#
        );
        Told::new(&event, "invoice.updated", at, &object)
    };
    let in_doubt = (0..count).flat_map(|n| {
        [("a", "a@example.com"), ("b", "b@example.com")]
            .map(|(rival, email)| invoice(format!("in_{n}"), format!("evt_{n}_{rival}"), 5, email))
    });
    let mut events: Vec<Told> = in_doubt.collect();
    events.push(Told::sub("evt_s", UPDATED, 1, r#""status":"active""#));
    events.push(invoice("in_last".to_owned(), "evt_last".to_owned(), 6, "c@example.com"));
    the_row(&events)
}

#[test]
fn doubts_that_decide_nothing_together_mark_nothing_as_far_as_all_can_be_tried() {
    assert_eq!([2, 10, 11].map(|n| invoices_in_doubt(n).order_ambiguous), [false, false, true]);
}
