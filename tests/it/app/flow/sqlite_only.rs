//! Tests of SQLite files.

use super::*;

/// A disk that is gone must not lose an event: Stripe sends it again after a 503.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_committed_is_answered_503_and_asked_for_again() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    std::fs::remove_file(server.directory.path().join("subledger.db")).unwrap();
    let event = Event { id: "evt_2", ..Event::default() };
    let response = server.delivery(event.body()).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(response.headers().contains_key("retry-after"));
    assert_eq!(json_of(response).await["type"], "log-unavailable");
    assert_eq!(server.get("/readyz").await.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/healthz").await.status(), StatusCode::OK);
}
