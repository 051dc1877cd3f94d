//! The reads: filters, pages, modes and accounts, freshness.

use reqwest::StatusCode;
use serde_json::Value;
use subledger::ids::Mode;

use super::server::{Event, TestServer, json_of};

/// The ids of a list of subscriptions.
fn ids(answer: &Value, key: &str) -> Vec<String> {
    let list = answer[key].as_array().unwrap();
    list.iter().map(|row| row["subscription_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_without_gap_or_overlap() {
    let server = TestServer::start().await;
    for (id, subscription) in
        [("evt_1", "sub_a"), ("evt_2", "sub_b"), ("evt_3", "sub_c"), ("evt_4", "sub_d")]
    {
        server.receive(Event { id, subscription, ..Event::default() }.body()).await;
    }
    let mut seen = Vec::new();
    let mut path = "/v1/subscriptions?limit=3".to_owned();
    loop {
        let page = server.read(&path).await;
        seen.push(ids(&page, "data"));
        match page["next"].as_str() {
            Some(next) => path = format!("/v1/subscriptions?limit=3&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [vec!["sub_a", "sub_b", "sub_c"], vec!["sub_d"]]);
    let exact = server.read("/v1/subscriptions?limit=4").await;
    assert_eq!(exact["next"], Value::Null, "a full last page is the last");

    let history = "/v1/users/user_1/history?limit=3";
    let first = server.read(history).await;
    let next = first["next"].as_str().unwrap();
    let second = server.read(&format!("{history}&after={next}")).await;
    assert_eq!(second["events"].as_array().unwrap().len(), 1);
    assert_eq!(second["events"][0]["event_id"], "evt_4");
    assert_eq!(second["next"], Value::Null);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn modes_and_accounts_do_not_leak() {
    let server = TestServer::start().await;
    let connected = Some("acct_1");
    for event in [
        Event { id: "evt_1", subscription: "sub_live", ..Event::default() },
        Event { id: "evt_2", subscription: "sub_test", livemode: false, ..Event::default() },
        Event { id: "evt_3", subscription: "sub_acct", account: connected, ..Event::default() },
    ] {
        server.receive(event.body()).await;
    }
    for (query, expected) in [
        ("", vec!["sub_live"]),
        ("?livemode=false", vec!["sub_test"]),
        ("?account=acct_1", vec!["sub_acct"]),
        ("?account=acct_1&livemode=false", vec![]),
        ("?account=&livemode=true", vec!["sub_live"]),
    ] {
        let user = server.read(&format!("/v1/users/user_1{query}")).await;
        assert_eq!(ids(&user, "subscriptions"), expected, "{query}");
        assert_eq!(user["active"], !expected.is_empty(), "{query}");
        assert_eq!(ids(&server.read(&format!("/v1/subscriptions{query}")).await, "data"), expected);
    }
    assert_eq!(server.get("/v1/events/evt_2").await.status(), StatusCode::NOT_FOUND);
    assert_eq!(server.read("/v1/events/evt_2?livemode=false").await["livemode"], false);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_names_a_user_elsewhere_grants_that_user_nothing_here() {
    let server = TestServer::start().await;
    let connected = Some("acct_1");
    for event in [
        // The platform's own: it was active and is over.
        Event { id: "evt_1", status: "canceled", ..Event::default() },
        Event { id: "evt_2", subscription: "sub_test", livemode: false, ..Event::default() },
        Event { id: "evt_3", subscription: "sub_acct", account: connected, ..Event::default() },
        Event {
            id: "evt_4",
            subscription: "sub_both",
            account: connected,
            livemode: false,
            ..Event::default()
        },
    ] {
        server.receive(event.body()).await;
    }
    for (query, expected, active) in [
        ("", "sub_1", false),
        ("?price_id=price_1", "sub_1", false),
        ("?livemode=false", "sub_test", true),
        ("?account=acct_1", "sub_acct", true),
        ("?account=acct_1&livemode=false", "sub_both", true),
    ] {
        let user = server.read(&format!("/v1/users/user_1{query}")).await;
        assert_eq!(ids(&user, "subscriptions"), [expected], "{query}");
        assert_eq!(user["active"], active, "{query}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_test_mode_test_events_grant_access_and_live_ones_do_not() {
    let server = TestServer::with(|options| options.mode = Mode::Test).await;
    server.receive(Event { livemode: false, ..Event::default() }.body()).await;
    let live = Event { id: "evt_2", subscription: "sub_2", user: "user_2", ..Event::default() };
    server.receive(live.body()).await;
    let user = server.read("/v1/users/user_1").await;
    assert_eq!((&user["active"], &user["mode"]), (&true.into(), &"test".into()));
    assert_eq!(server.read("/v1/users/user_2").await["active"], false);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_is_active_for_what_was_bought_and_for_nothing_else() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    for (query, active) in [
        ("", true),
        ("?product_id=prod_1", true),
        ("?product_id=prod_2", false),
        ("?price_id=price_1&product_id=prod_1", true),
        ("?price_id=price_1&product_id=prod_2", false),
        ("?lookup_key=pro", true),
        ("?lookup_key=basic", false),
    ] {
        let user = server.read(&format!("/v1/users/user_1{query}")).await;
        assert_eq!(user["active"], active, "{query}");
    }
    let nobody = server.read("/v1/users/nobody").await;
    assert_eq!(nobody["active"], false);
    assert_eq!(nobody["subscriptions"], serde_json::json!([]));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn items_that_were_cut_short_leave_the_answer_open_and_grant_nothing() {
    let server = TestServer::start().await;
    let body = Event::default().body();
    server.receive(body.replace("\"has_more\": false", "\"has_more\": true")).await;
    for (query, active, incomplete) in [
        ("", true, Value::Null),
        ("?product_id=prod_1", true, Value::Null),
        ("?product_id=prod_2", false, true.into()),
    ] {
        let user = server.read(&format!("/v1/users/user_1{query}")).await;
        assert_eq!(
            (&user["active"], &user["incomplete"]),
            (&active.into(), &incomplete),
            "{query}"
        );
        assert_eq!(ids(&user, "subscriptions"), ["sub_1"], "{query}");
        assert_eq!(user["subscriptions"][0]["active"], active, "{query}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_wrong_is_named_and_what_is_unknown_is_404() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    for (path, name) in [
        ("/v1/subscriptions?limit=0", "limit"),
        ("/v1/subscriptions?active=maybe", "active"),
        ("/v1/subscriptions?after=%25", "after"),
        ("/v1/subscriptions?stauts=active", "stauts"),
        ("/v1/log?limit=1", "limit"),
        ("/v1/projections?generation=1", "generation"),
        ("/v1/users/user_1?product_id=", "product_id"),
        ("/v1/users/user_1?livemode=1", "livemode"),
        ("/v1/users/user_1/history?as_of=yesterday", "as_of"),
        ("/v1/users/user_1/history?after=OTk5", "after"),
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        let problem = json_of(response).await;
        assert_eq!(problem["type"], "bad-parameter");
        assert!(problem["detail"].as_str().unwrap().starts_with(name), "{problem}");
    }
    for path in [
        "/v1/subscriptions/sub_x",
        "/v1/customers/cus_x",
        "/v1/users/user_x/history",
        "/v1/subscriptions/sub_x/history",
        "/v1/events/evt_x",
        "/v1/events/evt_x/payload",
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), StatusCode::NOT_FOUND, "{path}");
        assert_eq!(json_of(response).await["type"], "unknown-subject", "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_says_how_fresh_it_is_and_a_history_can_be_turned_back() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    for path in ["/v1/users/user_1", "/v1/subscriptions", "/v1/log", "/v1/events/evt_1"] {
        let response = server.get(path).await;
        assert_eq!(response.headers()["subledger-position"], "1", "{path}");
        assert_eq!(response.headers()["subledger-lag-seconds"], "0.000", "{path}");
    }
    let projections = server.read("/v1/projections").await;
    assert_eq!(projections["data"][0]["status"], "live");
    assert_eq!(projections["data"][0]["position"], 1);

    let events = |answer: Value| answer["events"].as_array().unwrap().len();
    let history = "/v1/users/user_1/history";
    assert_eq!(events(server.read(history).await), 1);
    for past in ["as_of=2026-01-01T00:00:00Z", "known_at=2026-02-28T23:59:59Z"] {
        let answer = server.read(&format!("{history}?{past}")).await;
        assert_eq!(answer["state"], serde_json::json!([]), "{past}");
        assert_eq!(events(answer), 0, "{past}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_alike_with_and_without_a_slash_at_the_end() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    for path in [
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/users/user_1",
        "/v1/users/user_1/access",
        "/v1/users/user_1/history",
        "/v1/customers/cus_of_user_1",
        "/v1/customers/cus_of_user_1/access",
        "/v1/customers/cus_of_user_1/history",
        "/v1/subscriptions",
        "/v1/subscriptions/sub_1",
        "/v1/subscriptions/sub_1/history",
        "/v1/subscriptions/sub_1/explain",
        "/v1/events/evt_1",
        "/v1/events/evt_1/payload",
        "/v1/log",
        "/v1/projections",
    ] {
        let (short, long) = (server.get(path).await, server.get(&format!("{path}/")).await);
        assert_eq!((short.status(), long.status()), (StatusCode::OK, StatusCode::OK), "{path}");
        let texts = (short.text().await.unwrap(), long.text().await.unwrap());
        assert!(path == "/metrics" || texts.0 == texts.1, "{path}: {texts:?}");
    }
    let queried = server.get("/v1/subscriptions/?limit=1").await;
    assert_eq!(queried.status(), StatusCode::OK);
    for path in ["/v1/log/checkpoint", "/v1/nothing", "/v1/users"] {
        for path in [path.to_owned(), format!("{path}/")] {
            assert_eq!(server.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }
    for path in ["/api/stripe/webhook", "/api/stripe/webhook/"] {
        assert_eq!(server.get(path).await.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
    }
    server.stop().await;
}
