//! A file system that is frozen: nothing fails, and nothing comes back.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use reqwest::StatusCode;
use subledger::clock::Clock;
use subledger::simulate::sign;

use crate::app::crash::Served;
use crate::app::server::{Event, SECRET};

/// Compiles what freezes writes while a file is there.
fn freezer(folder: &Path) -> PathBuf {
    let library = folder.join("freeze.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/stalls/freeze.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    library
}

async fn post(served: &Served, id: &'static str) -> StatusCode {
    try_post(served.address.clone(), id).await.unwrap()
}

/// None where no answer came.
async fn try_post(address: String, id: &'static str) -> Option<StatusCode> {
    let body = Event::default().body().replace("evt_1", id);
    let signature = sign(SECRET, Clock::System.now().to_stripe_time().0, body.as_bytes());
    let url = format!("http://{address}/api/stripe/webhook/");
    let post = crate::client().post(url).header("stripe-signature", signature).body(body);
    post.send().await.ok().map(|answer| answer.status())
}

/// Asks until the service is ready, or not, as wanted; gives back the last answer.
async fn until_ready(served: &Served, wanted: bool) -> String {
    let url = format!("http://{}/readyz", served.address);
    loop {
        let answer = crate::client().get(&url).send().await.unwrap();
        let is_ready = answer.status() == StatusCode::OK;
        let text = answer.text().await.unwrap();
        if is_ready == wanted {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_file_system_is_a_503_and_not_ready_and_it_goes_on_when_it_thaws() {
    let folder = tempfile::tempdir().unwrap();
    let flag = folder.path().join("frozen");
    let library = freezer(folder.path());
    let mut served = Served::start_with(folder.path(), |command| {
        command.env("LD_PRELOAD", &library).env("FREEZE_WHILE", &flag);
    });
    assert_eq!(post(&served, "evt_1").await, StatusCode::OK);
    until_ready(&served, true).await;
    std::fs::write(&flag, "").unwrap();
    let (answer, told) = tokio::join!(post(&served, "evt_2"), until_ready(&served, false));
    assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
    assert!(told.contains("waiting"), "{told}");
    std::fs::remove_file(&flag).unwrap();
    while post(&served, "evt_2").await != StatusCode::OK {}
    until_ready(&served, true).await;

    // And an end in order comes in its time, whatever hangs.
    std::fs::write(&flag, "").unwrap();
    let hanging = tokio::spawn(try_post(served.address.clone(), "evt_3"));
    until_ready(&served, false).await;
    served.signal("TERM");
    let told = hanging.await.unwrap();
    assert_ne!(told, Some(StatusCode::OK), "nobody is told that it is stored");
    assert_eq!(served.child.wait().unwrap().code(), Some(3));
}
