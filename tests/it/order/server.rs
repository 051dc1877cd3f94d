//! Running server: one event that is delivered many times, and one that cannot be
//! folded.

use serde_json::json;
use subledger::projection::Logic;

use super::told::{CREATED, Told, UPDATED};
use crate::app::server::{TestServer, json_of};
use crate::ledger::{new_event, rebuild};

#[tokio::test(flavor = "multi_thread")]
async fn one_event_that_is_delivered_many_times_at_once_is_one_row_and_always_answered_200() {
    let server = TestServer::start().await;
    let body = Told::sub("evt_1", CREATED, 5, r#""status":"active""#).body();
    let at_once = (0..8).map(|_| server.delivery(body.clone()).send());
    let mut first = 0;
    for response in futures_util::future::join_all(at_once).await {
        let response = response.unwrap();
        assert_eq!(response.status(), 200);
        let receipt = json_of(response).await;
        assert_eq!(receipt["position"], 1);
        first += usize::from(receipt["duplicate"] == json!(false));
    }
    assert_eq!(first, 1, "all others are duplicates of one");
    server.caught_up().await;
    assert_eq!(server.read("/v1/log").await["size"], 1);
    assert_eq!(server.read("/v1/subscriptions/sub_1").await["event_count"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_committed_and_never_answered_is_known_when_it_comes_again() {
    let server = TestServer::start().await;
    let body = Told::sub("evt_1", CREATED, 5, r#""status":"active""#).body();
    // As a server leaves it that dies between the commit and the answer.
    server.store().log.append(&[new_event(&body)]).await.unwrap();
    let receipt = server.receive(body).await;
    assert_eq!((&receipt["position"], &receipt["duplicate"]), (&json!(1), &json!(true)));
    assert_eq!(server.read("/v1/subscriptions/sub_1").await["event_count"], 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_fold_failed_is_answered_200_and_folded_by_the_next_rebuild() {
    let server = TestServer::start().await;
    server.receive(Told::sub("evt_1", CREATED, 5, r#""status":"incomplete""#).body()).await;
    // What this program cannot read is answered 200, listed, and said by the health check.
    server.receive(Told::sub("evt_2", UPDATED, 6, r#""status":7"#).body()).await;
    let parked = server.read("/v1/projections").await["parked"].clone();
    assert_eq!(parked[0]["event_id"], "evt_2", "{parked}");
    assert_eq!(json_of(server.get("/healthz").await).await["status"], "degraded");

    // An event that an earlier program parked, though this one reads it: as that one left it.
    server.receive(Told::sub("evt_3", UPDATED, 7, r#""status":"active""#).body()).await;
    let live = server.store().read_model.live().await.unwrap().unwrap().id;
    let url = crate::database(server.directory.path());
    let mut read_model = crate::raw::read(&url).await;
    let as_parked = format!(
        "UPDATE parked_l{live} SET event_id = 'evt_3', position = 3;
         UPDATE current_subscriptions_g{live} SET status = 'incomplete'"
    );
    read_model.run(&as_parked).await;
    read_model.close().await;
    assert_eq!(server.read("/v1/subscriptions/sub_1").await["status"], "incomplete");

    rebuild(server.store(), &Logic::default()).await;
    assert_eq!(server.read("/v1/subscriptions/sub_1").await["status"], "active");
    let parked = server.read("/v1/projections").await["parked"].clone();
    assert_eq!(parked.as_array().unwrap().len(), 1, "{parked}");
    assert_eq!(parked[0]["event_id"], "evt_2", "{parked}");
    server.stop().await;
}
