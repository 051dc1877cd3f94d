//! Faults of a server and of the network to it: the ledger is unavailable meanwhile, loses nothing, and
//! goes on by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use subledger::audit::verify;
use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::projection::Logic;
use subledger::simulate::{Format, bench_events};
use subledger::store::{OpenMode, Store, StoreError};

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
    let directory = crate::folder_on_postgres();
    let proxy = Proxy::to(directory.path()).await;
    let store = Store::open(&proxy.url, OpenMode::Create, Clock::System).await.unwrap();
    let lost = async |id: &str, message: &'static [u8], position: i64| {
        proxy.cut_after(message);
        let error = store.log.append(&[event(id, "{}")]).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        // It was stored, and is not stored again.
        let again = store.log.append(&[event(id, "{}")]).await.unwrap()[0];
        assert_eq!((again.position.0, again.duplicate), (position, true));
    };
    // While the head's lock is held, and again when nobody knows where the head is.
    lost("evt_1", b"COMMIT\0", 1).await;
    store.log.append(&[event("evt_2", "{}")]).await.unwrap();
    // By now this process knows that it is alone, and an event goes in one trip.
    lost("evt_3", b"evt_3", 3).await;
    assert_eq!(proxy.cut(), 2);
    assert_sound(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_cut_all_the_while_cost_no_event() {
    let directory = crate::folder_on_postgres();
    let store = open(directory.path()).await;
    let stop = Arc::new(AtomicBool::new(false));
    let (stopped, url) = (Arc::clone(&stop), crate::database(directory.path()));
    let cutting = tokio::spawn(async move {
        let mut sql = raw::log(&url).await;
        let mut cut = 0;
        while !stopped.load(Ordering::SeqCst) {
            let all = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name = 'subledger'";
            cut += sql.value::<i64>(all).await;
            tokio::time::sleep(Duration::from_millis(40)).await;
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
    // The last that were cut are found out by who uses them first.
    while store.log.head().await.is_err() {}
    assert_eq!(store.log.head().await.unwrap().size.0, 300);
    assert_sound(&store).await;
    follow_to_the_end(&store, &Logic::default()).await;
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
    let ledger = Ledger::on_postgres().await;
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
    assert_eq!(sql.value::<i64>(seen).await, 80);
    assert_sound(&ledger.store).await;
}

/// The way of a managed server: the one that is written to is lost, its synchronous replica takes over.
#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_replica_that_is_promoted_has_every_event_that_was_acknowledged() {
    let primary = Cluster::start();
    let replica = primary.synchronous_replica();
    let proxy = Proxy::to_socket(primary.socket(), "postgres").await;
    let store = Store::open(&proxy.url, OpenMode::Create, Clock::System).await.unwrap();
    let events: Vec<_> =
        bench_events(400, 20, Format::Compact).map(|event| new_event(&event.body)).collect();
    let (sent, acknowledged) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (log, count, done) = (store.log.clone(), Arc::clone(&sent), Arc::clone(&acknowledged));
    // While the servers change hands, on a thread of its own.
    let load = tokio::spawn(async move {
        let mut refused = 0;
        for batch in events.chunks(4) {
            count.fetch_add(1, Ordering::SeqCst);
            while let Err(error) = log.append(batch).await {
                assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
                refused += 1;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            done.fetch_add(batch.len(), Ordering::SeqCst);
        }
        refused
    });
    while sent.load(Ordering::SeqCst) < 30 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    primary.kill();
    let before = i64::try_from(acknowledged.load(Ordering::SeqCst)).unwrap();
    replica.promote();
    let held = replica.psql("postgres", "SELECT size FROM subledger.log_head");
    let held: i64 = held.parse().unwrap();
    assert!(held >= before, "{held} of {before}");
    proxy.turn_to(replica.socket());
    let refused = load.await.unwrap();
    assert!(refused > 0);
    let mut ids: Vec<_> = store.log.scan(Position::ZERO, 500, usize::MAX).await.unwrap();
    assert_eq!(ids.len(), 400);
    ids.sort_by(|a, b| a.facts.event_id.cmp(&b.facts.event_id));
    assert!(ids.windows(2).all(|pair| pair[0].facts.event_id != pair[1].facts.event_id));
    assert_sound(&store).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let report = verify(&store, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
}

/// Statements that end so: one that took longer than `statement_timeout` (which a cancelled one shares its code
/// with), one that a serializable transaction of another stood in the way of, and the victim of a deadlock.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_the_server_gives_up_is_tried_again_and_stored_once() {
    let ledger = Ledger::on_postgres().await;
    let log = &ledger.store.log;
    let mut sql = raw::log(&ledger.url).await;
    // Once while the head is locked, once when it goes in one trip.
    for round in 0..2 {
        for (number, code) in ["57014", "40001", "40P01"].iter().enumerate() {
            let trigger = format!(
                "CREATE FUNCTION give_up() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN RAISE EXCEPTION 'given up' USING ERRCODE = '{code}'; END $$;
                 CREATE TRIGGER give_up BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION give_up()"
            );
            sql.run(&trigger).await;
            let new = [event(&format!("evt_{round}_{number}"), "{}")];
            let error = log.append(&new).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
            sql.run("DROP TRIGGER give_up ON events; DROP FUNCTION give_up").await;
            assert!(!log.append(&new).await.unwrap()[0].duplicate);
            if round == 1 {
                log.append(&[event(&format!("evt_alone_{number}"), "{}")]).await.unwrap();
            }
        }
    }
    assert_eq!(log.head().await.unwrap().size.0, 9);
    assert_sound(&ledger.store).await;
}

/// A statement that waits is cut off by the session's own `statement_timeout`.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_unavailable() {
    let ledger = Ledger::on_postgres().await;
    ledger.store.log.append(&[event("evt_1", "{}")]).await.unwrap();
    let mut sql = raw::log(&ledger.url).await;
    sql.run("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE").await;
    let cancelled = async {
        let waiting = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sql.value::<i64>(waiting).await == 0 {}
    };
    let second = [event("evt_2", "{}")];
    let (refused, ()) = tokio::join!(ledger.store.log.append(&second), cancelled);
    assert!(matches!(refused.unwrap_err(), StoreError::Unavailable(_)));
    sql.run("ROLLBACK").await;
    assert_eq!(ledger.store.log.append(&second).await.unwrap()[0].position.0, 2);
    assert_sound(&ledger.store).await;
}

/// However the database is set up, what a statement sees is what was committed when it began.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_append_in_a_database_that_is_serializable_by_default() {
    let ledger = Ledger::on_postgres().await;
    let mut sql = raw::log(&ledger.url).await;
    let set = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_isolation = serializable',
        current_database()); END $$";
    sql.run(set).await;
    let (one, other) = (ledger.open_again().await, ledger.open_again().await);
    let append = async |store: &Store, name: &str| {
        for number in 0..50 {
            store.log.append(&[event(&format!("evt_{name}_{number}"), "{}")]).await.unwrap();
        }
    };
    tokio::join!(append(&one, "one"), append(&other, "other"));
    assert_eq!(one.log.head().await.unwrap().size.0, 100);
    assert_sound(&one).await;
}

/// An event goes in one trip while nobody else appends. Whoever does is noticed, and so is an event that is
/// known.
#[tokio::test]
async fn an_append_without_the_lock_sees_what_others_appended_meanwhile() {
    let ledger = Ledger::on_postgres().await;
    let (log, other) = (&ledger.store.log, ledger.open_again().await.log);
    let mut places = Vec::new();
    for (by_other, ids) in [
        (false, &["evt_1"][..]),
        (false, &["evt_2", "evt_3"]),
        (true, &["evt_4"]),
        (false, &["evt_4", "evt_5"]),
        (false, &["evt_6"]),
        (false, &["evt_5", "evt_7", "evt_1"]),
        (false, &["evt_7"]),
        (true, &["evt_7", "evt_8"]),
        (false, &["evt_9", "evt_9"]),
    ] {
        let events: Vec<_> = ids.iter().map(|id| event(id, "{}")).collect();
        let log = if by_other { &other } else { log };
        for answer in log.append(&events).await.unwrap() {
            places.push((answer.position.0, answer.duplicate));
        }
    }
    let (new, known) = (|position| (position, false), |position| (position, true));
    assert_eq!(
        places,
        [
            new(1),
            new(2),
            new(3),
            new(4),
            known(4),
            new(5),
            new(6),
            known(5),
            new(7),
            known(1),
            known(7),
            known(7),
            new(8),
            new(9),
            known(9)
        ]
    );
    assert_sound(&ledger.store).await;
}

/// As a server that was demoted answers, or one that recovers.
#[tokio::test]
async fn a_server_that_only_reads_is_unavailable_until_it_writes_again() {
    let ledger = Ledger::on_postgres().await;
    ledger.store.log.append(&[event("evt_1", "{}")]).await.unwrap();
    let mut sql = raw::log(&ledger.url).await;
    let set = |to: &str| {
        format!(
            "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET default_transaction_read_only = {to}', current_database());
             PERFORM pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND application_name = 'subledger'; END $$"
        )
    };
    sql.run(&set("on")).await;
    let refused = async |id: &str| loop {
        match ledger.store.log.append(&[event(id, "{}")]).await {
            // The connection that was cut.
            Err(StoreError::Unavailable(source)) if !source.to_string().contains("25006") => {}
            other => return other,
        }
    };
    let error = refused("evt_2").await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    sql.run("SET default_transaction_read_only = off").await;
    sql.run(&set("off")).await;
    while let Err(error) = ledger.store.log.append(&[event("evt_2", "{}")]).await {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    // The last that were cut are found out by who uses them first.
    while ledger.store.log.head().await.is_err() {}
    assert_eq!(ledger.store.log.head().await.unwrap().size.0, 2);
    assert_sound(&ledger.store).await;
}
