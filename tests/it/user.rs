//! Owner of a subscription: the precedence of sources, in every order of arrival.

use serde_json::{Value, json};
use subledger::ids::{EventId, Scope};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::projection::user_link::UserLinkRecord;
use subledger::time::StripeTime;

use crate::app::server::TestServer;
use crate::order::{permute, rows_by, tell_all};

/// The rows after these bodies in this order; all of them name one customer or none.
fn fold<'a>(bodies: impl IntoIterator<Item = &'a String>, logic: &Logic) -> Vec<SubscriptionRow> {
    let states = tell_all(bodies.into_iter().map(String::as_str));
    assert_eq!(states.len(), 1, "{:?}", states.keys());
    rows_by(&states, logic)
}

fn event(created: i64, event_type: &str, object: &Value) -> String {
    json!({
        "id": format!("evt_{created}"), "object": "event", "type": event_type,
        "created": created, "livemode": true, "data": { "object": object },
    })
    .to_string()
}

fn subscription(created: i64, metadata: &Value) -> String {
    let object = json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1",
        "status": "active", "metadata": metadata });
    event(created, "customer.subscription.updated", &object)
}

fn customer(created: i64, metadata: &Value) -> String {
    let object = json!({ "id": "cus_1", "object": "customer", "metadata": metadata });
    event(created, "customer.updated", &object)
}

/// A session that made a subscription.
fn session(created: i64, subscription: &str, reference: Option<&str>, metadata: &Value) -> String {
    let object = json!({ "id": format!("cs_{created}"), "object": "checkout.session",
        "mode": "subscription", "customer": "cus_1", "subscription": subscription,
        "client_reference_id": reference, "created": created, "metadata": metadata });
    event(created, "checkout.session.completed", &object)
}

/// The row of `sub_1`, the same in every order of arrival.
#[track_caller]
fn row(events: &[String], keys: &str) -> SubscriptionRow {
    let logic = Logic::parse("", keys).unwrap();
    let expected = fold(events, &logic);
    let mut order: Vec<usize> = (0..events.len()).collect();
    permute(&mut order, 0, &mut |order| {
        assert_eq!(fold(order.iter().map(|at| &events[*at]), &logic), expected, "{order:?}");
    });
    expected.into_iter().find(|row| row.subscription_id.as_str() == "sub_1").unwrap()
}

#[track_caller]
fn assert_user(events: &[String], keys: &str, user: &str, source: &str, conflict: bool) {
    let row = row(events, keys);
    assert_eq!(
        (row.user_id.as_deref(), row.user_id_source.as_deref(), row.user_id_conflict),
        (Some(user), Some(source), conflict)
    );
}

fn named(user: &str) -> Value {
    json!({ "user_id": user })
}

#[test]
fn the_firmest_source_names_the_user_and_whoever_disagrees_is_a_conflict() {
    let none = json!({});
    let sources = [
        ("subscription.metadata", "a"),
        ("checkout.client_reference_id", "b"),
        ("checkout.metadata", "c"),
        ("customer.metadata", "d"),
        ("customer.checkout", "e"),
    ];
    for first in 0..sources.len() {
        let has = |at: usize| at >= first;
        let metadata = |at: usize| if has(at) { named(sources[at].1) } else { none.clone() };
        let events = [
            subscription(1, &metadata(0)),
            session(2, "sub_1", has(1).then_some("b"), &metadata(2)),
            customer(3, &metadata(3)),
            session(4, "sub_2", Some("e"), &none),
        ];
        // Another session is a hint and no objection, so the last two sources have none.
        let (source, user) = sources[first];
        assert_user(&events, "user_id", user, source, first < 3);
    }
}

/// A link that an operator imported.
fn link(created: i64, user: Option<&str>) -> String {
    let record = UserLinkRecord {
        customer: "cus_1".into(),
        user_id: user.map(str::to_owned),
        by: "Ann".to_owned(),
        reason: None,
    };
    let scope = Scope { livemode: true, ..Scope::default() };
    record.into_body(&EventId::new(format!("link_{created}")), &scope, StripeTime(created))
}

#[test]
fn a_link_counts_where_nothing_of_stripes_names_a_user_and_the_latest_wins() {
    let none = json!({});
    let hint = session(4, "sub_2", Some("e"), &none);
    for (named, user, source, conflict) in [
        (Some(subscription(5, &named("a"))), "a", "subscription.metadata", true),
        (Some(customer(5, &named("d"))), "d", "customer.metadata", true),
        (Some(hint), "e", "customer.checkout", true),
        (None, "later", "operator", false),
    ] {
        let links = [subscription(1, &none), link(2, Some("first")), link(3, Some("later"))];
        let events: Vec<_> = links.into_iter().chain(named).collect();
        assert_user(&events, "user_id", user, source, conflict);
    }
    let removed = [subscription(1, &none), link(2, Some("first")), link(3, None)];
    assert_eq!(row(&removed, "user_id").user_id, None);
}

#[test]
fn no_policy_leaves_out_the_link() {
    let events = [subscription(1, &named("a")), link(2, Some("b"))];
    let logic = Logic::parse("user_sources = []", "user_id").unwrap();
    let rows = fold(&events, &logic);
    assert_eq!(rows[0].user_id.as_deref(), Some("b"));
    assert_eq!(rows[0].user_id_source.as_deref(), Some("operator"));
}

#[test]
fn sources_that_agree_are_no_conflict() {
    let events = [
        subscription(1, &named("a")),
        session(2, "sub_1", Some("a"), &named("a")),
        customer(3, &named("a")),
    ];
    assert_user(&events, "user_id", "a", "subscription.metadata", false);
}

#[test]
fn of_several_other_sessions_the_latest_names_the_user() {
    let none = json!({});
    let events = [
        subscription(1, &none),
        session(2, "sub_2", Some("earlier"), &none),
        session(3, "sub_3", Some("later"), &none),
    ];
    assert_eq!(row(&events, "user_id").user_id.as_deref(), Some("later"));
}

#[test]
fn of_several_keys_the_first_that_is_there_counts() {
    let events = [subscription(1, &json!({ "uid": "second", "user_id": "first", "other": "x" }))];
    assert_user(&events, "user_id,uid", "first", "subscription.metadata", false);
    assert_user(&events, "uid,user_id", "second", "subscription.metadata", false);
    assert_user(&events, "missing,uid", "second", "subscription.metadata", false);
    let empty = [subscription(1, &json!({ "uid": "second", "user_id": "" }))];
    assert_user(&empty, "user_id,uid", "second", "subscription.metadata", false);
}

#[test]
fn the_latest_snapshot_says_who_it_is_now_and_that_it_is_nobody() {
    let changed = [subscription(1, &named("old")), subscription(2, &named("new"))];
    assert_user(&changed, "user_id", "new", "subscription.metadata", false);
    let removed = [subscription(1, &named("old")), subscription(2, &json!({}))];
    let row = row(&removed, "user_id");
    assert_eq!((row.user_id, row.user_id_source, row.user_id_conflict), (None, None, false));
}

#[test]
fn what_a_customer_says_now_counts_and_what_it_said_before_does_not() {
    let none = json!({});
    let changed = [subscription(1, &none), customer(2, &named("old")), customer(3, &named("new"))];
    assert_user(&changed, "user_id", "new", "customer.metadata", false);
    let removed = [subscription(1, &none), customer(2, &named("old")), customer(3, &none)];
    assert_eq!(row(&removed, "user_id").user_id, None);
    // One that agrees at last is no conflict, and one that no longer does is.
    let own = || subscription(1, &named("a"));
    let agrees = [own(), customer(2, &named("b")), customer(3, &named("a"))];
    assert_user(&agrees, "user_id", "a", "subscription.metadata", false);
    let disagrees = [own(), customer(2, &named("a")), customer(3, &named("b"))];
    assert_user(&disagrees, "user_id", "a", "subscription.metadata", true);
}

#[test]
fn of_a_session_that_is_heard_of_twice_the_later_word_counts() {
    let told = |created, reference: Value| {
        let object = json!({ "id": "cs_1", "object": "checkout.session", "mode": "subscription",
            "customer": "cus_1", "subscription": "sub_1", "client_reference_id": reference,
            "created": 1 });
        event(created, "checkout.session.completed", &object)
    };
    let changed = [subscription(1, &json!({})), told(2, json!("old")), told(3, json!("new"))];
    assert_user(&changed, "user_id", "new", "checkout.client_reference_id", false);
    let removed = [subscription(1, &json!({})), told(2, json!("old")), told(3, Value::Null)];
    assert_eq!(row(&removed, "user_id").user_id, None);
}

#[test]
fn a_deleted_customer_still_says_whose_its_subscriptions_were() {
    let object = json!({ "id": "cus_1", "object": "customer", "metadata": named("a") });
    let events = [subscription(1, &json!({})), event(2, "customer.deleted", &object)];
    assert_user(&events, "user_id", "a", "customer.metadata", false);
    assert!(!row(&events, "user_id").entitled);
}

#[test]
fn a_guest_who_pays_once_touches_nothing() {
    let guest = json!({ "id": "cs_1", "object": "checkout.session", "mode": "payment",
        "customer": null, "subscription": null, "client_reference_id": "guest" });
    let events = [event(1, "checkout.session.completed", &guest), subscription(2, &json!({}))];
    assert_eq!(row(&events, "user_id").user_id, None);
}

#[test]
fn an_address_that_any_checkout_or_invoice_of_the_customer_gave_is_known_and_its_own_comes_first() {
    let session = |created: i64, subscription: &str, email: &str| {
        let object = json!({ "id": format!("cs_{created}"), "object": "checkout.session",
            "mode": "subscription", "customer": "cus_1", "subscription": subscription,
            "customer_details": { "email": email }, "created": created });
        event(created, "checkout.session.completed", &object)
    };
    // Of no subscription: what a customer bought once.
    let invoice = |created: i64, email: &str| {
        let object = json!({ "id": format!("in_{created}"), "object": "invoice", "customer": "cus_1",
            "subscription": null, "customer_email": email, "status": "paid" });
        event(created, "invoice.paid", &object)
    };
    let email = |events: &[String]| row(events, "user_id").email;
    let bare = subscription(1, &json!({}));
    let other = session(2, "sub_2", "other@example.com");
    assert_eq!(email(&[bare.clone(), other.clone()]).as_deref(), Some("other@example.com"));
    let later = [bare.clone(), other.clone(), invoice(3, "later@example.com")];
    assert_eq!(email(&later).as_deref(), Some("later@example.com"));
    let own = [bare.clone(), other.clone(), session(1, "sub_1", "own@example.com")];
    assert_eq!(email(&own).as_deref(), Some("own@example.com"));
    let object = json!({ "id": "cus_1", "object": "customer", "email": "customer@example.com" });
    let customers = [bare, other, event(3, "customer.updated", &object)];
    assert_eq!(email(&customers).as_deref(), Some("customer@example.com"));
}

#[test]
fn a_session_that_was_not_completed_names_nobody_and_is_no_objection() {
    let session = |created: i64, event_type: &str, status: &str, user: &str| {
        let object = json!({ "id": format!("cs_{user}"), "object": "checkout.session",
            "mode": "subscription", "customer": "cus_1", "subscription": null, "status": status,
            "client_reference_id": user, "metadata": named(user), "created": created });
        event(created, event_type, &object)
    };
    let abandoned = session(5, "checkout.session.expired", "expired", "b");
    let open = session(6, "checkout.session.novelty", "open", "c");
    let alone = [subscription(1, &json!({})), abandoned.clone(), open.clone()];
    assert_eq!(row(&alone, "user_id").user_id, None);
    let bought = session(2, "checkout.session.completed", "complete", "a");
    let events = [subscription(1, &json!({})), bought, abandoned, open];
    assert_user(&events, "user_id", "a", "customer.checkout", false);
}

#[test]
fn the_policy_says_which_sources_of_a_user_count() {
    let events = [
        subscription(1, &json!({})),
        session(2, "sub_1", Some("stranger"), &named("buyer")),
        customer(3, &named("customer")),
    ];
    let user = |sources: &str| {
        let logic = Logic::parse(&format!("user_sources = [{sources}]"), "user_id").unwrap();
        let row = fold(&events, &logic).remove(0);
        (row.user_id, row.user_id_source, row.user_id_conflict)
    };
    let is =
        |id: &str, source: &str, conflict| (Some(id.to_owned()), Some(source.to_owned()), conflict);
    let all = r#""subscription.metadata", "checkout.client_reference_id", "checkout.metadata",
        "customer.metadata", "customer.checkout""#;
    assert_eq!(user(all), is("stranger", "checkout.client_reference_id", true));
    let written_by_us = r#""subscription.metadata", "checkout.metadata", "customer.metadata""#;
    assert_eq!(user(written_by_us), is("buyer", "checkout.metadata", true));
    assert_eq!(user(r#""customer.metadata""#), is("customer", "customer.metadata", false));
    assert_eq!(user(r#""subscription.metadata""#), (None, None, false));
}

#[test]
fn an_account_stands_for_the_customer_that_a_session_does_not_name() {
    let object = |id: &str, kind: &str| {
        json!({ "id": id, "object": kind, "customer": null,
        "customer_account": "acct_1", "mode": "subscription", "status": "active",
        "subscription": "sub_1", "client_reference_id": "a" })
    };
    let events = [
        event(1, "checkout.session.completed", &object("cs_1", "checkout.session")),
        event(2, "customer.subscription.created", &object("sub_1", "subscription")),
    ];
    assert_user(&events, "user_id", "a", "checkout.client_reference_id", false);
    assert_eq!(row(&events, "user_id").customer_id.as_str(), "acct_1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_has_the_subscriptions_of_all_its_customers_and_of_no_other() {
    let server = TestServer::start().await;
    // Two customers of one user, and one of them has another subscription that names somebody else.
    for (id, customer, subscription, user) in [
        ("evt_1", "cus_a", "sub_1", "7"),
        ("evt_2", "cus_b", "sub_2", "7"),
        ("evt_3", "cus_b", "sub_3", "8"),
    ] {
        let object = json!({
            "id": subscription, "object": "subscription", "customer": customer,
            "status": "active", "metadata": { "user_id": user },
        });
        let event = json!({
            "id": id, "object": "event", "type": "customer.subscription.created", "created": 1,
            "livemode": true, "data": { "object": object },
        });
        server.receive(event.to_string()).await;
    }
    for (user, expected) in [("7", vec!["sub_1", "sub_2"]), ("8", vec!["sub_3"])] {
        let read = server.read(&format!("/v1/users/{user}")).await;
        let subscriptions = read["subscriptions"].as_array().unwrap();
        let ids: Vec<_> = subscriptions.iter().map(|it| it["subscription_id"].clone()).collect();
        assert_eq!(
            (ids, &read["active"]),
            (expected.iter().map(|it| json!(it)).collect(), &json!(true))
        );
    }
    server.stop().await;
}
