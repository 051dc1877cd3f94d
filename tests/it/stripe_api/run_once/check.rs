//! `stripe check`, against a fake.

use std::path::Path;

use serde_json::{Value, json};
use subledger::stripe::USED_TYPES;

use super::super::fake::{Answer, FakeStripe, KEY};
use crate::app::commands::{Ran, ran, subledger};
use crate::app::snapshots;

const URL: &str = "https://ledger.example/api/stripe/webhook/";

/// Answer with the current `Date`.
fn now(status: u16, body: &Value) -> Answer {
    Answer::new(status, body.to_string()).without("date")
}

fn endpoint(id: &str, url: &str, types: &[&str]) -> Value {
    json!({
        "id": id, "object": "webhook_endpoint", "url": url, "status": "enabled", "enabled_events": types,
        "api_version": "2026-09-30.endive", "livemode": false, "metadata": { "subledger": "1" },
    })
}

fn endpoints(endpoints: &[Value]) -> (&'static str, Answer) {
    let list = json!({ "object": "list", "data": endpoints, "has_more": false });
    ("GET /v1/webhook_endpoints", now(200, &list))
}

/// Runs the check beside the server.
async fn check(
    fake: &FakeStripe,
    folder: &Path,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Ran {
    let mut command = subledger(folder, &[&["stripe", "check"], arguments].concat());
    command.envs([
        ("STRIPE_API_BASE", &*fake.url),
        ("STRIPE_API_KEY", KEY),
        ("SUBLEDGER_MODE", "test"),
    ]);
    command.envs(environment.iter().copied());
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    ran(&output)
}

#[tokio::test]
async fn all_is_well() {
    let customers = json!({ "object": "list", "data": [{ "id": "cus_1" }], "has_more": true });
    let fake = FakeStripe::by_path([
        ("GET /v1/customers", now(200, &customers)),
        endpoints(&[endpoint("we_1", URL, &USED_TYPES)]),
    ])
    .await;
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("secret"), "whsec_1\n").unwrap();
    std::fs::write(directory.path().join("secret.endpoint"), "we_1\n").unwrap();
    let environment = [("STRIPE_WEBHOOK_SECRET_FILE", "secret")];
    let ran = check(&fake, directory.path(), &[], &environment).await;
    assert_eq!((ran.status, &*ran.err), (0, ""), "{}", ran.out);
    snapshots().bind(|| insta::assert_snapshot!("stripe_check", ran.out));
    let features = "/v1/entitlements/active_entitlements?limit=1&customer=cus_1";
    assert!(fake.urls().iter().any(|it| it == features), "{:?}", fake.urls());
    assert!(fake.arrived().iter().all(|it| it.method == "GET"));
    let ran = check(&fake, directory.path(), &["--format", "json"], &environment).await;
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((ran.status, &report["ok"]), (0, &json!(true)));
    assert_eq!(report["findings"][0]["status"], "ok");
    assert_eq!(report["findings"][0]["check"], "key");
}

#[tokio::test]
async fn each_fault_is_named_with_advice() {
    let denied = json!({ "error": {
        "message": "The provided key 'rk_test_*******abc' does not have the required permissions for this endpoint. \
                    Having the 'rak_invoice_read' permission would allow this request to continue.",
    } });
    let gone = json!({ "error": { "code": "resource_missing", "param": "customer" } });
    let few: Vec<&str> = USED_TYPES.into_iter().filter(|it| !it.starts_with("invoice.p")).collect();
    let without_money: Vec<&str> =
        USED_TYPES.into_iter().filter(|it| !it.starts_with("charge.")).collect();
    let mut disabled = endpoint("we_3", URL, &["*"]);
    disabled["status"] = "disabled".into();
    disabled["api_version"] = Value::Null;
    let fake = FakeStripe::by_path([
        ("GET /v1/events", Answer::new(200, r#"{"data":[]}"#)),
        ("GET /v1/invoices", now(403, &denied)),
        ("GET /v1/entitlements/active_entitlements", now(400, &gone)),
        endpoints(&[
            endpoint("we_1", URL, &few),
            endpoint("we_2", URL.trim_end_matches('/'), &without_money),
            disabled,
            endpoint("we_4", "https://other.example/hook", &["*"]),
        ]),
    ])
    .await;
    let directory = tempfile::tempdir().unwrap();
    let environment = [("STRIPE_API_KEY", "sk_test_1"), ("STRIPE_WEBHOOK_SECRET", "live:whsec_1")];
    let ran = check(&fake, directory.path(), &["--url", URL], &environment).await;
    assert_eq!((ran.status, &*ran.err), (1, ""), "{}", ran.out);
    let clock = |line: &&str| line.contains(" clock ");
    let ahead = ran.out.lines().find(clock).unwrap();
    assert!(ahead.starts_with("failed ") && ahead.contains(" seconds "), "{ahead}");
    let shown = ran.out.replace(ahead, "failed   clock       …");
    snapshots().bind(|| insta::assert_snapshot!("stripe_check_faults", shown));
}

#[tokio::test]
async fn a_disabled_endpoint_fails_unless_another_one_is_enabled() {
    let mut disabled = endpoint("we_1", URL, &["*"]);
    disabled["status"] = "disabled".into();
    let enabled = endpoint("we_2", URL, &["*"]);
    let directory = tempfile::tempdir().unwrap();
    for (list, status, told) in [
        (vec![disabled.clone()], 1, "failed   endpoint    we_1"),
        (vec![disabled, enabled], 0, "warning  endpoint    we_1"),
    ] {
        let fake = FakeStripe::by_path([endpoints(&list)]).await;
        let ran = check(&fake, directory.path(), &["--url", URL], &[]).await;
        assert!(ran.status == status && ran.out.contains(told), "{}", ran.out);
    }
}

#[tokio::test]
async fn an_endpoint_that_is_missing_is_created_with_the_command_that_is_shown() {
    let other = json!({
        "id": "we_9", "url": "https://other.example/hook", "status": "enabled", "enabled_events": ["*"],
        "api_version": null,
    });
    let fake = FakeStripe::by_path([endpoints(&[other])]).await;
    let directory = tempfile::tempdir().unwrap();
    let ran = check(&fake, directory.path(), &["--url", URL], &[]).await;
    assert_eq!(ran.status, 1);
    let hint = format!("hint: create one: subledger stripe endpoint create --url {URL}\n");
    assert!(ran.out.contains(&hint), "{}", ran.out);
    assert!(ran.out.contains("STRIPE_WEBHOOK_SECRET is not set here"), "{}", ran.out);
    let ran = check(&fake, directory.path(), &[], &[]).await;
    let listed = "we_9 (enabled) posts to https://other.example/hook: not checked";
    assert!(ran.status == 1 && ran.out.contains(listed), "{}", ran.out);
}

#[tokio::test]
async fn a_key_that_stripe_does_not_accept_ends_the_check() {
    let refused = json!({ "error": { "code": "api_key_expired" } });
    let fake = FakeStripe::by_path([("GET /v1/events", now(401, &refused))]).await;
    let directory = tempfile::tempdir().unwrap();
    let ran = check(&fake, directory.path(), &[], &[]).await;
    assert_eq!((ran.status, ran.out.lines().count()), (1, 2), "{}", ran.out);
    assert!(ran.out.contains("it is expired"), "{}", ran.out);
    assert_eq!(fake.arrived().len(), 1);
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_before_a_request() {
    let fake = FakeStripe::start([]).await;
    let directory = tempfile::tempdir().unwrap();
    for (environment, told) in [
        (("STRIPE_API_KEY", ""), "STRIPE_API_KEY is not set"),
        (("STRIPE_API_KEY", "rk_test_1,rk_test_2"), "holds 2 keys"),
        (("STRIPE_API_KEY", "pk_test_never"), "is a publishable key"),
        (("STRIPE_API_KEY", "whsec_never"), "is not an API key"),
        (("SUBLEDGER_MODE", "live"), "is a test-mode key, but SUBLEDGER_MODE is live"),
        (("STRIPE_API_KEY_FILE", "missing"), "STRIPE_API_KEY and STRIPE_API_KEY_FILE are both set"),
        (("STRIPE_API_BASE", "http://api.stripe.com"), "would be sent unencrypted"),
        (("STRIPE_WEBHOOK_SECRET", "sk_never"), "is not a signing secret"),
    ] {
        let ran = check(&fake, directory.path(), &[], &[environment]).await;
        assert_eq!((ran.status, &*ran.out), (2, ""), "{environment:?}: {}", ran.err);
        assert!(ran.err.contains(told), "{environment:?}: {}", ran.err);
        assert!(!ran.err.contains("never"), "{}", ran.err);
    }
    assert!(fake.arrived().is_empty());
}
