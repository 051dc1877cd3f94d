//! Signing secrets that are bound: an event counts only as what its endpoint may send.

use reqwest::{Response, StatusCode};
use serde_json::Value;
use subledger::clock::Clock;
use subledger::config::WebhookSecrets;
use subledger::simulate::sign;
use subledger::time::ReceivedAt;

use super::commands::{ran, run, subledger};
use super::server::{Event, NOW, TestServer, json_of};

const LIVE: &str = "whsec_of_the_live_endpoint";
const TEST: &str = "whsec_of_the_test_endpoint";
const CONNECT: &str = "whsec_of_the_connect_endpoint";

/// The configuration in which each is bound to what its endpoint sends.
const BOUND: &str = "live:whsec_of_the_live_endpoint,test:whsec_of_the_test_endpoint \
     connect:whsec_of_the_connect_endpoint";

async fn server(secrets: &str) -> TestServer {
    let secrets = WebhookSecrets::parse(secrets).unwrap();
    TestServer::with(|options| options.webhook_secrets = secrets).await
}

/// One event of each account and mode, with an id of its own for each secret.
fn events(secret: &str) -> [(String, String); 4] {
    [("", true), ("", false), ("acct_1", true), ("acct_1", false)].map(|(account, livemode)| {
        let event = Event { account: Some(account), livemode, ..Event::default() };
        let id = format!("evt_{account}_{livemode}_{secret}");
        let body = event.body().replace("evt_1", &id);
        // The platform's own events name no account.
        let body = body.replace("\"account\": \"\",", "");
        (format!("/v1/events/{id}?account={account}&livemode={livemode}"), body)
    })
}

async fn deliver(server: &TestServer, body: &str, secrets: &[&str]) -> Response {
    let now = ReceivedAt::parse(NOW).unwrap().to_stripe_time().0;
    let header = secrets.iter().map(|secret| sign(secret, now, body.as_bytes()));
    let header = header.reduce(|all, one| all + "," + one.split(',').nth(1).unwrap()).unwrap();
    let request = server.client.post(server.webhook()).header("stripe-signature", header);
    request.body(body.to_owned()).send().await.unwrap()
}

/// Binding of the secret that the log names for an event.
async fn binding_of(server: &TestServer, path: &str) -> String {
    let event = server.read(path).await;
    let signed_with = event["signed_with"].as_str().unwrap();
    let (binding, id) = signed_with.split_once(':').unwrap();
    assert!(id.len() == 8 && id.chars().all(|c| c.is_ascii_hexdigit()), "{signed_with}");
    binding.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_secret_vouches_for_what_it_is_bound_to_and_for_nothing_else() {
    let server = server(BOUND).await;
    server.caught_up().await;
    let mut refused = 0.0;
    for (secret, binding, admitted) in [
        (TEST, "test", [false, true, false, false]),
        (CONNECT, "connect", [false, false, true, true]),
        (LIVE, "live", [true, false, false, false]),
    ] {
        assert_eq!(server.read("/v1/users/user_1").await["active"], false, "before {secret}");
        for ((path, body), admitted) in events(secret).into_iter().zip(admitted) {
            let response = deliver(&server, &body, &[secret]).await;
            if admitted {
                assert_eq!(response.status(), StatusCode::OK, "{path}");
                assert_eq!(binding_of(&server, &path).await, binding);
                continue;
            }
            refused += 1.0;
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
            let text = response.text().await.unwrap();
            let problem: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(problem["type"], "signature-wrong-binding", "{path}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains(&format!("({binding}:)")), "{detail}");
            assert!(!text.contains("whsec_"), "{text}");
            assert_eq!(server.get(&path).await.status(), StatusCode::NOT_FOUND, "{path}");
            let series = "subledger_problems_total{type=\"signature-wrong-binding\"}";
            assert!((server.metric(series).await - refused).abs() < 0.1, "it is counted");
        }
        server.caught_up().await;
    }
    assert_eq!(server.read("/v1/users/user_1").await["active"], true);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_bound_vouches_for_any_event() {
    let server = server(LIVE).await;
    for (path, body) in events(LIVE) {
        assert_eq!(deliver(&server, &body, &[LIVE]).await.status(), StatusCode::OK, "{path}");
        assert_eq!(binding_of(&server, &path).await, "any");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_signatures_one_that_may_vouch_is_enough() {
    let server = server(&format!("test:{TEST},live:{LIVE},connect:{LIVE}")).await;
    let [own, _, connected, of_test] = events("several");
    // A secret that is bound twice vouches for both.
    assert_eq!(deliver(&server, &own.1, &[TEST, LIVE]).await.status(), StatusCode::OK);
    assert_eq!(binding_of(&server, &own.0).await, "live");
    assert_eq!(deliver(&server, &connected.1, &[LIVE]).await.status(), StatusCode::OK);
    assert_eq!(binding_of(&server, &connected.0).await, "connect");
    let refused = json_of(deliver(&server, &of_test.1, &[TEST]).await).await;
    assert_eq!(refused["type"], "signature-wrong-binding");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signer_of_an_event_is_exported_and_imported_and_verified() {
    let server = server(BOUND).await;
    let [(_, body), ..] = events(LIVE);
    let receipt = json_of(deliver(&server, &body, &[LIVE]).await).await;
    server.caught_up().await;
    let id = receipt["event_id"].as_str().unwrap();
    let folder = server.directory.path();
    let shown: Value = serde_json::from_str(&run(folder, &["event", id]).out).unwrap();
    assert!(shown["signed_with"].as_str().unwrap().starts_with("live:"), "{shown}");
    let exported = run(folder, &["export"]).out;
    assert!(exported.contains(&format!("\"signed_with\":{}", shown["signed_with"])), "{exported}");

    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("export.jsonl"), &exported).unwrap();
    let imported = run(other.path(), &["import", "export.jsonl"]);
    assert_eq!(imported.status, 0, "{}", imported.err);
    assert_eq!(run(other.path(), &["export"]).out, exported);
    let mut verify = subledger(other.path(), &["verify", "--signatures"]);
    let verified = ran(&verify.env("STRIPE_WEBHOOK_SECRET", BOUND).output().unwrap());
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    assert!(verified.out.contains("signatures  1 checked"), "{}", verified.out);

    // Into a log that has other events it is imported like any event that nobody verified.
    let third = tempfile::tempdir().unwrap();
    std::fs::write(third.path().join("export.jsonl"), &exported).unwrap();
    let one = Event { id: "evt_one", ..Event::default() }.body();
    std::fs::write(third.path().join("one.json"), one).unwrap();
    let imported = run(third.path(), &["import", "one.json", "export.jsonl"]);
    assert_eq!(imported.status, 0, "{}", imported.err);
    let shown = run(third.path(), &["event", id]).out;
    assert!(shown.contains(id) && !shown.contains("signed_with"), "{shown}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn simulated_events_are_signed_with_the_secret_that_may_vouch_for_each() {
    let secrets = WebhookSecrets::parse(BOUND).unwrap();
    let server = TestServer::with(|options| {
        options.webhook_secrets = secrets;
        options.clock = Clock::System;
    })
    .await;
    let simulate = |secrets: &str| {
        let url = server.webhook();
        let arguments = ["simulate", "--subscriptions", "40", "--months", "1", "--to", &url];
        let mut simulate = subledger(server.directory.path(), &arguments);
        ran(&simulate.env("STRIPE_WEBHOOK_SECRET", secrets).output().unwrap())
    };
    let posted = simulate(BOUND);
    assert_eq!(posted.status, 0, "{}", posted.err);
    let none = simulate(&format!("live:{LIVE}"));
    assert_eq!(none.status, 2, "{}", none.err);
    assert!(none.err.contains("STRIPE_WEBHOOK_SECRET") && !none.err.contains(LIVE), "{}", none.err);
    server.caught_up().await;
    server.stop().await;
}
