//! A damaged read model is noticed, removed and made again by whoever serves; until then nobody is told that they
//! have no access.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use subledger::projection::read_model::PROJECTIONS;
use subledger::store::SubscriptionFilter;

use super::*;
use crate::app::server::{Event, TestServer, json_of};

/// A server that has folded an event.
async fn server() -> TestServer {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    server
}

/// Changes the read models as damage does.
async fn damage_read_model(server: &TestServer, sql: &str) {
    let mut connection = raw::read(&crate::database(server.directory.path())).await;
    connection.run(sql).await;
    connection.close().await;
}

/// Asks until the answer is this one again. Until then there is none.
async fn answers_again(server: &TestServer, path: &str, answer: &Value) {
    let asking = async {
        loop {
            let response = server.get(path).await;
            let status = response.status();
            let said = json_of(response).await;
            if status == StatusCode::OK {
                assert_eq!(said, *answer, "an answer, and not the right one");
                break;
            }
            assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), asking)
        .await
        .expect("the read model is made again");
    server.caught_up().await;
    let ready = server.client.get(format!("{}/readyz", server.url)).send().await.unwrap();
    assert_eq!(ready.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_is_made_again() {
    let server = server().await;
    for (table, path) in [
        ("timeline_l", "/v1/users/user_1/history"),
        ("current_subscriptions_g", "/v1/users/user_1"),
        ("user_candidates_l", "/v1/users/user_1/history"),
    ] {
        let answer = server.read(path).await;
        let live = server.store().read_model.live().await.unwrap().unwrap().id;
        damage_read_model(&server, &format!("DROP TABLE {table}{live}{}", raw::dialect().cascade))
            .await;
        answers_again(&server, path, &answer).await;
    }
    server.stop().await;
}

/// The follower, which only writes, finds the damage too.
#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_read_is_made_again() {
    let server = server().await;
    let live = server.store().read_model.live().await.unwrap().unwrap().id;
    damage_read_model(
        &server,
        &format!("UPDATE customers_l{live} SET state = {}", raw::dialect().one_byte),
    )
    .await;
    // The follower remembers states while it follows: another process, or a restart, does not.
    let directory = server.end().await;
    let options = crate::app::server::options(directory.path());
    let server = TestServer::run(directory, options).await;
    let canceled = Event { id: "evt_2", status: "canceled", ..Event::default() }.body();
    server.receive(canceled).await;
    let rows = server
        .store()
        .read_model
        .subscriptions(&SubscriptionFilter::default(), None, 10)
        .await
        .unwrap()
        .1;
    assert_eq!((rows.len(), rows[0].event_count), (1, 2));
    server.stop().await;
}

/// Temporary errors and errors of the log are no reason to remove a read model.
#[tokio::test(flavor = "multi_thread")]
async fn a_suspicion_without_damage_changes_nothing() {
    let server = server().await;
    let live = || async { server.store().read_model.live().await.unwrap().unwrap() };
    let before = live().await;
    server.store().read_model.report_damage(false);
    let looked = async {
        while server.store().read_model.has_damage_report() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(2), looked).await.expect("somebody looks at it");
    server.receive(Event { id: "evt_2", status: "canceled", ..Event::default() }.body()).await;
    let after = live().await;
    assert_eq!((after.id, after.created_at), (before.id, before.created_at));
    let nothing = server
        .store()
        .read_model
        .find_damage(|it| projector::can_fold(PROJECTIONS, it))
        .await
        .unwrap();
    assert_eq!(nothing, None);
    server.stop().await;
}

mod sqlite_only {
    use super::*;

    /// Its rows are read from the file, and no longer are what they were.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_row_that_is_no_json_is_made_again() {
        let server = server().await;
        let answer = server.read("/v1/users/user_1").await;
        let live = server.store().read_model.live().await.unwrap().unwrap().id;
        damage_read_model(
            &server,
            &format!("UPDATE current_subscriptions_g{live} SET discounts = '{{'"),
        )
        .await;
        answers_again(&server, "/v1/users/user_1", &answer).await;
        server.stop().await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_file_that_was_overwritten_is_made_again() {
        let server = server().await;
        let answer = server.read("/v1/users/user_1").await;
        damage_read_model(&server, "PRAGMA wal_checkpoint(TRUNCATE)").await;
        let path = server.directory.path().join("subledger.read.db");
        let bytes = usize::try_from(std::fs::metadata(&path).unwrap().len()).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        std::io::Write::write_all(&mut file, &vec![0xff; bytes]).unwrap();
        drop(file);
        answers_again(&server, "/v1/users/user_1", &answer).await;
        let report = audit::verify(server.store(), None, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{:?}", report.findings);
        server.stop().await;
    }
}
