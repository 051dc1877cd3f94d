//! Read rights of each token, at each address.

use reqwest::StatusCode;
use subledger::config::Secrets;

use super::server::{Event, TOKEN, TestServer, json_of};

const READS: [&str; 14] = [
    "/v1/users/user_1",
    "/v1/customers/cus_1",
    "/v1/subscriptions",
    "/v1/subscriptions/sub_1",
    "/v1/users/user_1/history",
    "/v1/customers/cus_1/history",
    "/v1/coverage",
    "/v1/drift",
    "/v1/events/evt_1",
    "/v1/events/evt_1/payload",
    "/v1/log",
    "/v1/log/checkpoint",
    "/v1/projections",
    "/v1/nothing",
];

async fn status(server: &TestServer, path: &str, token: Option<&str>) -> StatusCode {
    let request = server.client.get(format!("{}{path}", server.url));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    request.send().await.unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_read_without_a_token() {
    let server = TestServer::start().await;
    for path in READS.into_iter().chain(["/v1/users/user_1/access"]) {
        assert_eq!(status(&server, path, None).await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(status(&server, path, Some("x")).await, StatusCode::UNAUTHORIZED, "{path}");
        let with_token = status(&server, path, Some(TOKEN)).await;
        assert_ne!(with_token, StatusCode::UNAUTHORIZED, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_token_is_configured_the_answer_names_the_variable() {
    let server = TestServer::with(|options| options.api_tokens = Secrets::default()).await;
    let response = server.get("/v1/users/user_1").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(response.headers()["www-authenticate"], "Bearer");
    let problem = json_of(response).await;
    assert!(problem["detail"].as_str().unwrap().contains("SUBLEDGER_API_TOKEN"), "{problem}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_asks_who_has_access_and_nothing_else() {
    let server = TestServer::with(|options| options.access_tokens = Secrets::parse("narrow")).await;
    server.receive(Event::default().body()).await;
    for path in ["/v1/users/user_1/access", "/v1/customers/cus_1/access"] {
        assert_eq!(status(&server, path, Some("narrow")).await, StatusCode::OK, "{path}");
    }
    for path in READS {
        assert_eq!(status(&server, path, Some("narrow")).await, StatusCode::FORBIDDEN, "{path}");
    }
    let personal = server.client.get(format!("{}/v1/users/user_1", server.url));
    let problem = json_of(personal.bearer_auth("narrow").send().await.unwrap()).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("/v1/users/{id}/access") && detail.contains("SUBLEDGER_API_TOKEN"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_private_address_the_public_one_serves_the_webhook_and_health_alone() {
    let server =
        TestServer::with(|options| options.private_listen = Some("127.0.0.1:0".to_owned())).await;
    server.receive(Event::default().body()).await;
    let private = format!("http://{}", server.service().private_address().unwrap());
    for (path, public, at_private) in [
        ("/healthz", 200, 200),
        ("/readyz", 200, 200),
        ("/metrics", 404, 200),
        ("/v1/users/user_1", 404, 200),
        ("/api/stripe/webhook/", 405, 404),
    ] {
        assert_eq!(status(&server, path, Some(TOKEN)).await, public, "{path}");
        let response = server.client.get(format!("{private}{path}")).bearer_auth(TOKEN);
        assert_eq!(response.send().await.unwrap().status(), at_private, "{path}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_need_the_token_where_others_can_reach_the_address() {
    let everywhere = TestServer::with(|options| options.listen = "0.0.0.0:0".to_owned()).await;
    for path in ["/metrics", "/metrics/"] {
        assert_eq!(status(&everywhere, path, None).await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(status(&everywhere, path, Some("x")).await, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!(status(&everywhere, path, Some(TOKEN)).await, StatusCode::OK, "{path}");
    }
    assert_eq!(status(&everywhere, "/healthz", None).await, StatusCode::OK);
    everywhere.stop().await;
    let here = TestServer::start().await;
    assert_eq!(status(&here, "/metrics", None).await, StatusCode::OK);
    here.stop().await;
    let private = |options: &mut subledger::service::Options| {
        options.listen = "0.0.0.0:0".to_owned();
        options.private_listen = Some("0.0.0.0:0".to_owned());
    };
    let split = TestServer::with(private).await;
    assert_eq!(status(&split, "/metrics", Some(TOKEN)).await, StatusCode::NOT_FOUND);
    let url = format!("http://{}/metrics", split.service().private_address().unwrap());
    assert_eq!(split.client.get(url).send().await.unwrap().status(), StatusCode::OK);
    split.stop().await;
}
