//! A way to the server on which nothing comes back: it is a 503, it is not ready, and it heals.

use std::time::Duration;

use reqwest::StatusCode;

use super::proxy::Proxy;
use crate::app::server::{Event, TestServer, options};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_way_is_a_503_and_not_ready_it_heals_by_itself_and_it_does_not_keep_a_service_from_ending()
 {
    let directory = crate::folder_on_postgres();
    let proxy = Proxy::to(directory.path()).await;
    let mut options = options(directory.path());
    options.database = proxy.url.clone();
    let server = TestServer::run(directory, options).await;
    server.receive(Event::default().body()).await;
    assert_eq!(server.get("/readyz").await.status(), StatusCode::OK);

    proxy.lose();
    let second = Event { id: "evt_2", ..Event::default() }.body();
    let (answer, ready) =
        tokio::join!(server.delivery(second.clone()).send(), server.get("/readyz"));
    assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.get("/healthz").await.status(), StatusCode::OK, "the process is well");

    proxy.heal();
    let stored = async {
        while server.delivery(second.clone()).send().await.unwrap().status() != StatusCode::OK {}
        while server.get("/readyz").await.status() != StatusCode::OK {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), stored).await.unwrap();
    server.caught_up().await;

    proxy.lose();
    let end = server.end();
    tokio::time::timeout(Duration::from_mins(1), end).await.unwrap();
}
