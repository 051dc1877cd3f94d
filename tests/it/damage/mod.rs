//! Damage stays where it is: each damaged event is named, and everything beside it goes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use subledger::audit::{self, Past, Subject, SubjectKind};
use subledger::clock::Clock;
use subledger::ids::{Position, Scope};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::projector;
use subledger::simulate::{self, Plan};
use subledger::store::{DatabaseUrl, OpenMode, Parked, Store, StoreError};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::app::commands::{Ran, run};
use crate::ledger::{SWAP, append, follow_to_the_end, rows};
use crate::raw;

mod characters;
mod read_model;
mod sqlite_only {
    mod backup;
    mod pages;
    mod read_only;
    mod rows;
}

/// Changes the log as damage does, which no trigger holds up.
async fn damage(url: &DatabaseUrl, sql: &str) {
    let mut connection = raw::log(url).await;
    let guards = connection.drop_guards().await;
    for statement in std::iter::once(sql).chain(guards.iter().map(String::as_str)) {
        connection.run(statement).await;
    }
    connection.close().await;
}

/// A ledger of simulated subscriptions whose live generation has folded nothing yet.
async fn unfolded() -> (TempDir, DatabaseUrl, Store) {
    let directory = tempfile::tempdir().unwrap();
    let url = crate::database(directory.path());
    let store = Store::open(&url, OpenMode::Create, Clock::System).await.unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    let simulation = simulate::simulate(&Plan { seed: 3, subscriptions: 10, ..Plan::default() });
    append(&store, &simulation.events).await;
    (directory, url, store)
}

/// The same, folded.
async fn folded() -> (TempDir, DatabaseUrl, Store) {
    let (directory, url, store) = unfolded().await;
    follow_to_the_end(&store, &Logic::default()).await;
    (directory, url, store)
}

async fn rebuild(store: &Store) -> projector::Rebuilt {
    crate::ledger::rebuild(store, &Logic::default()).await
}

/// Parked events of the live generation, and its rows.
async fn outcome(store: &Store) -> (Vec<Parked>, Vec<SubscriptionRow>) {
    let live = store.read_model.live().await.unwrap().unwrap().id;
    (store.read_model.parked(live, 1_000).await.unwrap(), rows(store).await)
}

/// Findings of the verification, by position.
async fn findings(store: &Store) -> Vec<(i64, String)> {
    let report = audit::verify(store, None, |_| {}).await.unwrap();
    let found = report.findings.into_iter();
    found.filter_map(|it| Some((it.position?.0, it.message))).collect()
}

/// Lines on standard output.
fn lines(ran: &Ran) -> i64 {
    i64::try_from(ran.out.lines().count()).unwrap()
}

/// Runs a command that must end like this, and says something about it.
fn run_to(directory: &TempDir, arguments: &[&str], status: i32, said: &str) -> Ran {
    let ran = run(directory.path(), arguments);
    assert_eq!(ran.status, status, "{arguments:?}: {}{}", ran.out, ran.err);
    assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
    ran
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_gone_are_parked_and_those_behind_them_are_folded() {
    let (_directory, url, store) = unfolded().await;
    // More than are read at once, and some more; never the last, behind which there is nothing.
    damage(
        &url,
        "DELETE FROM events WHERE position IN (5, 64, 65) OR position BETWEEN 100 AND 300",
    )
    .await;
    follow_to_the_end(&store, &Logic::default()).await;
    let (parked, rows) = outcome(&store).await;
    let places: Vec<i64> = parked.iter().map(|it| it.position.0).collect();
    assert_eq!(places, [5, 64, 65].into_iter().chain(100..=300).collect::<Vec<_>>());
    assert!(parked.iter().all(|it| it.reason == "the row is missing"), "{parked:?}");

    let rebuilt = rebuild(&store).await;
    assert_eq!(rebuilt.position, store.log.head().await.unwrap().size);
    assert_eq!(outcome(&store).await, (parked, rows));
    let found = findings(&store).await;
    let named = |at: i64, what: &str| found.contains(&(at, what.to_owned()));
    assert!(named(6, "position 5 is missing before this event"), "{found:?}");
    assert!(named(301, "positions 100 to 300 are missing before this event"), "{found:?}");
}

/// Events that the head counts and the log does not hold are lost, and must be reported.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lost_its_end_is_refused_and_not_folded() {
    let (directory, url, store) = folded().await;
    let (size, before) = (store.log.head().await.unwrap().size, outcome(&store).await);
    damage(&url, &format!("DELETE FROM events WHERE position > {}", size.0 - 100)).await;
    let stop = CancellationToken::new();
    let (logic, clock) = (Logic::default(), Clock::System);
    let error = projector::rebuild(&store, &logic, &clock, &stop, SWAP, |_| {}).await.unwrap_err();
    assert!(
        error.to_string().ends_with("the row is missing, and the log ends before it"),
        "{error}"
    );
    let said = format!("events {} to {size}: the row is missing", size.0 - 99);
    assert_eq!(outcome(&store).await, before, "the live generation is as it was");
    run_to(&directory, &["export"], 3, &said);
    let ran = run_to(&directory, &["export", "--skip-damaged"], 1, &said);
    assert!(ran.err.contains("100 damaged events are not in this export"), "{}", ran.err);
    assert_eq!(lines(&ran), size.0 - 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_hash_stops_neither_the_fold_nor_what_is_read_beside_it() {
    let (directory, url, store) = unfolded().await;
    let size = store.log.head().await.unwrap().size;
    // The last one is that of the checkpoint.
    let sql = format!("UPDATE events SET leaf_hash = salt WHERE position IN (7, {size})");
    damage(&url, &sql).await;
    let status = follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!((status.position, status.parked), (size, 0));
    let before = outcome(&store).await;
    // Nobody takes it for another log, so nothing is made anew.
    let again = follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!(again.generation, status.generation);
    rebuild(&store).await;
    assert_eq!(outcome(&store).await, before);

    let wrong = "leaf_hash has a wrong length (the row is damaged)".to_owned();
    assert_eq!(findings(&store).await, [(7, wrong.clone()), (size.0, wrong)]);
    let report = audit::verify(&store, None, |_| {}).await.unwrap();
    assert_eq!(report.root, STANDARD.encode(store.log.head().await.unwrap().root));
    run_to(&directory, &["export"], 3, "event 7: leaf_hash has a wrong length");

    let error = store.log.root_at(100).await.unwrap_err();
    assert!(error.to_string().starts_with("event 7: leaf_hash"), "{error}");
    let error = store.log.leaf_hashes(Position(5), 10).await.unwrap_err();
    assert!(error.to_string().starts_with("event 7: leaf_hash"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_tells_of_an_event_that_is_gone() {
    let (_directory, url, store) = folded().await;
    let row = rows(&store).await.remove(0);
    let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
    let subject = Subject { kind: SubjectKind::Customer, id: row.customer_id.into_string(), scope };
    let history = async || {
        let (_, told) =
            audit::history(&store, subject.clone(), Past::default()).await.unwrap().unwrap();
        told.events
    };
    let whole = history().await;
    let lost = whole[whole.len() / 2].position;
    damage(&url, &format!("DELETE FROM events WHERE position = {lost}")).await;
    let told = history().await;
    assert_eq!(told.len(), whole.len());
    let event = told.iter().find(|it| it.position == lost).unwrap();
    assert_eq!(event.note.as_deref(), Some("parked: the row is missing"));
    assert_eq!(event.occurred_at, whole[whole.len() / 2].occurred_at);
    let error = store.log.events_at(&[lost]).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}
