//! A live generation whose logic this program does not have answers, and stands still.

use std::time::Duration;

use serde_json::json;
use subledger::projection::Logic;
use subledger::projector;

use super::{of_another_version, until};
use crate::app::commands::run;
use crate::app::server::{Event, TestServer, json_of};
use crate::ledger::{rebuild, strict};

#[tokio::test(flavor = "multi_thread")]
async fn a_running_server_says_that_what_was_activated_is_frozen_and_answers_from_it() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let first = server.store().read_model.live().await.unwrap().unwrap().id;
    rebuild(server.store(), &strict()).await;
    until(&server.service().app().projector, |it| it.generation == Some(2)).await;
    let url = crate::database(server.directory.path());
    of_another_version(&url, first, "").await;
    projector::activate(server.store(), first).await.unwrap();
    // What arrives now is in the log, and not in this generation.
    let second = Event { id: "evt_2", subscription: "sub_2", ..Event::default() };
    assert_eq!(server.delivery(second.body()).send().await.unwrap().status(), 200);

    let ready = frozen(&server).await;
    assert_eq!(ready["status"], "not ready");
    assert!(ready["reasons"][0].as_str().unwrap().contains("another version"), "{ready}");
    let listed = server.read("/v1/projections").await;
    let of_first = &listed["data"][0];
    assert_eq!((&of_first["status"], &of_first["pinned"]), (&json!("frozen"), &json!(true)));
    assert_eq!(of_first["lag_events"], 1);
    assert_eq!(server.read("/v1/users/user_1").await["subscriptions"].as_array().unwrap().len(), 1);
    let listed = run(server.directory.path(), &["projections", "list"]);
    assert!(listed.out.contains("frozen, pinned"), "{}", listed.out);

    // And goes on as soon as one that it can fold is live.
    rebuild(server.store(), &Logic::default()).await;
    server.caught_up().await;
    assert_eq!(server.get("/readyz").await.status(), 200);
    assert_eq!(server.read("/v1/users/user_1").await["subscriptions"].as_array().unwrap().len(), 2);
    server.stop().await;
}

/// Waits until the follower has looked again.
async fn frozen(server: &TestServer) -> serde_json::Value {
    loop {
        let response = server.get("/readyz").await;
        if response.status() == 503 {
            return json_of(response).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
