//! Several processes on one database.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use subledger::clock::Clock;
use subledger::simulate::{Format, SimulatedEvent, bench_events, sign};
use subledger::store::{GenerationStatus, Store};
use tokio::task::JoinSet;

use crate::app::commands::run;
use crate::app::crash::Served;
use crate::app::server::SECRET;
use crate::ledger::open;
use crate::store::log::assert_sound;

const EVENTS: usize = 1_500;
const CUSTOMERS: usize = 60;
/// Connections to each of the processes.
const CONNECTIONS: usize = 6;

/// Posts each event until one of the processes answers that it has it; to another one each time it is asked
/// again, and a good part of them to two processes at once.
async fn post_all(events: &Arc<Vec<SimulatedEvent>>, addresses: &[String]) {
    let mut posters = JoinSet::new();
    for poster in 0..CONNECTIONS * addresses.len() {
        let (events, addresses) = (Arc::clone(events), addresses.to_vec());
        posters.spawn(async move {
            let client = crate::client();
            let lanes = CONNECTIONS * addresses.len() / 2;
            // Two posters have the same events, and different addresses to begin with.
            for (at, event) in
                events.iter().enumerate().filter(|(at, _)| at % lanes == poster % lanes)
            {
                let mut tries = poster / lanes + at;
                loop {
                    let url = format!(
                        "http://{}/api/stripe/webhook/",
                        addresses[tries % addresses.len()]
                    );
                    let now = Clock::System.now().to_stripe_time().0;
                    let signature = sign(SECRET, now, event.body.as_bytes());
                    let post = client.post(&url).header("stripe-signature", signature);
                    match post.body(event.body.clone()).send().await {
                        Ok(answer) if answer.status() == StatusCode::OK => break,
                        Ok(answer) => assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE),
                        // That process is gone.
                        Err(_) => {}
                    }
                    tries += 1;
                }
            }
        });
    }
    posters.join_all().await;
}

/// The process that folds: its number stands first in the holder's name.
async fn leader(store: &Store) -> u32 {
    loop {
        let live = store.read_model.live().await.unwrap();
        let holder = live.and_then(|live| live.lease_holder);
        if let Some((process, _)) = holder.as_deref().and_then(|holder| holder.split_once('-')) {
            return process.parse().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until somebody has folded all of the log.
async fn folded(store: &Store) {
    let end = store.log.head().await.unwrap().size;
    let all = async {
        while store.read_model.live().await.unwrap().is_none_or(|live| live.position < end) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), all).await.unwrap();
}

fn assert_verifies(folder: &Path) {
    let verified = run(folder, &["verify"]);
    assert_eq!(verified.status, 0, "{}{}", verified.out, verified.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn three_processes_store_each_event_once_and_when_the_one_that_folds_is_killed_another_goes_on()
 {
    let directory = crate::folder_on_postgres();
    let folder = directory.path();
    // All at once, on a database in which nothing is yet.
    let mut starting = JoinSet::new();
    for _ in 0..3 {
        let folder = folder.to_owned();
        starting.spawn_blocking(move || Served::start(&folder));
    }
    let mut servers = starting.join_all().await;
    let addresses: Vec<String> = servers.iter().map(|served| served.address.clone()).collect();
    let store = open(folder).await;
    let events: Arc<Vec<_>> = Arc::new(bench_events(EVENTS, CUSTOMERS, Format::Compact).collect());
    let first = leader(&store).await;
    let (posted, to) = (Arc::clone(&events), addresses.clone());
    let posting = tokio::spawn(async move { post_all(&posted, &to).await });
    while store.log.head().await.unwrap().size.0 < i64::try_from(EVENTS / 3).unwrap() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let killed = servers.iter_mut().find(|served| served.child.id() == first).unwrap();
    killed.signal("KILL");
    killed.child.wait().unwrap();
    posting.await.unwrap();

    folded(&store).await;
    assert_ne!(leader(&store).await, first, "another one folds");
    assert_sound(&store).await;
    let ids: BTreeSet<_> = events.iter().map(|event| event.id.as_str()).collect();
    assert_eq!(store.log.head().await.unwrap().size.0, i64::try_from(ids.len()).unwrap());
    let generations = store.read_model.generations().await.unwrap();
    let live = generations.iter().filter(|it| it.status == GenerationStatus::Live).count();
    assert_eq!(live, 1, "{generations:?}");
    assert_verifies(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_newer_program_makes_its_own_generation_an_older_one_answers_from_the_old_one() {
    let directory = crate::folder_on_postgres();
    let folder = directory.path();
    let old = Served::start(folder);
    let store = open(folder).await;
    let events: Arc<Vec<_>> = Arc::new(bench_events(EVENTS, CUSTOMERS, Format::Compact).collect());
    post_all(&events, std::slice::from_ref(&old.address)).await;
    folded(&store).await;
    // What another policy is to this program, another version is to the next.
    std::fs::write(folder.join("strict.toml"), "grant = []").unwrap();
    let rebuilt = run(folder, &["rebuild", "--policy", "strict.toml"]);
    assert_eq!(rebuilt.status, 0, "{}", rebuilt.err);
    let generations = store.read_model.generations().await.unwrap();
    let statuses: Vec<_> = generations.iter().map(|it| it.status).collect();
    assert_eq!(statuses, [GenerationStatus::Previous, GenerationStatus::Live]);
    // The one that was there already folds on, with the policy that is stored with what is live.
    let last = bench_events(EVENTS + 1, CUSTOMERS, Format::Compact).skip(EVENTS);
    post_all(&Arc::new(last.collect()), std::slice::from_ref(&old.address)).await;
    folded(&store).await;
    assert_eq!(store.read_model.live().await.unwrap().unwrap().id, 2);
    assert_verifies(folder);
}
