//! Events that were answered 200 are stored once, however the process ends.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::StatusCode;
use subledger::clock::Clock;
use subledger::simulate::{Format, SimulatedEvent, bench_events, sign};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::commands::{run, subledger};
use super::server::SECRET;

/// Connections that post at a time.
const CONNECTIONS: usize = 16;
/// Events that are there to post; more than are posted before the end.
const EVENTS: usize = 20_000;
/// Acknowledged events after which the process is ended.
const ENOUGH: usize = 300;

/// A child that serves, and its address.
pub(crate) struct Served {
    pub(crate) child: Child,
    pub(crate) address: String,
}

impl Served {
    pub(crate) fn start(directory: &Path) -> Self {
        Self::start_with(directory, |_| {})
    }

    pub(crate) fn start_with(directory: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let mut command = subledger(directory, &["serve", "--listen", "127.0.0.1:0"]);
        command.env("STRIPE_WEBHOOK_SECRET", SECRET).stderr(Stdio::piped());
        change(&mut command);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines.by_ref().find_map(|line| {
            let line = line.unwrap();
            let (_, rest) = line.split_once("http://")?;
            Some(rest.split(',').next().unwrap().to_owned())
        });
        // Read on, or the child would wait for somebody to listen.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, address: address.unwrap() }
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts until the server is gone. Calls `enough` when so many are acknowledged, and gives back the
/// ids of all that were.
async fn load(served: &Served, enough: impl FnOnce()) -> Vec<String> {
    let events: Arc<Vec<SimulatedEvent>> =
        Arc::new(bench_events(EVENTS, 100, Format::Compact).collect());
    let (next, acknowledged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let reached = Arc::new(tokio::sync::Notify::new());
    let client = crate::client();
    let mut posters = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (events, next, acknowledged) =
            (Arc::clone(&events), Arc::clone(&next), Arc::clone(&acknowledged));
        let (client, reached) = (client.clone(), Arc::clone(&reached));
        let url = format!("http://{}/api/stripe/webhook/", served.address);
        posters.spawn(async move {
            let mut stored = Vec::new();
            while let Some(event) = events.get(next.fetch_add(1, Ordering::SeqCst)) {
                let now = Clock::System.now().to_stripe_time().0;
                let signature = sign(SECRET, now, event.body.as_bytes());
                let post = client.post(&url).header("stripe-signature", signature);
                let Ok(response) = post.body(event.body.clone()).send().await else { break };
                // What is answered is answered rightly, to the last.
                assert_eq!(response.status(), StatusCode::OK);
                stored.push(event.id.clone());
                if acknowledged.fetch_add(1, Ordering::SeqCst) == ENOUGH {
                    reached.notify_one();
                }
            }
            stored
        });
    }
    reached.notified().await;
    enough();
    let stored = posters.join_all().await.concat();
    assert!(stored.len() < EVENTS, "the server ended under load");
    stored
}

/// Every acknowledged event is in the log exactly once, and the log is whole.
fn check(directory: &Path, acknowledged: &[String]) {
    let verified = run(directory, &["verify"]);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for line in run(directory, &["export"]).out.lines() {
        let record: serde_json::Value = serde_json::from_str(line).unwrap();
        *counts.entry(record["event_id"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(acknowledged.len() > ENOUGH);
    for id in acknowledged {
        assert_eq!(counts.get(id), Some(&1), "{id} was answered 200");
    }
    assert!(counts.values().all(|count| *count == 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn after_kill_9_under_load_every_acknowledged_event_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::start(directory.path());
    let acknowledged = load(&served, || served.signal("KILL")).await;
    served.child.wait().unwrap();
    check(directory.path(), &acknowledged);

    // And it goes on where it was.
    let again = Served::start(directory.path());
    let ready = format!("http://{}/healthz", again.address);
    assert_eq!(crate::client().get(ready).send().await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_under_load_ends_in_order_and_nothing_acknowledged_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::start(directory.path());
    let acknowledged = load(&served, || served.signal("TERM")).await;
    assert_eq!(served.child.wait().unwrap().code(), Some(0));
    check(directory.path(), &acknowledged);
    let wal = directory.path().join("subledger.db-wal");
    assert!(!wal.exists(), "the log was closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_leaves_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut served = Served::start(directory.path());
    // A request that does not end holds the first signal up.
    let mut stream = TcpStream::connect(&served.address).await.unwrap();
    let signature = sign(SECRET, Clock::System.now().to_stripe_time().0, b"");
    let head = format!(
        "POST /api/stripe/webhook/ HTTP/1.1\r\nHost: x\r\nStripe-Signature: {signature}\r\n\
         Content-Length: 9\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    crate::client().get(format!("http://{}/healthz", served.address)).send().await.unwrap();
    served.signal("TERM");
    // A signal that is sent while the same one is pending is lost, hence another.
    served.signal("INT");
    assert_eq!(served.child.wait().unwrap().code(), Some(3));
}
