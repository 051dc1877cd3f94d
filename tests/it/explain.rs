//! Explanations end to end: which event set a field, by command and over HTTP.

use reqwest::StatusCode;
use serde_json::Value;
use tempfile::TempDir;

use crate::app::commands::run;
use crate::app::server::TestServer;
use crate::app::snapshots;
use crate::history::{event, story};
use crate::ledger::folded;

/// A ledger that heard the story of a user.
async fn ledger() -> TempDir {
    folded(&story()).await
}

fn field<'a>(explanation: &'a Value, name: &str) -> &'a Value {
    let fields = explanation["fields"].as_array().unwrap();
    fields.iter().find(|it| it["field"] == name).unwrap()
}

fn assert_set(explanation: &Value, name: &str, value: impl Into<Value>, event: &str, path: &str) {
    let explained = field(explanation, name);
    assert_eq!(explained["value"], value.into(), "{name}");
    assert_eq!(explained["set_by"]["event_id"], event, "{name}");
    assert_eq!(explained["set_by"]["path"], path, "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_explains_each_field_by_its_event_the_policy_and_the_rivals() {
    let folder = ledger().await;
    let explain = |arguments: &[&str]| {
        let ran = run(folder.path(), &[&["explain"], arguments].concat());
        assert_eq!((ran.status, &*ran.err), (0, ""), "{arguments:?}");
        ran.out
    };
    let json = |arguments: &[&str]| -> Value {
        serde_json::from_str(&explain(&[arguments, &["--format", "json"]].concat())).unwrap()
    };
    let now = json(&["sub_a"]);
    assert_set(&now, "status", "past_due", "evt_13", "/data/object/status");
    let price = "/data/object/items/data/0/price/id";
    assert_set(&now, "price_id", "pro", "evt_06", price);
    assert_set(&now, "product_name", "Pro", "evt_02", "/data/object/name");
    assert_set(&now, "latest_invoice_id", "in_1", "evt_12", "/data/object/id");
    assert_set(&now, "email", "cus_a@example.com", "evt_04", "/data/object/email");
    assert_set(&now, "user_id", "user_1", "evt_03", "/data/object/metadata/user_id");
    assert_set(&now, "past_due_since", "2026-03-31T00:00:00Z", "evt_13", "/created");
    let access = field(&now, "entitled");
    assert_eq!(access["decision"]["key"], "grant");
    let end = field(&now, "entitled_until");
    assert_eq!(end["value"], "2026-04-07T00:00:00Z");
    assert_eq!(end["set_by"]["event_id"], "evt_13");
    assert_eq!(end["decision"]["text"], "past_due_grace_days = 7");
    let built_in = include_str!("../../projections/current_subscriptions/policy.toml");
    let line = usize::try_from(end["decision"]["line"].as_i64().unwrap()).unwrap();
    assert_eq!(built_in.lines().nth(line - 1), Some("past_due_grace_days = 7"));
    assert_eq!(field(&now, "active")["decision"], end["decision"]);
    assert_eq!(field(&now, "cancel_at")["set_by"], Value::Null);
    assert_eq!(
        (&field(&now, "event_count")["value"], &field(&now, "parked")["value"]),
        (&5.into(), &1.into())
    );

    let rivals = json(&["sub_b"]);
    let quantity = field(&rivals, "quantity");
    assert_eq!(
        (&quantity["value"], &quantity["set_by"]["event_id"]),
        (&5.into(), &"evt_10".into())
    );
    assert_eq!(quantity["tie"]["rivals"][0]["event_id"], "evt_09");
    assert_eq!(quantity["tie"]["rivals"][0]["settled_by"], "event_id");
    assert_eq!(quantity["tie"]["in_doubt"], true);
    assert_eq!(field(&rivals, "price_id")["tie"], Value::Null);

    let then = json(&["sub_a", "--as-of", "2026-03-01T02:00:00Z"]);
    assert_set(&then, "status", "trialing", "evt_03", "/data/object/status");
    assert_eq!(field(&then, "active")["value"], true);

    // By then it is over, whatever the day on which this runs.
    let table = explain(&["sub_a", "--as-of", "2026-05-01T00:00:00Z"]);
    assert!(
        table.lines().take_while(|it| !it.is_empty()).all(|it| it.chars().count() <= 100),
        "{table}"
    );
    let csv = explain(&["sub_a", "--as-of", "2026-05-01T00:00:00Z", "--format", "csv"]);
    snapshots().bind(|| {
        insta::assert_snapshot!("explain_table", table);
        insta::assert_snapshot!("explain_csv", csv);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_a_subscription_that_is_not_known_is_told_so() {
    let folder = ledger().await;
    for arguments in [
        &["explain", "sub_x"][..],
        &["explain", "sub_a", "--as-of", "2020-01-01T00:00:00Z"],
        &["explain", "sub_a", "--known-at", "2020-01-01T00:00:00Z"],
        &["explain", "sub_a", "--account", "acct_x"],
        &["explain", "sub_a", "--mode", "test"],
    ] {
        let ran = run(folder.path(), arguments);
        assert_eq!((ran.status, &*ran.out), (1, ""), "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("hint: "), "{}", ran.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn http_explains_what_the_command_does() {
    let server = TestServer::start().await;
    for body in story() {
        server.receive(body).await;
    }
    let path = "/v1/subscriptions/sub_a/explain";
    let now = server.read(path).await;
    assert_set(&now, "status", "past_due", "evt_13", "/data/object/status");
    let then = server.read(&format!("{path}?as_of=2026-03-01T02:00:00Z")).await;
    assert_set(&then, "status", "trialing", "evt_03", "/data/object/status");
    for (path, status) in [
        ("/v1/subscriptions/sub_x/explain", StatusCode::NOT_FOUND),
        ("/v1/subscriptions/sub_a/explain?known_at=2020-01-01T00:00:00Z", StatusCode::NOT_FOUND),
        ("/v1/subscriptions/sub_a/explain?as_of=yesterday", StatusCode::BAD_REQUEST),
        ("/v1/subscriptions/sub_a/explain?novelty=1", StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(server.get(path).await.status(), status, "{path}");
    }
    let changes = server.read("/v1/subscriptions/sub_a/history?changes_only=true").await;
    let changes = changes["events"].as_array().unwrap();
    assert!(
        changes.iter().all(|it| it["folding"] == "parked" || it["changes"] != Value::Array(vec![]))
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_never_points_at_a_value_that_was_taken_back() {
    let user = |id: &str| serde_json::json!({ "user_id": id });
    let subscription = |at: i64, metadata: Value| {
        let object = serde_json::json!({ "id": "sub_1", "object": "subscription", "customer": "cus_1",
            "status": "active", "metadata": metadata });
        event(&format!("evt_{at}"), "customer.subscription.updated", at, &object, &Value::Null)
    };
    let customer = |at: i64, metadata: Value| {
        let object =
            serde_json::json!({ "id": "cus_1", "object": "customer", "metadata": metadata });
        event(&format!("evt_{at}"), "customer.updated", at, &object, &Value::Null)
    };
    // The customer names the user first; the subscription does, and takes it back; then the customer is
    // asked again.
    let events = [
        customer(1, user("a")),
        subscription(2, user("a")),
        subscription(3, user("b")),
        subscription(4, serde_json::json!({})),
    ];
    let folder = folded(&events).await;
    let ran = run(folder.path(), &["explain", "sub_1", "--format", "json"]);
    let explained: Value = serde_json::from_str(&ran.out).unwrap();
    let user = field(&explained, "user_id");
    assert_eq!((&user["value"], &user["set_by"]["event_id"]), (&"a".into(), &"evt_4".into()));
    assert_eq!(user["set_by"]["path"], Value::Null);
    assert_eq!(user["said_by"]["event_id"], "evt_1");
    assert_eq!(user["said_by"]["path"], "/data/object/metadata/user_id");
}
