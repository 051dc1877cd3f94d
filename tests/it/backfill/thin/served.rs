//! Thin events in a service without an API key.

use std::time::Duration;

use super::*;
use crate::app::server::{TestServer, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_key_says_how_many_thin_events_wait() {
    let (folder, store) = new_ledger().await;
    let unreadable = thin("evt_thin2", "\"evt 2\"", "null");
    append_bodies(&store, &[thin("evt_thin1", "\"evt_lost\"", LOST), unreadable]).await;
    store.close().await;
    let options = options(folder.path());
    let server = TestServer::run(folder, options).await;
    let waiting = r#"subledger_thin_events_waiting{mode="live"}"#;
    for _ in 0..500 {
        if server.metric(waiting).await > 0.0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!((server.metric(waiting).await - 1.0).abs() < 0.1);
    assert!(server.metric(r#"subledger_thin_events_waiting{mode="test"}"#).await < 0.1);
    let health = server.read("/healthz").await;
    assert_eq!(health["status"], "degraded");
    let reason = "1 thin event waits to be fetched: configure STRIPE_API_KEY";
    assert_eq!(health["reasons"], serde_json::json!([reason]));
    let event = server.read("/v1/events/evt_thin1").await;
    assert_eq!(event["thin"], "thin event: waits to be fetched");
    let event = server.read("/v1/events/evt_thin2").await;
    let gone = "thin event: gone (it cannot be read: `snapshot_event` is no id)";
    assert_eq!(event["thin"], gone);
    server.end().await;
}
