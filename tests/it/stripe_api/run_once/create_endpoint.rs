//! `stripe endpoint create`, against a fake.

use std::path::Path;

use serde_json::json;
use subledger::stripe::USED_TYPES;

use super::super::fake::{Answer, FakeStripe, KEY};
use crate::app::commands::{Ran, ran, subledger};

const URL: &str = "https://ledger.example/api/stripe/webhook/";
const CREATED: &str = r#"{"id":"we_1","object":"webhook_endpoint","secret":"whsec_shown_once"}"#;

/// Creates an endpoint at the usual address.
async fn create(fake: &FakeStripe, folder: &Path, arguments: &[&str]) -> Ran {
    create_at(URL, fake, folder, arguments).await
}

async fn create_at(url: &str, fake: &FakeStripe, folder: &Path, arguments: &[&str]) -> Ran {
    let arguments = [&["stripe", "endpoint", "create", "--url", url], arguments].concat();
    let mut command = subledger(folder, &arguments);
    command.envs([
        ("STRIPE_API_BASE", &*fake.url),
        ("STRIPE_API_KEY", KEY),
        ("SUBLEDGER_MODE", "test"),
    ]);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    ran(&output)
}

/// Fake without endpoints.
async fn empty() -> FakeStripe {
    FakeStripe::by_path([("POST /v1/webhook_endpoints", Answer::new(200, CREATED))]).await
}

/// Fake with an enabled endpoint that has this metadata.
async fn with_endpoint(metadata: serde_json::Value) -> FakeStripe {
    let endpoint = json!({
        "id": "we_0", "url": URL, "status": "enabled", "enabled_events": ["*"], "api_version": null,
        "metadata": metadata,
    });
    let list = json!({ "object": "list", "data": [endpoint], "has_more": false });
    FakeStripe::by_path([
        ("GET /v1/webhook_endpoints", Answer::new(200, list.to_string())),
        ("POST /v1/webhook_endpoints", Answer::new(200, CREATED)),
    ])
    .await
}

fn posts(fake: &FakeStripe) -> Vec<String> {
    let arrived = fake.arrived();
    arrived.iter().filter(|it| it.method == "POST").map(|it| it.body.clone()).collect()
}

#[tokio::test]
async fn the_secret_is_the_only_output_and_the_endpoint_sends_all_types() {
    let (fake, directory) = (empty().await, tempfile::tempdir().unwrap());
    let ran = create(&fake, directory.path(), &["--description", "Ours"]).await;
    assert_eq!((ran.status, &*ran.out), (0, "whsec_shown_once\n"), "{}", ran.err);
    assert!(ran.err.contains("created we_1 at") && !ran.err.contains("whsec"), "{}", ran.err);
    let [body] = &*posts(&fake) else { panic!("one endpoint") };
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let value = |name: &str| form.iter().find(|it| it.0 == name).map(|it| &*it.1);
    assert_eq!(value("url"), Some(URL));
    assert_eq!(value("api_version"), Some("2026-09-30.endive"));
    assert_eq!(value("description"), Some("Ours"));
    assert_eq!(value("metadata[subledger]"), Some("1"));
    assert_eq!(value("connect"), None);
    let types: Vec<_> = form.iter().filter(|it| it.0 == "enabled_events[]").collect();
    assert_eq!(types.len(), USED_TYPES.len());
}

#[tokio::test]
async fn the_secret_is_written_to_a_new_private_file_beside_the_id_of_its_endpoint() {
    let (fake, directory) = (empty().await, tempfile::tempdir().unwrap());
    let ran = create(&fake, directory.path(), &["--secret-file", "secret"]).await;
    assert_eq!((ran.status, &*ran.out), (0, ""), "{}", ran.err);
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
    assert_eq!((&*read("secret"), &*read("secret.endpoint")), ("whsec_shown_once\n", "we_1\n"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(directory.path().join("secret")).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
    }
    let again = create(&fake, directory.path(), &["--secret-file", "secret"]).await;
    assert_eq!(again.status, 2, "{}", again.err);
    assert_eq!(posts(&fake).len(), 1, "no endpoint whose secret has no place");
}

#[tokio::test]
async fn a_refused_creation_leaves_no_file() {
    let refused = json!({ "error": { "code": "url_invalid", "param": "url" } }).to_string();
    let fake =
        FakeStripe::by_path([("POST /v1/webhook_endpoints", Answer::new(400, refused))]).await;
    let directory = tempfile::tempdir().unwrap();
    let ran = create(&fake, directory.path(), &["--secret-file", "secret"]).await;
    assert_eq!((ran.status, &*ran.out), (3, ""));
    assert!(ran.err.contains("code url_invalid, parameter url"), "{}", ran.err);
    assert!(!directory.path().join("secret").exists());
}

#[tokio::test]
async fn an_endpoint_that_a_ledger_created_is_not_created_again() {
    let directory = tempfile::tempdir().unwrap();
    let fake = with_endpoint(json!({ "subledger": "1" })).await;
    let ran = create(&fake, directory.path(), &["--secret-file", "secret"]).await;
    assert_eq!((ran.status, &*ran.out), (0, ""), "{}", ran.err);
    assert!(ran.err.contains("already an endpoint") && ran.err.contains("we_0"), "{}", ran.err);
    assert!(posts(&fake).is_empty() && !directory.path().join("secret").exists());
    // One for connected accounts sends other events.
    let ran = create(&fake, directory.path(), &["--connect"]).await;
    assert_eq!((ran.status, &*ran.out), (0, "whsec_shown_once\n"), "{}", ran.err);
    let [body] = &*posts(&fake) else { panic!("one endpoint") };
    assert!(body.contains("connect=true") && body.contains("subledger_connect%5D=1"), "{body}");
}

#[tokio::test]
async fn an_endpoint_of_somebody_else_is_named_and_stays() {
    let directory = tempfile::tempdir().unwrap();
    let fake = with_endpoint(json!({})).await;
    let ran = create(&fake, directory.path(), &[]).await;
    assert_eq!((ran.status, &*ran.out), (0, "whsec_shown_once\n"), "{}", ran.err);
    assert!(ran.err.contains("we_0 posts to this address too"), "{}", ran.err);
}

#[tokio::test]
async fn live_events_are_posted_to_https_only() {
    let (fake, directory) = (empty().await, tempfile::tempdir().unwrap());
    let arguments = ["--mode", "live"];
    let ran = create_at("http://a.example", &fake, directory.path(), &arguments).await;
    assert!(ran.err.contains("https only"), "{}", ran.err);
    assert_eq!(ran.status, 2, "{}", ran.err);
    assert!(fake.arrived().is_empty());
}
