//! Checkpoints over HTTP, and those that leave the machine by themselves.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use subledger::proof::{Checkpoint, ProofError};
use subledger::publisher::{CheckpointOptions, PublishOptions};
use subledger::service::{Options, Service, StartError};

use super::key;
use crate::app::commands::{ran, subledger};
use crate::app::server::{Event, SECRET, TestServer, json_of, options};

fn signing(file: Option<&Path>) -> CheckpointOptions {
    let publish = file.map(|file| PublishOptions {
        file: Some(file.to_owned()),
        // At the start and at the end.
        every: Duration::from_hours(1),
    });
    CheckpointOptions { key: key(), publish }
}

fn open(text: &str) -> Result<Checkpoint, ProofError> {
    Checkpoint::open(text, key().verifier())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_log_is_signed_over_http() {
    let server = TestServer::with(|options| options.checkpoints = Some(signing(None))).await;
    server.receive(Event::default().body()).await;
    let response = server.get("/v1/log/checkpoint").await;
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    let checkpoint = open(&response.text().await.unwrap()).unwrap();
    let head = server.store().log.head().await.unwrap();
    assert_eq!(checkpoint, Checkpoint { size: 1, root: head.root });
    assert_eq!(server.get("/v1/log/checkpoint?x=1").await.status(), 400);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_the_answer_names_the_variable() {
    let server = TestServer::start().await;
    let response = server.get("/v1/log/checkpoint").await;
    assert_eq!(response.status(), 404);
    let problem = json_of(response).await;
    assert_eq!(problem["type"], "no-signing-key");
    assert!(problem["detail"].as_str().unwrap().contains("SUBLEDGER_SIGNING_KEY"), "{problem}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_last_is_the_whole_log_and_goes_on_after_a_restart() {
    let elsewhere = tempfile::tempdir().unwrap();
    let file = elsewhere.path().join("checkpoint");
    let published = || open(&std::fs::read_to_string(&file).unwrap()).unwrap().size;
    let publish = |options: &mut Options| options.checkpoints = Some(signing(Some(&file)));
    let server = TestServer::with(publish).await;
    server.receive(Event::default().body()).await;
    let directory = server.stop().await;
    assert_eq!(published(), 1);

    let mut again = options(directory.path());
    publish(&mut again);
    let server = TestServer::run(directory, again).await;
    server.receive(Event { id: "evt_2", ..Event::default() }.body()).await;
    server.stop().await;
    assert_eq!(published(), 2);
    // Nothing else is left, and everybody may read it.
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
    }

    // Another log with the same key, as after a rewrite, does not take the evidence away.
    let before = std::fs::read_to_string(&file).unwrap();
    let server = TestServer::with(publish).await;
    for id in ["evt_1", "evt_2", "evt_3"] {
        server.receive(Event { id, ..Event::default() }.body()).await;
    }
    server.stop().await;
    assert_eq!(std::fs::read_to_string(&file).unwrap(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_something_else_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("notes.txt");
    std::fs::write(&file, "mine").unwrap();
    for (file, said) in
        [(file.clone(), "is not a checkpoint"), (directory.path().join("no/where"), "cannot write")]
    {
        let folder = tempfile::tempdir().unwrap();
        let mut options = options(folder.path());
        options.checkpoints = Some(signing(Some(&file)));
        let Err(error) = Service::start(options).await else { panic!("it started") };
        assert!(matches!(error, StartError::Publish(_)), "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing was made");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}

/// Without a file a checkpoint is a line of the program's log, from which it can be read again.
#[test]
fn a_checkpoint_leaves_the_machine_with_the_programs_log() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--checkpoint-every-seconds", "3600"];
    let mut child = subledger(directory.path(), &arguments)
        .env("STRIPE_WEBHOOK_SECRET", SECRET)
        .env("SUBLEDGER_SIGNING_KEY", key().to_secret_text())
        .env("SUBLEDGER_LOG_FORMAT", "json")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.contains("checkpoint of 0 events"));
    child.kill().unwrap();
    child.wait().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
    // The field is quoted, so that it is one line whatever the format.
    let quoted = line["checkpoint"].as_str().unwrap();
    let text: String = serde_json::from_str(quoted).unwrap();
    assert_eq!(open(&text).unwrap().size, 0);
}

#[test]
fn senseless_settings_are_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        &["--checkpoint-file", "checkpoint"][..],
        &["--checkpoint-every-seconds", "5"],
        &["--checkpoint-every-seconds", "0"],
    ] {
        let mut serve = subledger(directory.path(), &[&["serve"], arguments].concat());
        let refused = ran(&serve.env("STRIPE_WEBHOOK_SECRET", "whsec_x").output().unwrap());
        assert_eq!(refused.status, 2, "{arguments:?}: {}", refused.err);
    }
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}
