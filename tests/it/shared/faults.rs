//! What a server and the way to it can do to a ledger: it is unavailable while that lasts, loses nothing, and
//! goes on by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::StatusCode;
use sqlx::Executor as _;
use subledger::clock::Clock;
use subledger::simulate::{Format, bench_events};
use subledger::store::{Opening, Store, StoreError};

use super::proxy::Proxy;
use crate::app::commands::run;
use crate::app::server::{Event, TestServer, json_of};
use crate::cluster::Cluster;
use crate::ledger::{follow_to_the_end, new_event, open};
use crate::raw;
use crate::store::log::assert_sound;
use crate::store::{Ledger, event};

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_whose_answer_is_lost_is_known_when_the_event_comes_again() {
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::to(directory.path()).await;
    let store = Store::open(&proxy.url, Opening::Create, Clock::System).await.unwrap();
    store.log.append(&[event("evt_1", "{}")]).await.unwrap();
    proxy.arm();
    let error = store.log.append(&[event("evt_2", "{}")]).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(proxy.cut(), 1);
    // It was stored, and is not stored again.
    let again = store.log.append(&[event("evt_2", "{}")]).await.unwrap()[0];
    assert_eq!((again.position.0, again.duplicate), (2, true));
    assert_sound(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_all_the_while_cost_no_event() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, url) = (Arc::clone(&stop), crate::database(directory.path()));
    let cutting = tokio::spawn(async move {
        let mut sql = raw::log(&url).await;
        let mut cut = 0;
        while !stopped.load(Ordering::SeqCst) {
            let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'subledger'";
            cut += sqlx::query_scalar::<_, i64>(all).fetch_one(&mut sql).await.unwrap();
            tokio::time::sleep(std::time::Duration::from_millis(40)).await;
        }
        cut
    });
    let events: Vec<_> = bench_events(300, 20, Format::Compact).collect();
    let mut refused = 0;
    for event in &events {
        let new = new_event(&event.body);
        while let Err(error) = store.log.append(std::slice::from_ref(&new)).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            refused += 1;
        }
    }
    stop.store(true, Ordering::SeqCst);
    let cut = cutting.await.unwrap();
    assert!(refused > 0 && cut > 0, "{refused} refused, {cut} cut");
    assert_eq!(store.log.head().await.unwrap().size.0, 300);
    assert_sound(&store).await;
    follow_to_the_end(&store, &subledger::projection::Logic::default()).await;
    let verified = run(directory.path(), &["verify"]);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_server_is_away_the_answer_is_503_and_then_it_goes_on_by_itself() {
    let cluster = Cluster::start();
    let directory = tempfile::tempdir().unwrap();
    let url = subledger::store::DatabaseUrl::parse(&cluster.url("postgres")).unwrap();
    let server = TestServer::with(|options| options.database = url).await;
    server.receive(Event::default().body()).await;
    cluster.stop();
    let second = Event { id: "evt_2", subscription: "sub_2", ..Event::default() };
    let answer = server.delivery(second.body()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(server.get("/v1/users/user_1").await.status(), 503);
    assert_eq!(server.get("/readyz").await.status(), 503);
    assert_eq!(server.get("/healthz").await.status(), 200, "the process is well");
    cluster.run_again();
    let answer = server.delivery(second.body()).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(json_of(answer).await["position"], 2);
    server.caught_up().await;
    assert_eq!(server.read("/v1/users/user_1").await["subscriptions"].as_array().unwrap().len(), 2);
    server.stop().await;
    drop(directory);
}

/// Whoever asked may stop waiting at any moment, also while a transaction begins: the connection is not used
/// again as if nothing had happened.
#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_is_given_up_holds_nothing_and_takes_nothing_with_it() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    let events: Vec<_> = (0..80).map(|it| event(&format!("evt_{it}"), "{}")).collect();
    for (polls, event) in events.iter().enumerate() {
        tokio::select! {
            biased;
            () = async {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
            } => {}
            stored = log.append(std::slice::from_ref(event)) => {
                stored.unwrap();
            }
        }
    }
    log.append(&events).await.unwrap();
    let seen = "SELECT size FROM log_head";
    let mut sql = raw::log(&ledger.url).await;
    assert_eq!(sqlx::query_scalar::<_, i64>(seen).fetch_one(&mut sql).await.unwrap(), 80);
    assert_sound(&ledger.store).await;
}

/// As a server that was demoted answers, or one that recovers.
#[tokio::test]
async fn a_server_that_only_reads_is_unavailable_until_it_writes_again() {
    let ledger = Ledger::new().await;
    ledger.store.log.append(&[event("evt_1", "{}")]).await.unwrap();
    let mut sql = raw::log(&ledger.url).await;
    let set = |to: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {to}', current_database());
             PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'subledger'; END $$"
        )
    };
    sql.execute(sqlx::AssertSqlSafe(set("on"))).await.unwrap();
    let refused = async |id: &str| loop {
        match ledger.store.log.append(&[event(id, "{}")]).await {
            // The connection that was cut.
            Err(StoreError::Unavailable(source)) if !source.to_string().contains("read-only") => {}
            other => return other,
        }
    };
    let error = refused("evt_2").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    sql.execute("SET default_transaction_read_only = off").await.unwrap();
    sql.execute(sqlx::AssertSqlSafe(set("off"))).await.unwrap();
    while let Err(error) = ledger.store.log.append(&[event("evt_2", "{}")]).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    assert_eq!(ledger.store.log.head().await.unwrap().size.0, 2);
    assert_sound(&ledger.store).await;
}
