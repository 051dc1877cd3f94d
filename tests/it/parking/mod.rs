//! Events that cannot be folded stand aside with a reason, and the others go on.

mod run_once {
    mod genuine;
    mod reasons;
}
mod mended;

use crate::app::server::{Event, TestServer};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_an_impossible_shape_is_answered_parked_and_shown_and_the_others_go_on() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let odd = Event { id: "evt_2", ..Event::default() }.body();
    server.receive(odd.replace("\"status\": \"active\"", "\"status\": 7")).await;
    let other = Event { id: "evt_3", subscription: "sub_2", ..Event::default() };
    server.receive(other.body()).await;

    let projections = server.read("/v1/projections").await.to_string();
    let reason = "subscription: `status` is an integer where a string belongs";
    assert!(projections.contains("evt_2") && projections.contains(reason), "{projections}");
    let health = server.client.get(format!("{}/healthz", server.url)).send().await.unwrap();
    assert!(health.text().await.unwrap().contains("degraded"));
    let row = server.read("/v1/subscriptions/sub_1").await;
    assert!(row.to_string().contains("\"parked\":1"), "{row}");
    let user = server.read("/v1/users/user_1").await;
    assert_eq!(user["active"], true);
    assert_eq!(user["subscriptions"].as_array().unwrap().len(), 2);
    assert!((server.metric("subledger_projection_parked").await - 1.0).abs() < 0.1);
    let directory = server.stop().await;

    let listed = crate::app::commands::run(directory.path(), &["projections", "list"]).out;
    assert!(listed.contains("evt_2") && listed.contains("`status` is an integer"), "{listed}");
}
