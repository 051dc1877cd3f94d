//! Histories end to end: in words, with marks, one timeline over several customers.

use serde_json::{Value, json};
use subledger::audit::{self, FoldOutcome, HistoryEvent, Past, Subject, SubjectKind};
use subledger::ids::Scope;
use subledger::projection::Logic;
use subledger::store::NewEvent;
use tempfile::TempDir;

use crate::app::commands::run;
use crate::app::snapshots;
use crate::ledger::{append_bodies, follow_to_the_end, new_event, open};
use crate::raw;

/// 2026-03-01, a Sunday at midnight.
const START: i64 = 1_772_323_200;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// An event so long after the start.
pub(crate) fn event(
    id: &str,
    event_type: &str,
    after: i64,
    object: &Value,
    previous: &Value,
) -> String {
    let mut data = json!({ "object": object });
    if !previous.is_null() {
        data["previous_attributes"] = previous.clone();
    }
    let event = json!({
        "id": id, "object": "event", "type": event_type, "created": START + after,
        "livemode": true, "api_version": "2025-03-31.basil", "data": data,
    });
    event.to_string()
}

/// A subscription to something, from the start.
pub(crate) fn subscription(
    id: &str,
    customer: &str,
    status: &str,
    price: &Value,
    quantity: i64,
) -> Value {
    json!({
        "id": id, "object": "subscription", "customer": customer, "status": status, "created": START,
        "start_date": START, "currency": price["currency"], "metadata": { "user_id": "user_1" },
        "items": { "object": "list", "has_more": false, "data": [{
            "id": format!("si_{id}"), "object": "subscription_item", "quantity": quantity,
            "current_period_start": START, "current_period_end": START + 30 * DAY, "price": price,
        }] },
    })
}

pub(crate) fn price(id: &str, unit_amount: i64, currency: &str) -> Value {
    json!({
        "id": id, "object": "price", "product": format!("prod_{id}"), "currency": currency,
        "unit_amount": unit_amount, "recurring": { "interval": "month", "interval_count": 1 },
    })
}

/// The story of a user who has two customers: everything that has a mark of its own happens in it.
pub(crate) fn story() -> Vec<String> {
    let basic = &price("basic", 2_000, "usd");
    let pro = &price("pro", 5_000, "usd");
    let yen = &price("yen", 900, "jpy");
    let sub_a = |status, price, quantity| subscription("sub_a", "cus_a", status, price, quantity);
    let sub_b = |quantity| subscription("sub_b", "cus_b", "active", yen, quantity);
    let product = |id: &str, name: &str| json!({ "id": format!("prod_{id}"), "object": "product", "name": name });
    let customer =
        |id: &str| json!({ "id": id, "object": "customer", "email": format!("{id}@example.com") });
    let charge = json!({
        "id": "ch_1", "object": "charge", "customer": "cus_a", "amount": 5_000, "currency": "usd",
    });
    let invoice = json!({
        "id": "in_1", "object": "invoice", "customer": "cus_a", "status": "open", "created": START + 30 * DAY,
        "amount_due": 5_000, "amount_remaining": 5_000, "currency": "usd",
        "next_payment_attempt": START + 33 * DAY,
        "parent": { "subscription_details": { "subscription": "sub_a" } },
    });
    let refund = json!({ "id": "re_1", "object": "refund", "charge": "ch_1", "amount": 2_000, "currency": "usd", "status": "succeeded" });
    let mut unreadable = sub_a("past_due", pro, 3);
    unreadable["status"] = 7.into();
    let none = &Value::Null;
    let active = &json!({ "status": "trialing", "quantity": 1 });
    vec![
        event("evt_01", "product.created", 0, &product("basic", "Basic"), none),
        event("evt_02", "product.created", 0, &product("pro", "Pro"), none),
        event("evt_03", "customer.subscription.created", HOUR, &sub_a("trialing", basic, 1), none),
        // It happened before the subscription and came after it.
        event("evt_04", "customer.created", 0, &customer("cus_a"), none),
        event("evt_05", "charge.succeeded", 2 * HOUR, &charge, none),
        event(
            "evt_06",
            "customer.subscription.updated",
            3 * HOUR,
            &sub_a("active", pro, 3),
            active,
        ),
        event("evt_07", "customer.subscription.created", DAY, &sub_b(1), none),
        event("evt_08", "customer.updated", DAY + HOUR, &customer("cus_b"), none),
        // Nothing says which of these was the last.
        event("evt_09", "customer.subscription.updated", 2 * DAY, &sub_b(2), none),
        event("evt_10", "customer.subscription.updated", 2 * DAY, &sub_b(5), none),
        event("evt_11", "refund.created", 3 * DAY, &refund, none),
        event("evt_12", "invoice.payment_failed", 30 * DAY, &invoice, none),
        event(
            "evt_13",
            "customer.subscription.updated",
            30 * DAY,
            &sub_a("past_due", pro, 3),
            &json!({ "status": "active" }),
        ),
        event("evt_14", "customer.subscription.updated", 31 * DAY, &unreadable, none),
        event("evt_15", "customer.updated", 32 * DAY, &customer("cus_b"), none),
    ]
}

/// A ledger that heard the story, of which one event came three times and one was erased later.
pub(crate) async fn ledger() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let events: Vec<NewEvent> = story().iter().map(|body| new_event(body)).collect();
    store.log.append(&events).await.unwrap();
    store.log.append(&events[5..6]).await.unwrap();
    store.log.append(&events[5..6]).await.unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    store.close().await;
    let mut log = raw::log(&crate::database(folder.path())).await;
    let erase = "UPDATE events SET payload = NULL, salt = NULL WHERE event_id = 'evt_15'";
    log.run(erase).await;
    log.close().await;
    folder
}

pub(crate) fn subject(kind: SubjectKind, id: &str) -> Subject {
    let scope = Scope { livemode: true, ..Scope::default() };
    Subject { kind, id: id.to_owned(), scope }
}

/// Events of a history, under the last digits of their ids.
fn told(events: &[HistoryEvent]) -> Vec<(&str, &HistoryEvent)> {
    events.iter().map(|event| (&event.event_id.as_str()[4..], event)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_several_customers_has_one_timeline_with_every_mark() {
    let folder = ledger().await;
    let store = open(folder.path()).await;
    let of_user = subject(SubjectKind::User, "user_1");
    let (_, history) = audit::history(&store, of_user, Past::default()).await.unwrap().unwrap();
    let told = told(&history.events);
    let ids: Vec<&str> = told.iter().map(|it| it.0).collect();
    // By Stripe's seconds, whichever customer it is; of a payment that failed, the invoice comes first.
    assert_eq!(ids, ["04", "03", "05", "06", "07", "08", "09", "10", "11", "12", "13", "14", "15"]);
    let marked = |mark: fn(&HistoryEvent) -> bool| -> Vec<&str> {
        told.iter().filter(|(_, event)| mark(event)).map(|it| it.0).collect()
    };
    assert_eq!(marked(|it| it.late), ["04"]);
    assert_eq!(marked(|it| it.redelivered == 2), ["06"]);
    assert_eq!(marked(|it| it.redelivered == 0).len(), told.len() - 1);
    assert_eq!(marked(|it| it.ambiguous), ["09", "10"]);
    assert_eq!(told[6].1.rivals[0].as_str(), "evt_10");
    assert_eq!(marked(|it| it.folding == FoldOutcome::NotFolded), ["05", "11"]);
    assert_eq!(marked(|it| it.folding == FoldOutcome::Parked), ["14"]);
    assert_eq!(marked(|it| it.folding == FoldOutcome::Erased), ["15"]);
    let note = |at: usize| told[at].1.note.as_deref().unwrap();
    assert_eq!(note(2), "charged 50.00 USD");
    assert_eq!(note(8), "refunded 20.00 USD");
    assert_eq!(note(9), "payment failed 50.00 USD, next attempt 2026-04-03");
    assert_eq!(note(11), "parked: subscription: `status` is an integer where a string belongs");
    assert_eq!(note(12), "the payload is gone; no erasure is recorded");
    assert_eq!(
        told[3].1.words[..3],
        [
            "status: trialing → active",
            "price: Basic 20.00 USD/month → Pro 50.00 USD/month",
            "quantity: 1 → 3"
        ]
    );
    assert!(told[10].1.words.contains(&"access until 2026-04-07 (grace)".to_owned()));
    assert!(!history.truncated);

    // An erased event stays in the history of the subscription that it named, too, and is never guessed.
    let of_customer = subject(SubjectKind::Customer, "cus_b");
    let (_, history) = audit::history(&store, of_customer, Past::default()).await.unwrap().unwrap();
    let erased = history.events.last().unwrap();
    assert_eq!(
        (erased.folding, erased.words.len(), erased.changes.len()),
        (FoldOutcome::Erased, 0, 0)
    );
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_printed_for_a_person_and_what_changed_nothing_can_be_left_out() {
    let folder = ledger().await;
    let history = |arguments: &[&str]| {
        let ran = run(folder.path(), &[&["history", "user_1"], arguments].concat());
        assert_eq!((ran.status, &*ran.err), (0, ""), "{arguments:?}");
        ran.out
    };
    let table = history(&[]);
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(!table.contains('\u{1b}'), "nothing is dimmed in a pipe");
    let changes = history(&["--changes-only"]);
    snapshots().bind(|| {
        insta::assert_snapshot!("history_table", table);
        insta::assert_snapshot!("history_changes_only", changes);
    });
    let json: Value =
        serde_json::from_str(&history(&["--changes-only", "--format", "json"])).unwrap();
    let ids = json["events"].as_array().unwrap().iter().map(|event| event["event_id"].as_str());
    let ids: Vec<&str> = ids.map(Option::unwrap).collect();
    assert_eq!(
        ids,
        [
            "evt_03", "evt_06", "evt_07", "evt_08", "evt_09", "evt_10", "evt_12", "evt_13",
            "evt_14", "evt_15"
        ]
    );
    let csv = history(&["--format", "csv"]);
    let header = csv.lines().next().unwrap();
    for column in ["redelivered", "ambiguous", "rivals", "folding", "words"] {
        assert!(header.split(',').any(|it| it == column), "{header}");
    }
    assert_eq!(csv.lines().count(), 14);
}

/// One customer pays for two users, and moves from one of them to the other on the tenth day.
fn shared_customer() -> Vec<String> {
    let none = &Value::Null;
    let price = &price("basic", 2_000, "usd");
    let of = |id: &str, status: &str, user: &str| {
        let mut object = subscription(id, "cus_1", status, price, 1);
        object["metadata"] = if user.is_empty() { json!({}) } else { json!({ "user_id": user }) };
        object
    };
    let customer = |user: Value| json!({ "id": "cus_1", "object": "customer", "email": "payer@example.com", "metadata": user });
    let charge = json!({ "id": "ch_1", "object": "charge", "customer": "cus_1", "amount": 5_000,
        "currency": "usd" });
    let moved = event(
        "evt_7",
        "customer.subscription.updated",
        10 * DAY,
        &of("sub_b", "active", "payer"),
        &json!({ "metadata": { "user_id": "friend" } }),
    );
    vec![
        event("evt_1", "customer.created", 0, &customer(json!({})), none),
        event(
            "evt_2",
            "customer.subscription.created",
            HOUR,
            &of("sub_a", "active", "payer"),
            none,
        ),
        event("evt_3", "charge.succeeded", 2 * HOUR, &charge, none),
        event(
            "evt_4",
            "customer.subscription.created",
            DAY,
            &of("sub_b", "active", "friend"),
            none,
        ),
        event("evt_5", "charge.succeeded", 2 * DAY, &charge, none),
        event("evt_6", "customer.updated", 3 * DAY, &customer(json!({ "user_id": "payer" })), none),
        moved,
        event("evt_8", "charge.succeeded", 11 * DAY, &charge, none),
        event(
            "evt_9",
            "customer.subscription.deleted",
            12 * DAY,
            &of("sub_b", "canceled", "payer"),
            none,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_users_history_tells_what_was_theirs_when_it_happened_and_nothing_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut events = shared_customer();
    events.reverse();
    append_bodies(&store, &events).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let history = async |user: &str, as_of: Option<i64>| {
        let past = Past {
            as_of: as_of.map(|at| subledger::time::StripeTime(START + at)),
            ..Past::default()
        };
        let found = audit::history(&store, subject(SubjectKind::User, user), past).await.unwrap();
        let (_, history) = found.unwrap();
        let ids = told(&history.events).iter().map(|it| it.0).collect::<Vec<_>>().join(" ");
        let of = |change: &audit::HistoryChange| change.subscription_id.to_string();
        let changed: std::collections::BTreeSet<_> =
            history.events.iter().flat_map(|event| &event.changes).map(of).collect();
        let state: Vec<_> =
            history.state.iter().map(|row| row.subscription_id.to_string()).collect();
        (ids, changed.into_iter().collect::<Vec<_>>().join(" "), state.join(" "))
    };
    let is = |ids: &str, changed: &str, state: &str| {
        (ids.to_owned(), changed.to_owned(), state.to_owned())
    };
    // What the customer does alone is the payer's, as long as nobody else has a part in it, and once its
    // metadata says so.
    assert_eq!(history("payer", None).await, is("1 2 3 6 7 8 9", "sub_a sub_b", "sub_a sub_b"));
    // That the customer's metadata names another user is a fact about the friend's subscription, too.
    assert_eq!(history("friend", None).await, is("1 4 6 7", "sub_b", ""));
    assert_eq!(history("payer", Some(5 * DAY)).await, is("1 2 3 6", "sub_a", "sub_a"));
    assert_eq!(history("friend", Some(5 * DAY)).await, is("1 4 6", "sub_b", "sub_b"));
    store.close().await;
}
