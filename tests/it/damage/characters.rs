//! Characters that are not JSON, or that a database does not take: whoever sends them is told so, and nobody else
//! notices.

use reqwest::StatusCode;
use tokio::task::JoinSet;

use super::run;
use crate::app::server::{Event, TestServer, json_of};

fn body_of(id: &str) -> String {
    Event::default().body().replacen("evt_1", id, 1)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_raw_control_characters_fails_no_event_beside_it() {
    let server = TestServer::start().await;
    let mut honest = JoinSet::new();
    let mut refused = JoinSet::new();
    for number in 0..60 {
        let body = body_of(&format!("evt_{number}"));
        // In a name, after an escape, in a text that nobody reads, outside of texts.
        let bad = [
            body.replace("evt_", "evt\0_"),
            body.replace("evt_", "evt\\u005f\0_"),
            body.replace("\"pro\"", "\"p\0ro\""),
            format!("{body}\0"),
            body.replace("customer.subscription", "customer\u{1}.subscription"),
            body.replace("\"pro\"", "\"p\nro\""),
        ];
        refused.spawn(server.delivery(bad[number % bad.len()].clone()).send());
        honest.spawn(server.delivery(body).send());
    }
    for answer in refused.join_all().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        let problem = json_of(answer).await;
        assert_eq!(problem["type"], "not-json", "{problem}");
    }
    for answer in honest.join_all().await {
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
    }
    assert_eq!(server.store().log.head().await.unwrap().size.0, 60);
    server.caught_up().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn escaped_characters_are_json_and_stay_as_they_came() {
    let server = TestServer::start().await;
    for (number, text) in
        [r"a\u0000b", r"a\ud800b", r"a\u0001\u001fb", "a\u{7f}\u{85}b"].iter().enumerate()
    {
        let id = format!("evt_{number}");
        let body = body_of(&id).replace("\"pro\"", &format!("\"{text}\""));
        let receipt = server.receive(body.clone()).await;
        assert_eq!(receipt["duplicate"], false);
        let payload = server.get(&format!("/v1/events/{id}/payload")).await.text().await.unwrap();
        assert_eq!(payload, body);
    }
    let answer = server.delivery(b"{\"id\":\"\xff\"}".to_vec()).send().await.unwrap();
    assert_eq!(json_of(answer).await["type"], "not-utf-8");
    server.stop().await;
}

#[test]
fn an_import_refuses_a_line_with_raw_control_characters_and_takes_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let line =
        |id: &str| serde_json::from_str::<serde_json::Value>(&body_of(id)).unwrap().to_string();
    let lines = [
        line("evt_1"),
        line("evt_2").replace("evt_2", "evt_\u{0}2"),
        line("evt_3").replace("\"pro\"", "\"p\u{1}ro\""),
        line("evt_4").replace("\"pro\"", "\"p\\u0000ro\""),
    ];
    std::fs::write(directory.path().join("events.jsonl"), lines.join("\n")).unwrap();
    let ran = run(directory.path(), &["import", "events.jsonl"]);
    assert_eq!(ran.status, 1, "{}", ran.err);
    assert!(ran.err.contains("events.jsonl:2: the body is not JSON"), "{}", ran.err);
    assert!(ran.err.contains("events.jsonl:3: the body is not JSON"), "{}", ran.err);
    assert!(
        ran.err.contains("imported 2 events, skipped 0 that the log already has, 2 invalid"),
        "{}",
        ran.err
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_with_u_0000_is_refused_by_both_databases_alike() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    for path in [
        "/v1/users/%00",
        "/v1/users/user_1%00/history",
        "/v1/customers/%00",
        "/v1/subscriptions/sub_1%00",
        "/v1/subscriptions/%00/explain",
        "/v1/events/evt_1%00",
        "/v1/events/%00/payload",
        "/v1/users/user_1?price_id=%00",
        "/v1/users/user_1?account=%00",
        "/v1/subscriptions?status=active%00",
        "/v1/subscriptions?%00=1",
        "/v1/subscriptions?after=AAo",
    ] {
        let answer = server.get(path).await;
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{path}");
        let problem = json_of(answer).await;
        assert_eq!(problem["type"], "bad-parameter", "{path}: {problem}");
    }
    server.stop().await;
}
