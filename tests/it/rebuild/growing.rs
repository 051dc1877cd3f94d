//! The log grows all the while at full speed, and readers ask all the while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use reqwest::StatusCode;
use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::simulate::{Format, bench_events};
use subledger::store::{Store, SubscriptionFilter};

use super::{bytes, ledger, rebuild, strict};
use crate::app::server::{TOKEN, TestServer, options};
use crate::ledger::append;

/// Events that are there when it begins, and more than are appended before it ends.
const BEFORE: usize = 4_000;
const EVENTS: usize = 400_000;
/// Events that are appended before it begins, so that all are at work.
const WARM: i64 = 500;
const CUSTOMERS: usize = 300;
/// Maximum size of the log's write-ahead log: a checkpoint that waits for readers is due from
/// 64 MiB on, and one that found none to wait for comes 16 MiB later.
const WAL_BYTES_MAX: u64 = 112 * 1024 * 1024;

/// Appends until it is told to stop, and looks at the write-ahead log.
async fn grow(store: Store, stop: Arc<AtomicBool>, largest: Arc<AtomicU64>) -> usize {
    let mut appended = 0;
    let wal = store.log.path().map(|log| log.with_extension("db-wal"));
    let mut events = bench_events(EVENTS, CUSTOMERS, Format::Compact).skip(BEFORE);
    while !stop.load(Ordering::SeqCst) {
        let few: Vec<_> = events.by_ref().take(97).collect();
        assert!(!few.is_empty(), "the rebuild chases the log");
        append(&store, &few).await;
        appended += few.len();
        largest.fetch_max(wal.as_deref().map_or(0, bytes), Ordering::SeqCst);
    }
    appended
}

/// Asks the store until it is told to stop: no answer is an error, empty, or older than one before.
async fn ask(store: Store, stop: Arc<AtomicBool>) -> usize {
    let (mut last, mut answers) = (Position::ZERO, 0);
    while !stop.load(Ordering::SeqCst) {
        let filter = SubscriptionFilter::default();
        let (stamp, rows) = store.read_model.subscriptions(&filter, None, 1).await.unwrap();
        assert!(!rows.is_empty());
        assert!(stamp.position >= last, "{} after {last}", stamp.position);
        (last, answers) = (stamp.position, answers + 1);
        tokio::task::yield_now().await;
    }
    answers
}

/// The same over HTTP.
async fn ask_server(client: reqwest::Client, url: String, stop: Arc<AtomicBool>) -> usize {
    let (mut last, mut answers) = (0, 0);
    while !stop.load(Ordering::SeqCst) {
        let asked = client.get(format!("{url}/v1/subscriptions?limit=1")).bearer_auth(TOKEN);
        let answer = asked.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        let position = answer.headers()["subledger-position"].to_str().unwrap().parse().unwrap();
        assert!(position >= last, "{position} after {last}");
        (last, answers) = (position, answers + 1);
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_and_nothing_is_lost_or_folded_twice_and_no_reader_goes_back_in_time() {
    let ledger = ledger(BEFORE, CUSTOMERS).await;
    ledger.store.close().await;
    let options = options(ledger.directory.path());
    let server = TestServer::run(ledger.directory, options).await;
    let store = server.store().clone();
    let (stop, largest) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let growing = tokio::spawn(grow(store.clone(), Arc::clone(&stop), Arc::clone(&largest)));
    let asking = tokio::spawn(ask(store.clone(), Arc::clone(&stop)));
    let (client, url) = (server.client.clone(), server.url.clone());
    let asking_server = tokio::spawn(ask_server(client, url, Arc::clone(&stop)));

    let warm = Position(store.log.head().await.unwrap().size.0 + WARM);
    store.log.appended().wait_for(|size| *size >= warm).await.unwrap();
    let rebuilt = rebuild(&store, &strict(), &Clock::System, |_| {}).await.unwrap();
    stop.store(true, Ordering::SeqCst);
    let appended = growing.await.unwrap();
    let (answers, answers_of_server) = (asking.await.unwrap(), asking_server.await.unwrap());
    let largest = largest.load(Ordering::SeqCst);
    assert!(rebuilt.position > warm, "the log has grown meanwhile");
    assert!(answers > 0 && answers_of_server > 0);
    assert!(largest < WAL_BYTES_MAX, "{largest} bytes after {appended} events");
    assert_eq!(store.read_model.live().await.unwrap().unwrap().id, rebuilt.generation);
    server.caught_up().await;
    // Compares every row with a fresh fold of the whole log.
    server.stop().await;
}
