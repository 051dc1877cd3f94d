//! Questions about many: their order, their limits, and what is no question.

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{TOKEN, TestServer, ask, json_of};
use crate::app::server::Event;

fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}{number}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_in_the_order_of_the_question() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let other = Event { id: "evt_2", subscription: "sub_2", user: "Zoë'\"", ..Event::default() };
    server.receive(other.body()).await;
    let question = json!({
        "customers": ["cus_x", "cus_of_user_1", "user_1"],
        "users": ["Zoë'\"", "user_1", "nobody", "user_1"],
    });
    let answer = json_of(ask(&server, &question, "").await).await;
    assert_eq!(answer["position"], 2);
    let data = answer["data"].as_array().unwrap();
    let found = data.iter().map(|it| {
        let id = it["user_id"].as_str().or(it["customer_id"].as_str()).unwrap();
        (id, it["user_id"].is_string(), it["active"] == true)
    });
    assert_eq!(
        found.collect::<Vec<_>>(),
        [
            ("Zoë'\"", true, true),
            ("user_1", true, true),
            ("nobody", true, false),
            ("user_1", true, true),
            ("cus_x", false, false),
            ("cus_of_user_1", false, true),
            ("user_1", false, false),
        ]
    );
    let mut one = server.read("/v1/users/user_1/access").await;
    assert_eq!(one.as_object_mut().unwrap().remove("position"), Some(2.into()));
    assert_eq!(data[1], one, "but for the position it is the answer about one");
    let other_mode = json_of(ask(&server, &question, "?livemode=false").await).await;
    assert!(other_mode["data"].as_array().unwrap().iter().all(|it| it["active"] == false));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_are_asked_about_at_once_and_not_one_more() {
    let server = TestServer::start().await;
    let last = Event { user: "u999", ..Event::default() };
    server.receive(last.body()).await;
    let answer = json_of(ask(&server, &json!({ "users": ids("u", 1_000) }), "").await).await;
    let data = answer["data"].as_array().unwrap();
    assert_eq!(data.len(), 1_000);
    assert!(data.iter().all(|it| (it["active"] == true) == (it["user_id"] == "u999")));
    let both = json!({ "users": ids("u", 500), "customers": ids("cus_", 500) });
    assert_eq!(ask(&server, &both, "").await.status(), StatusCode::OK);
    let empty = json_of(ask(&server, &json!({ "users": [] }), "").await).await;
    assert_eq!(empty["data"], json!([]));
    for question in [
        json!({ "users": ids("u", 1_001) }),
        json!({ "users": ids("u", 500), "customers": ids("cus_", 501) }),
    ] {
        let response = ask(&server, &question, "").await;
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let problem = json_of(response).await;
        assert_eq!(problem["type"], "question-too-large");
        assert!(problem["detail"].as_str().unwrap().contains("at most 1000"), "{problem}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_question_has_its_problem() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let send = async |body: Vec<u8>| {
        let request = server.client.post(format!("{}/v1/access", server.url)).bearer_auth(TOKEN);
        let response = request.body(body).send().await.unwrap();
        (response.status().as_u16(), json_of(response).await["type"].clone())
    };
    let bad = (400, Value::from("bad-question"));
    for body in [
        &b""[..],
        b"{\"users\":[\"u\"",
        b"{\"users\":[\"\xff\"]}",
        b"{\"usres\":[\"u\"]}",
        b"{\"users\":[7]}",
        b"{\"users\":[\"\"]}",
        b"{\"users\":[\"a\\u0000b\"]}",
        b"[\"u\"]",
    ] {
        assert_eq!(send(body.to_vec()).await, bad, "{}", String::from_utf8_lossy(body));
    }
    let most = subledger::http::BODY_BYTES_MAX;
    let padded = |bytes: usize| format!("{{}}{}", " ".repeat(bytes - 2)).into_bytes();
    assert_eq!(send(padded(most + 1)).await, (413, "question-too-large".into()));
    assert_eq!(send(padded(most)).await.0, 200);
    let query = ask(&server, &json!({}), "?usr=1").await;
    assert_eq!(json_of(query).await["type"], "bad-parameter");
    for path in ["/v1/users/%00/access", "/v1/customers/a%00/access"] {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(json_of(response).await["type"], "bad-parameter", "{path}");
    }
    let get = server.get("/v1/access").await;
    assert_eq!(get.status(), StatusCode::METHOD_NOT_ALLOWED);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_question_is_counted_by_its_own_type() {
    let server = TestServer::start().await;
    let response = ask(&server, &json!({ "users": 1 }), "").await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    let count = server.metric("subledger_problems_total{type=\"bad-question\"}").await;
    assert!((count - 1.0).abs() < 0.1);
    server.stop().await;
}
