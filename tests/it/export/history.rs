//! A history.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use subledger::audit::{self, HistoryEvent, HistoryStream, Past, ReadLimit, Subject, SubjectKind};
use subledger::ids::Scope;
use subledger::projection::Logic;
use subledger::simulate::{self, Delivery, Plan};
use subledger::store::Store;
use tempfile::TempDir;

use super::{assert_says, json_lines, written};
use crate::app::commands::run;
use crate::history::{event, ledger, price, subject, subscription};
use crate::ledger::{append, append_bodies, follow_to_the_end, open, rows};

/// A history read with so many events at once, and how many there were each time.
async fn in_chunks(
    store: &Store,
    subject: &Subject,
    past: Past,
    events: usize,
) -> (Vec<HistoryEvent>, Vec<usize>) {
    let chunk = ReadLimit { events, ..ReadLimit::default() };
    let stream = HistoryStream::open(store, subject.clone(), past, chunk);
    let mut stream = stream.await.unwrap().unwrap();
    let (mut told, mut sizes) = (Vec::new(), Vec::new());
    while let Some(some) = stream.next().await.unwrap() {
        sizes.push(some.len());
        told.extend(some);
    }
    (told, sizes)
}

/// A history is the same in pieces of any size as in one.
async fn assert_same_in_pieces(store: &Store, subject: &Subject, past: Past) -> Vec<HistoryEvent> {
    let whole = audit::history(store, subject.clone(), past).await.unwrap().unwrap().1.events;
    let expected = json!(whole);
    for events in [1, 3] {
        let (told, _) = in_chunks(store, subject, past, events).await;
        assert_eq!(json!(told), expected, "{subject:?}, {events} at once");
    }
    whole
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_in_pieces_is_the_history() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let made = simulate::simulate(&Plan { seed: 41, subscriptions: 8, ..Plan::default() });
    let delivery = Delivery { seed: 5, duplicates: 0.1, ..Delivery::default() };
    append(&store, &simulate::deliver(made.events, &delivery)).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let half = store.log.events_at(&[store.log.head().await.unwrap().size]).await.unwrap();
    let (as_of, known_at) = (Some(half[0].facts.created), Some(half[0].received_at));
    let mut customers = BTreeSet::new();
    let mut late = 0;
    for row in rows(&store).await {
        let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
        let of = |kind, id: String| Subject { kind, id, scope: scope.clone() };
        let subscription = of(SubjectKind::Subscription, row.subscription_id.into_string());
        assert_same_in_pieces(&store, &subscription, Past::default()).await;
        if customers.insert(row.customer_id.clone()) {
            let customer = of(SubjectKind::Customer, row.customer_id.into_string());
            let whole = assert_same_in_pieces(&store, &customer, Past::default()).await;
            late += whole.iter().filter(|it| it.late).count();
            assert_same_in_pieces(&store, &customer, Past { as_of, known_at }).await;
        }
    }
    assert!(late > 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_mark_is_the_same_in_pieces_and_no_piece_is_longer_than_it_may_be() {
    let folder = ledger().await;
    let store = open(folder.path()).await;
    let of_user = subject(SubjectKind::User, "user_1");
    let whole = assert_same_in_pieces(&store, &of_user, Past::default()).await;
    assert!(whole.iter().any(|it| it.ambiguous) && whole.iter().any(|it| it.late));
    let (_, sizes) = in_chunks(&store, &of_user, Past::default(), 3).await;
    assert!(sizes.len() > 3 && sizes.iter().all(|size| *size <= 3), "{sizes:?}");
    store.close().await;
}

/// Two invoices of one second about which nothing says which was the last, and later the subscription
/// to whose row it matters.
#[tokio::test(flavor = "multi_thread")]
async fn a_doubt_that_shows_later_is_told_where_it_arose() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let invoice = |next: i64| {
        json!({
            "id": "in_1", "object": "invoice", "customer": "cus_1", "status": "open", "created": 1_772_323_200,
            "next_payment_attempt": next, "parent": { "subscription_details": { "subscription": "sub_1" } },
        })
    };
    let of_sub = subscription("sub_1", "cus_1", "active", &price("basic", 2_000, "usd"), 1);
    let none = &Value::Null;
    let events = [
        event("evt_1", "invoice.updated", 10, &invoice(1_772_400_000), none),
        event("evt_2", "invoice.updated", 10, &invoice(1_772_500_000), none),
        event("evt_3", "customer.subscription.created", 20, &of_sub, none),
    ];
    append_bodies(&store, &events).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let customer = subject(SubjectKind::Customer, "cus_1");
    let whole = assert_same_in_pieces(&store, &customer, Past::default()).await;
    let ambiguous: Vec<_> = whole.iter().map(|it| it.ambiguous).collect();
    assert_eq!(ambiguous, [true, true, false]);
    store.close().await;
}

/// The lines, the document and the CSV of a history say the same, and each of the first and the last goes on
/// after any event.
fn assert_exported(folder: &TempDir, id: &str) -> Vec<Value> {
    let folder = folder.path();
    let of = |arguments: &[&str]| written(folder, &[&["history", id], arguments].concat());
    let json: Value = serde_json::from_str(&of(&["--format", "json"])).unwrap();
    let lines = of(&["--format", "jsonl"]);
    let events = json_lines(&lines);
    assert_eq!(events, *json["events"].as_array().unwrap());
    let csv = of(&["--format", "csv"]);
    assert_says(&csv, &events);
    for (at, event) in events.iter().enumerate() {
        let after = event["position"].to_string();
        let rest = of(&["--format", "jsonl", "--after", &after]);
        assert_eq!(json_lines(&rest), events[at + 1..]);
        assert!(lines.ends_with(&rest));
        assert!(csv.ends_with(&of(&["--format", "csv", "--after", &after])));
        let json: Value =
            serde_json::from_str(&of(&["--format", "json", "--after", &after])).unwrap();
        assert_eq!(json["events"].as_array().unwrap()[..], events[at + 1..]);
    }
    let changed: Value =
        serde_json::from_str(&of(&["--format", "json", "--changes-only"])).unwrap();
    let lines = of(&["--format", "jsonl", "--changes-only"]);
    assert_eq!(json_lines(&lines), *changed["events"].as_array().unwrap());
    for format in ["table", "json", "jsonl", "csv"] {
        let ran = run(folder, &["history", id, "--format", format, "--after", "999"]);
        assert_eq!((ran.status, &*ran.out), (2, ""));
        assert!(ran.err.contains("this history has no event at position 999"), "{}", ran.err);
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_exported_in_every_format_and_goes_on_after_any_event() {
    let folder = ledger().await;
    let events = assert_exported(&folder, "user_1");
    assert_eq!(events.len(), 13);
    for (id, format) in [("user_nobody", "jsonl"), ("cus_nobody", "csv"), ("sub_nobody", "csv")] {
        let ran = run(folder.path(), &["history", id, "--format", format]);
        assert_eq!((ran.status, &*ran.out), (1, ""), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_erased_is_exported_as_erased() {
    let folder = ledger().await;
    written(folder.path(), &["erase", "--customer", "cus_a", "--by", "Ann", "--yes"]);
    let events = assert_exported(&folder, "cus_a");
    let erased: Vec<_> = events.iter().filter(|it| it["folding"] == "erased").collect();
    assert!(erased.len() > 5, "{events:#?}");
    assert!(erased.iter().all(|it| it["note"].as_str().unwrap().ends_with("by Ann")));
    let store = open(folder.path()).await;
    let customer = subject(SubjectKind::Customer, "cus_a");
    assert_same_in_pieces(&store, &customer, Past::default()).await;
    store.close().await;
}
