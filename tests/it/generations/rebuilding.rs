//! A program with other logic serves at once and rebuilds behind, and says how that goes.

use std::time::Duration;

use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::projection::Logic;
use subledger::projector::{self, Projector};
use subledger::simulate::{Format, bench_events};
use subledger::store::{FoldBatch, FoldOutcome, GenerationStatus};
use subledger::time::ReceivedAt;

use super::{of_another_version, of_two_generations, statuses, until};
use crate::app::commands::run;
use crate::app::server::{Event, TestServer, json_of, options};
use crate::ledger::{append, rebuild, strict};
use crate::store::{Ledger, begin};

/// Enough of them that a rebuild is still going on when it is looked at.
const EVENTS: usize = 12_000;

async fn of_many_events() -> Ledger {
    let ledger = Ledger::with_clock(Clock::System).await;
    let events: Vec<_> = bench_events(EVENTS, 500, Format::Compact).collect();
    append(&ledger.store, &events).await;
    rebuild(&ledger.store, &Logic::default()).await;
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_events_answers_from_the_old_generation_and_tells_how_far_the_new_one_is() {
    let ledger = of_many_events().await;
    ledger.store.close().await;
    let mut options = options(ledger.directory.path());
    options.logic = strict();
    let server = TestServer::run(ledger.directory, options).await;
    let delivered = server.delivery(Event::default().body()).send().await.unwrap();
    assert_eq!(delivered.status(), 200);
    let (ready, listed) = loop {
        let (ready, listed) = (server.get("/readyz").await, server.read("/v1/projections").await);
        let live = listed["data"].as_array().unwrap().iter().find(|it| it["status"] == "live");
        assert_eq!(live.unwrap()["generation"], 1, "the new one is not to be missed");
        if ready.status() == 200 && listed["data"][1]["rebuild"]["events_done"].as_i64() > Some(0) {
            break (json_of(ready).await, listed);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    };
    let note = ready["notes"][0].as_str().unwrap_or_default();
    assert!(
        note.starts_with("building generation 2") || note.starts_with("building a new "),
        "{ready}"
    );
    let rebuild = &listed["data"][1]["rebuild"];
    assert!(rebuild["events_total"].as_i64().unwrap() >= i64::try_from(EVENTS).unwrap());
    assert!(rebuild["events_per_second"].as_i64().unwrap() > 0, "{rebuild}");
    assert!(rebuild["seconds_left"].is_i64() && rebuild["parked"].is_i64(), "{rebuild}");
    assert_eq!(server.get("/v1/subscriptions?limit=1").await.status(), 200);

    let end = server.store().log.head().await.unwrap().size;
    let status = server.service().app().projector.clone().reached(end).await;
    assert_eq!((status.generation, status.rebuilding), (Some(2), None));
    let ready = json_of(server.get("/readyz").await).await;
    assert!(!ready["notes"].to_string().contains("building"), "{ready}");
    server.stop().await;
}

/// Of a newer fold the old generation cannot be followed; it answers, and that is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_newer_fold_answers_from_the_old_generation_and_is_ready_when_its_own_is_made() {
    let ledger = of_two_generations().await;
    of_another_version(&ledger.url, 2, "").await;
    ledger.store.close().await;
    let mut options = options(ledger.directory.path());
    options.logic = strict();
    let server = TestServer::run(ledger.directory, options).await;
    assert_eq!(server.get("/v1/subscriptions/sub_1").await.status(), 200);
    server.caught_up().await;
    server.service().app().projector.clone().reached(Position(1)).await;
    assert_eq!(server.store().read_model.live().await.unwrap().unwrap().id, 3);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_makes_is_told_by_what_is_stored_of_it() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    super::append(store, "evt_2", "sub_2").await;
    let logic = store.read_model.live().await.unwrap().unwrap().logic;
    let now = Clock::System.now();
    let (created, lease) = begin(store, &logic, ("4711-abc", now, 60)).await;
    let batch = FoldBatch::default();
    let folded = store.read_model.fold_commit(&lease, Position::ZERO, Position(1), [0; 32], &batch);
    assert_eq!(folded.await.unwrap(), FoldOutcome::Committed);

    let in_half_a_second = ReceivedAt(created.created_at.0 + 500_000);
    let listed = projector::list(store, in_half_a_second, None).await.unwrap();
    let told = listed.data[2].rebuild.unwrap();
    assert_eq!((told.events_done, told.events_total), (1, 2));
    assert_eq!((told.events_per_second, told.seconds_left), (2, Some(0)));
    let listed = run(ledger.directory.path(), &["projections"]).out;
    assert!(listed.contains("building generation 3: 1 of 2 events"), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_nobody_asked_for_is_given_up_when_a_generation_is_activated() {
    let ledger = of_many_events().await;
    let store = &ledger.store;
    let projector = Projector::start(store.clone(), strict(), Clock::System);
    while statuses(store).await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // The one that is live, so that it stays.
    projector::activate(store, 1).await.unwrap();
    until(&projector.handle(), |it| it.rebuilding.is_none()).await;
    assert_eq!(statuses(store).await, [(1, GenerationStatus::Live, true)]);
    projector.stop().await;
}
