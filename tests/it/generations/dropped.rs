//! Dropping a generation: which ones go, and where their space goes.

use std::path::Path;

use subledger::clock::Clock;
use subledger::ids::{CustomerKey, Position, Scope};
use subledger::projection::Logic;
use subledger::projector;
use subledger::store::{FoldBatch, Lease, Store};

use super::{of_two_generations, rebuild, strict};
use crate::app::commands::run;
use crate::store::{Ledger, begin};

/// Makes a generation and folds a lot into it, as a process does that is still at it.
async fn build(store: &Store) -> Lease {
    let logic = store.read_model.live().await.unwrap().unwrap().logic;
    let (_, lease) = begin(store, &logic, ("4711-abc", Clock::System.now(), 600)).await;
    let customer =
        |it| CustomerKey { scope: Scope::default(), customer: format!("cus_{it}").as_str().into() };
    let states = (0..4_000).map(|it| (customer(it), vec![7; 2_000])).collect();
    let batch = FoldBatch { states, ..FoldBatch::default() };
    let folded =
        store.read_model.fold_commit(&lease, Position::ZERO, Position(1), [0; 32], &batch).await;
    assert!(folded.unwrap());
    lease
}

/// The bytes of the read model on the disk: the file, and its write-ahead log.
fn bytes(ledger: &Ledger) -> (u64, u64) {
    let of = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let file = ledger.url.read_path();
    (of(&file), of(&file.with_extension("db-wal")))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_being_made_stays_and_an_abandoned_one_goes_with_its_bytes() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    let lease = build(store).await;
    let drop_it = ["projections", "drop", "3"];
    let refused = run(ledger.directory.path(), &drop_it);
    let told = "error: process 4711 is making generation 3 and has folded 1 of 1 events\nhint: ";
    assert_eq!(refused.status, 2, "{}", refused.err);
    assert!(refused.err.starts_with(told), "{}", refused.err);

    store.read_model.lease_release(&lease).await.unwrap();
    let listed = run(ledger.directory.path(), &["projections"]).out;
    assert!(listed.contains("nobody is making it: `subledger projections drop 3`"), "{listed}");
    let (file, wal) = bytes(&ledger);
    assert!(file + wal > 8_000_000, "{file} and {wal} bytes");
    let dropped = run(ledger.directory.path(), &drop_it);
    assert_eq!((dropped.status, &*dropped.err), (0, "generation 3 is dropped\n"));
    let (file, wal) = bytes(&ledger);
    assert!(file < 1_000_000 && wal == 0, "{file} and {wal} bytes");
    let unknown = run(ledger.directory.path(), &drop_it);
    assert_eq!(unknown.status, 1, "{}", unknown.err);

    // Whoever was making it learns that it is gone, and writes nothing.
    let nothing = FoldBatch::default();
    let late =
        store.read_model.fold_commit(&lease, Position(1), Position(2), [0; 32], &nothing).await;
    assert!(!late.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_generation_can_be_dropped_and_the_live_one_cannot() {
    let ledger = of_two_generations().await;
    let refused = run(ledger.directory.path(), &["projections", "drop", "2"]);
    assert_eq!(refused.status, 2, "{}", refused.err);
    assert!(refused.err.contains("generation 2 is live"), "{}", refused.err);
    assert!(refused.err.contains("hint: `subledger projections activate"), "{}", refused.err);
    assert_eq!(run(ledger.directory.path(), &["projections", "drop", "1"]).status, 0);
    assert_eq!(super::statuses(&ledger.store).await.len(), 1);
    let gone = run(ledger.directory.path(), &["projections", "activate", "1"]);
    assert_eq!(gone.status, 1);
    assert!(gone.err.contains("no generation 1") && gone.err.contains("projections list"));
}

/// Whoever follows the log commits between the steps, in this process and in another.
#[tokio::test(flavor = "multi_thread")]
async fn the_live_generation_is_followed_while_another_is_dropped() {
    let ledger = of_two_generations().await;
    let lease = build(&ledger.store).await;
    ledger.store.read_model.lease_release(&lease).await.unwrap();
    let beside = ledger.open_again().await;
    let dropping = tokio::spawn(async move {
        projector::drop_generation(&beside, &Clock::System, lease.generation).await
    });
    let store = &ledger.store;
    let live = store.read_model.lease_take(2, "me", Clock::System.now(), 600).await.unwrap();
    let live = live.unwrap();
    let mut position = Position(1);
    while !dropping.is_finished() {
        let batch = FoldBatch::default();
        let next = position.next();
        assert!(
            store.read_model.fold_commit(&live, position, next, [0; 32], &batch).await.unwrap()
        );
        position = next;
    }
    dropping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_gives_the_space_of_what_is_outdated_back() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    let lease = build(store).await;
    store.read_model.generation_complete(&lease, None).await.unwrap();
    rebuild(store, &Logic::default()).await;
    let (before, _) = bytes(&ledger);
    rebuild(store, &strict()).await;
    let (after, wal) = bytes(&ledger);
    assert!(before > 8_000_000 && after + wal < 1_000_000, "{before}, {after}, {wal} bytes");
}
