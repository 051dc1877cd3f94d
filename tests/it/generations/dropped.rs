//! Dropping a generation: which ones go, and where their space goes.

mod sqlite_only;

use std::time::Duration;

use subledger::clock::Clock;
use subledger::ids::{CustomerKey, Position, Scope};
use subledger::projector;
use subledger::store::{FoldBatch, FoldOutcome, Lease, Store};

use super::of_two_generations;
use crate::app::commands::run;
use crate::store::begin;

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
    assert_eq!(folded.unwrap(), FoldOutcome::Committed);
    lease
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
        let folded = store.read_model.fold_commit(&live, position, next, [0; 32], &batch).await;
        assert_eq!(folded.unwrap(), FoldOutcome::Committed);
        position = next;
        // SQLite's writers do not queue: one that commits without a pause can keep another out for seconds.
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    dropping.await.unwrap().unwrap();
}
