//! The way to the server leads elsewhere for a while, or nothing arrives on it: whoever asks waits no longer than
//! its limit, and when the way is right again everything goes on by itself.

use std::time::Duration;

use subledger::clock::Clock;
use subledger::store::{OpenMode, Store, StoreError};

use super::proxy::Proxy;
use crate::cluster::Cluster;
use crate::store::event;
use crate::store::log::assert_sound;

/// Far more than anything here takes, and less than a connection that stays lost would.
const SOON: Duration = Duration::from_secs(30);

async fn soon<T>(answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, answer).await.expect("an answer in time")
}

/// Appends until the log takes the event.
async fn append(store: &Store, id: &str) {
    let taken = async {
        while let Err(error) = store.log.append(&[event(id, "{}")]).await {
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
    };
    soon(taken).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_leads_to_a_standby_for_a_while_leaves_nothing_behind() {
    let primary = Cluster::start();
    let standby = primary.synchronous_replica();
    let proxy = Proxy::to_socket(primary.socket(), "postgres").await;
    let store = Store::open(&proxy.url, OpenMode::Create, Clock::System).await.unwrap();
    append(&store, "evt_1").await;
    for round in 2..5 {
        proxy.turn_to(standby.socket());
        // Several at once, so that every connection of the pool is made anew, and leads there.
        let mut readers = Vec::new();
        let read_only = async {
            loop {
                match store.log.append(&[event(&format!("evt_{round}"), "{}")]).await {
                    Err(StoreError::Unavailable(cause)) if cause.to_string().contains("25006") => {
                        break;
                    }
                    Err(StoreError::Unavailable(_)) => {}
                    other => panic!("{other:?}"),
                }
            }
        };
        soon(read_only).await;
        for _ in 0..8 {
            let log = store.log.clone();
            readers.push(tokio::spawn(async move { log.head().await.map(|head| head.size.0) }));
        }
        for reader in readers {
            assert_eq!(soon(reader).await.unwrap().unwrap(), round - 1, "a standby can be read");
        }
        proxy.turn_to(primary.socket());
        append(&store, &format!("evt_{round}")).await;
        // Without a cut, connections to the standby stay good for reading: none may be used for long.
        assert_eq!(soon(store.log.head()).await.unwrap().size.0, round);
    }
    assert_sound(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_on_its_way_is_given_up_and_after_that_it_goes_on() {
    let directory = crate::folder_on_postgres();
    let proxy = Proxy::to(directory.path()).await;
    let store = Store::open(&proxy.url, OpenMode::Create, Clock::System).await.unwrap();
    append(&store, "evt_1").await;
    for round in 2..4 {
        let id = format!("evt_{round}");
        // Every connection of the pool is there when the way is lost.
        let all = (0..8).map(|_| store.log.head());
        futures_util::future::join_all(all).await;
        proxy.lose();
        // Whoever waits no longer takes the connection with it.
        let events = [event(&id, "{}")];
        let append_it = store.log.append(&events);
        assert!(tokio::time::timeout(Duration::from_millis(300), append_it).await.is_err());
        // Others find the way lost within their limit, however many they are.
        let reads = (0..20).map(|_| soon(store.log.head()));
        for read in futures_util::future::join_all(reads).await {
            assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
        }
        proxy.heal();
        append(&store, &id).await;
        assert_eq!(soon(store.log.head()).await.unwrap().size.0, round);
    }
    proxy.lose();
    soon(store.close()).await;
    proxy.heal();
    let store = Store::open(&proxy.url, OpenMode::Existing, Clock::System).await.unwrap();
    assert_sound(&store).await;
}

/// A transaction that was cut off while it held the lock of the head holds up the next ones for some seconds only.
#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_a_process_that_is_cut_off_is_free_again_soon() {
    let directory = crate::folder_on_postgres();
    let proxy = Proxy::to(directory.path()).await;
    let lost = Store::open(&proxy.url, OpenMode::Create, Clock::System).await.unwrap();
    let other = crate::ledger::open(directory.path()).await;
    let mut sql = crate::raw::log(&crate::database(directory.path())).await;
    // The first append of a process takes the lock; this trigger holds it up until the way is lost.
    let batch: Vec<_> = (0..2).map(|it| event(&format!("evt_{it}"), "{}")).collect();
    let holds = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
        AND application_name = 'subledger' AND state = 'idle in transaction'";
    let mut appending = Box::pin(lost.log.append(&batch));
    let held = async {
        loop {
            // One step of the append, then a look whether it holds the lock.
            let step = std::future::poll_fn(|context| {
                std::task::Poll::Ready(appending.as_mut().poll(context).is_ready())
            });
            assert!(!step.await, "it was never seen to hold the lock");
            tokio::task::yield_now().await;
            if sql.value::<i64>(holds).await == 1 {
                break;
            }
        }
    };
    soon(held).await;
    proxy.lose();
    append(&other, "evt_of_another").await;
    drop(appending);
    assert_sound(&other).await;
}

/// Whatever a session is told in between, an event is only stored by one whose commits wait for the disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_whose_commits_do_not_wait_for_the_disk_stores_nothing() {
    let ledger = crate::store::Ledger::on_postgres().await;
    let log = &ledger.store.log;
    // The first append locks, the second knows its place and goes in one trip: a session changes after each.
    for round in 0..4 {
        let mut sql = crate::raw::log(&ledger.url).await;
        let change = "CREATE OR REPLACE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM set_config('synchronous_commit', 'off', FALSE); RETURN NULL; END $$;
            CREATE TRIGGER change AFTER INSERT ON events EXECUTE FUNCTION change()";
        sql.run(change).await;
        for number in 0..round {
            append(&ledger.store, &format!("evt_before_{round}_{number}")).await;
        }
        append(&ledger.store, &format!("evt_change_{round}")).await;
        sql.run("DROP TRIGGER change ON events").await;
        let id = format!("evt_{round}");
        let error = log.append(&[event(&id, "{}")]).await.unwrap_err();
        assert!(error.to_string().contains("synchronous_commit is not on"), "{error}");
        // Another session does.
        assert!(!log.append(&[event(&id, "{}")]).await.unwrap()[0].duplicate);
    }
    assert_sound(&ledger.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn however_many_ask_a_process_opens_no_more_connections_than_it_may() {
    let directory = crate::folder_on_postgres();
    let url = crate::database(directory.path()).with_connections(8);
    let store = Store::open(&url, OpenMode::Create, Clock::System).await.unwrap();
    let heads = (0..100).map(|_| store.log.head());
    let models = (0..100).map(|_| store.read_model.generations());
    let all = futures_util::future::join(
        futures_util::future::join_all(heads),
        futures_util::future::join_all(models),
    );
    let (heads, models) = all.await;
    assert!(heads.iter().all(Result::is_ok) && models.iter().all(Result::is_ok));
    let open = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name = 'subledger'";
    // Fewer, where one was closed because its server was slow to answer.
    let open: u32 = crate::cluster::psql(directory.path(), open).trim().parse().unwrap();
    assert!((2..=8).contains(&open), "{open} connections");
}
