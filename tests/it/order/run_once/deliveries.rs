//! Orders of delivery that users of other systems reported, each with what it must come to here.

use crate::order::any_order::{rows_of, the_row};
use crate::order::told::{CREATED, Told, UPDATED, tell_all};

/// The events of one checkout that is paid at once, in the order in which they happened, each with
/// the name by which a report calls it. All of it takes two seconds.
fn checkout() -> Vec<Told> {
    let other = |id: &str, event_type: &str, kind: &str| {
        let object = format!(r#"{{"id":"{kind}_1","object":"{kind}","customer":"cus_1"}}"#);
        Told::new(id, event_type, 100, &object)
    };
    let invoice = |id: &str, event_type: &str, created: i64, fields: &str, previous: &str| {
        let lines = r#""created":100,"lines":{"data":[{"amount":500,"subscription":"sub_1",
            "type":"subscription","period":{"start":100,"end":900}}]}"#;
        Told::invoice(id, event_type, created, &format!("{fields},{lines}")).was(previous)
    };
    let (draft, open) = (r#""status":"draft""#, r#""status":"open""#);
    let (charged, paid) =
        (r#""status":"open","charge":"ch_1""#, r#""status":"paid","charge":"ch_1""#);
    let numbered = r#""status":"paid","charge":"ch_1","receipt_number":"1""#;
    let period = r#""current_period_start":100,"current_period_end":900"#;
    let sub = |status: &str| format!(r#""status":"{status}",{period}"#);
    // By their ids alone, the events of one object would stand in no right order.
    vec![
        invoice("evt_m", "invoice.created", 100, draft, "null"),
        Told::sub("evt_z", CREATED, 100, &sub("incomplete")),
        invoice("evt_l", "invoice.finalized", 100, open, r#"{"status":"draft"}"#),
        other("evt_9", "payment_intent.created", "payment_intent"),
        other("evt_8", "payment_method.attached", "payment_method"),
        other("evt_7", "charge.succeeded", "charge"),
        invoice("evt_k", "invoice.updated", 101, charged, r#"{"charge":null}"#),
        other("evt_6", "payment_intent.succeeded", "payment_intent"),
        invoice("evt_j", "invoice.updated", 101, paid, r#"{"status":"open"}"#),
        invoice("evt_i", "invoice.paid", 101, paid, "null"),
        invoice("evt_h", "invoice.payment_succeeded", 101, paid, "null"),
        Told::sub("evt_a", UPDATED, 101, &sub("active")).was(r#"{"status":"incomplete"}"#),
        Told::checkout("evt_5", 101),
        invoice("evt_g", "invoice.updated", 101, numbered, r#"{"receipt_number":null}"#),
    ]
}

/// The events in the order in which their types are named; of several of one type, the earlier
/// first.
fn delivered(events: &[Told], order: &[&str]) -> Vec<Told> {
    assert_eq!(events.len(), order.len());
    let mut left = events.to_vec();
    let mut next = |event_type: &&str| {
        let at = left.iter().position(|event| event.is_of_type(event_type)).unwrap();
        left.remove(at)
    };
    order.iter().map(&mut next).collect()
}

/// Every order gives the row that the reported one gives, and it is the right one.
fn assert_a_paid_checkout(reported: &[&str]) {
    let events = checkout();
    let row = the_row(&events);
    assert_eq!((row.status.as_str(), row.order_ambiguous), ("active", false));
    assert!(row.entitled);
    assert_eq!(row.user_id.as_deref(), Some("user_1"));
    assert_eq!(row.latest_invoice_status.as_deref(), Some("paid"));
    assert_eq!(
        (row.paid_at.map(|at| at.0), row.paid_through.map(|at| at.0)),
        (Some(101), Some(900))
    );
    let bodies: Vec<String> = delivered(&events, reported).iter().map(Told::body).collect();
    assert_eq!(rows_of(&tell_all(bodies.iter().map(String::as_str))), [row]);
}

#[test]
fn a_checkout_that_is_delivered_in_order_ends_active() {
    assert_a_paid_checkout(&[
        "charge.succeeded",
        "payment_method.attached",
        "invoice.created",
        "customer.subscription.created",
        "invoice.updated",
        "invoice.updated",
        "invoice.finalized",
        "customer.subscription.updated",
        "invoice.paid",
        "invoice.updated",
        "invoice.payment_succeeded",
        "payment_intent.created",
        "payment_intent.succeeded",
        "checkout.session.completed",
    ]);
}

#[test]
fn a_checkout_whose_completion_comes_second_and_whose_creation_comes_late_ends_active() {
    assert_a_paid_checkout(&[
        "charge.succeeded",
        "checkout.session.completed",
        "invoice.created",
        "payment_method.attached",
        "invoice.updated",
        "invoice.updated",
        "customer.subscription.updated",
        "payment_intent.succeeded",
        "customer.subscription.created",
        "invoice.payment_succeeded",
        "invoice.updated",
        "invoice.paid",
        "invoice.finalized",
        "payment_intent.created",
    ]);
}

/// The two events of which the first was delivered last.
fn created_and_updated(created: i64, updated: i64) -> [Told; 2] {
    [
        Told::sub("evt_z", CREATED, created, r#""status":"incomplete""#),
        Told::sub("evt_a", UPDATED, updated, r#""status":"active""#)
            .was(r#"{"status":"incomplete"}"#),
    ]
}

#[test]
fn an_update_that_was_delivered_before_the_creation_of_a_second_earlier_stays() {
    let row = the_row(&created_and_updated(1_623_979_265, 1_623_979_266));
    assert_eq!((row.status.as_str(), row.order_ambiguous), ("active", false));
    assert_eq!(row.last_event_at.0, 1_623_979_266);
}

#[test]
fn a_creation_that_a_forwarder_sends_after_the_update_of_its_second_does_not_win() {
    let row = the_row(&created_and_updated(7, 7));
    assert_eq!((row.status.as_str(), row.order_ambiguous), ("active", false));
}

#[test]
fn two_workers_that_fold_one_subscription_at_once_come_to_what_one_would() {
    use subledger::projection::state::CustomerState;

    let events = created_and_updated(7, 7);
    let alone = |event: &Told| tell_all([event.body().as_str()]).into_values().next().unwrap();
    let together = |events: [&Told; 2]| {
        let mut joined = CustomerState::default();
        events.map(alone).into_iter().for_each(|state| joined.join(state));
        joined
    };
    let [created, updated] = &events;
    let one = tell_all(events.each_ref().map(Told::body).iter().map(String::as_str));
    assert_eq!(one.into_values().next(), Some(together([created, updated])));
    assert_eq!(together([created, updated]), together([updated, created]));
}

#[test]
fn a_handler_of_everything_below_subscription_is_not_fooled_by_an_expired_update() {
    let paid = r#"{"status":"past_due","cancel_at":null}"#;
    let row = the_row(&[
        Told::sub("evt_1", CREATED, 1, r#""status":"active","cancel_at":null"#),
        Told::sub("evt_2", UPDATED, 3, r#""status":"past_due","cancel_at":null"#)
            .was(r#"{"status":"active"}"#),
        Told::sub("evt_3", UPDATED, 5, r#""status":"active","cancel_at":40"#).was(paid),
        Told::sub(
            "evt_4",
            "customer.subscription.pending_update_expired",
            9,
            r#""status":"past_due","cancel_at":null"#,
        ),
    ]);
    assert_eq!((row.status.as_str(), row.cancel_at.map(|at| at.0)), ("active", Some(40)));
    assert_eq!((row.past_due_since, row.last_event_id.as_str()), (None, "evt_3"));
}

#[test]
fn an_older_update_that_is_sent_again_later_overwrites_nothing() {
    let older = Told::sub("evt_2", UPDATED, 3, r#""status":"past_due","cancel_at":8"#)
        .was(r#"{"status":"active"}"#);
    let row = the_row(&[
        Told::sub("evt_1", CREATED, 1, r#""status":"active""#),
        older.clone(),
        Told::sub("evt_3", UPDATED, 5, r#""status":"active","cancel_at":null"#)
            .was(r#"{"status":"past_due","cancel_at":8}"#),
        older,
    ]);
    assert_eq!((row.status.as_str(), row.cancel_at), ("active", None));
}
