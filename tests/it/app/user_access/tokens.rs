//! Each token at each address.

use reqwest::StatusCode;
use subledger::config::Secrets;
use subledger::ids::Mode;

use super::{Event, TOKEN, TestServer, json_of};

const NARROW: &str = "narrow";

/// Paths that an access token may ask.
const ACCESS: [&str; 3] =
    ["/v1/users/user_1/access", "/v1/customers/cus_of_user_1/access", "/v1/access"];

async fn server(mode: Mode) -> TestServer {
    let server = TestServer::with(|options| {
        options.access_tokens = Secrets::parse(NARROW);
        options.mode = mode;
    })
    .await;
    server.receive(Event { livemode: mode.livemode(), ..Event::default() }.body()).await;
    server
}

/// Status and problem of a request with this token.
async fn send(server: &TestServer, path: &str, token: Option<&str>) -> (u16, String) {
    let url = format!("{}{path}", server.url);
    let is_post = path.starts_with("/v1/access");
    let mut request = if is_post {
        server.client.post(url).body("{\"users\":[\"user_1\"]}")
    } else {
        server.client.get(url)
    };
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let response = request.send().await.unwrap();
    let status = response.status();
    let answer = json_of(response).await;
    if status == StatusCode::OK {
        let one = if is_post { &answer["data"][0] } else { &answer };
        return (status.as_u16(), format!("active: {}", one["active"]));
    }
    let (kind, detail) = (answer["type"].as_str().unwrap(), answer["detail"].as_str().unwrap());
    (status.as_u16(), format!("{kind}: {detail}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_asks_in_the_configured_mode_and_account_alone() {
    for mode in [Mode::Live, Mode::Test] {
        let server = server(mode).await;
        let active = (200, "active: true".to_owned());
        let (same, other) = (mode.livemode(), !mode.livemode());
        for path in ACCESS {
            for token in [TOKEN, NARROW] {
                assert_eq!(send(&server, path, Some(token)).await, active, "{path}");
                let named = format!("{path}?livemode={same}&account=");
                assert_eq!(send(&server, &named, Some(token)).await, active, "{named}");
            }
            for query in [format!("livemode={other}"), "account=acct_1".to_owned()] {
                let path = format!("{path}?{query}");
                let (status, problem) = send(&server, &path, Some(NARROW)).await;
                assert_eq!(status, 403, "{path}: {problem}");
                let expected =
                    format!("may only ask about the platform's own account in {mode} mode");
                assert!(
                    problem.starts_with("forbidden: ") && problem.contains(&expected),
                    "{problem}"
                );
                let inactive = (200, "active: false".to_owned());
                assert_eq!(send(&server, &path, Some(TOKEN)).await, inactive, "{path}");
            }
        }
        server.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_token_nobody_asks() {
    let server = server(Mode::Live).await;
    for path in ACCESS {
        for token in [None, Some("x"), Some("")] {
            let (status, problem) = send(&server, path, token).await;
            assert_eq!(status, 401, "{path}: {problem}");
        }
    }
    server.stop().await;
}
