//! The whole flow: a signed webhook comes in, a row goes out, and its history is told.

mod sqlite_only;

use reqwest::StatusCode;
use serde_json::json;

use super::server::{Event, TestServer, json_of};
use super::snapshots;

#[tokio::test(flavor = "multi_thread")]
async fn an_event_comes_in_and_a_row_and_its_history_go_out() {
    let server = TestServer::start().await;
    let body = Event::default().body();
    let receipt = server.receive(body.clone()).await;
    assert_eq!(
        receipt,
        json!({"received": true, "event_id": "evt_1", "position": 1, "duplicate": false})
    );

    let user = server.read("/v1/users/user_1").await;
    let subscription = server.read("/v1/subscriptions/sub_1").await;
    let history = server.read("/v1/subscriptions/sub_1/history").await;
    let mut event = server.read("/v1/events/evt_1").await;
    // Salted by chance, and signed by the test.
    for salted in ["payload_hash", "signature_salt"] {
        event[salted] = "(random)".into();
    }
    snapshots().bind(|| {
        insta::assert_json_snapshot!("http_user", user);
        insta::assert_json_snapshot!("http_history", history);
        insta::assert_json_snapshot!("http_event", event);
    });
    assert_eq!(user["subscriptions"][0], subscription);
    assert_eq!(server.read("/v1/customers/cus_of_user_1").await["active"], true);

    let payload = server.get("/v1/events/evt_1/payload").await;
    assert_eq!(payload.headers()["content-type"], "application/json");
    assert_eq!(payload.text().await.unwrap(), body);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_delivery_is_answered_200_and_changes_nothing() {
    let server = TestServer::start().await;
    let body = Event::default().body();
    server.receive(body.clone()).await;
    let before = server.read("/v1/log").await;
    let other_bytes = body.replace("\"quantity\": 1", "\"quantity\": 7");
    for again in [body.clone(), other_bytes] {
        let receipt = server.receive(again).await;
        assert_eq!((&receipt["position"], &receipt["duplicate"]), (&json!(1), &json!(true)));
    }
    assert_eq!(server.read("/v1/log").await, before);
    assert_eq!(server.get("/v1/events/evt_1/payload").await.text().await.unwrap(), body);
    assert_eq!(server.read("/v1/subscriptions/sub_1").await["quantity"], 1);
    assert!((server.metric("subledger_events_duplicate_total").await - 2.0).abs() < 0.1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn both_spellings_of_the_webhook_path_and_health_answer() {
    let server = TestServer::start().await;
    let delivery = server.delivery(Event::default().body()).build().unwrap();
    let mut short = server.client.post(server.webhook().trim_end_matches('/'));
    short = short.headers(delivery.headers().clone()).body(Event::default().body());
    assert_eq!(short.send().await.unwrap().status(), StatusCode::OK);
    server.caught_up().await;

    let health = server.get("/healthz").await;
    assert_eq!(health.status(), StatusCode::OK);
    assert_eq!(json_of(health).await, json!({"status": "ok", "reasons": []}));
    let ready = server.get("/readyz").await;
    assert_eq!(ready.status(), StatusCode::OK, "{}", ready.text().await.unwrap());
    assert!((server.metric("subledger_log_position").await - 1.0).abs() < 0.1);
    server.stop().await;
}
