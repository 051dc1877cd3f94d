//! A rebuild ends in the middle, wherever that is, and nothing remains of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::{Projector, RebuildOptions};
use subledger::simulate::{self, Plan};
use subledger::store::{GenerationStatus, OpenMode, Store};

use super::stepped::steps;
use super::{read_model_bytes, rebuild, rebuild_by, statuses, strict};
use crate::ledger::{append, rows};
use crate::store::Ledger;

/// Steps, at least, in which something is left behind.
const STEPS: usize = 16;

/// A clock that is moved on by more than a lease holds.
fn clock() -> (Arc<AtomicI64>, Clock) {
    let now = Arc::new(AtomicI64::new(Clock::System.now().0));
    (Arc::clone(&now), Clock::Fixed(now))
}

#[tokio::test(flavor = "multi_thread")]
async fn at_every_step_the_live_generation_goes_on_and_the_half_built_one_is_dropped_by_the_next() {
    kill_at_every_step(RebuildOptions::SWAP_FROM_LOG).await;
}

/// Both generations stand over one fold layer, which goes on as well.
#[tokio::test(flavor = "multi_thread")]
async fn at_every_step_of_a_rebuild_from_states_the_live_generation_goes_on() {
    kill_at_every_step(RebuildOptions::SWAP).await;
}

/// The new generation shares a read model with the live one.
#[tokio::test(flavor = "multi_thread")]
async fn at_every_step_of_a_rebuild_of_one_read_model_the_live_generation_goes_on() {
    kill_at_every_step_by(
        RebuildOptions { read_model: Some("user_access"), ..RebuildOptions::SWAP },
        Logic::default(),
    )
    .await;
}

async fn kill_at_every_step(options: RebuildOptions) {
    kill_at_every_step_by(options, strict()).await;
}

async fn kill_at_every_step_by(options: RebuildOptions, logic: Logic) {
    let Ledger { directory, url, store } = Ledger::with_clock(Clock::System).await;
    let simulation = simulate::simulate(&Plan { seed: 31, subscriptions: 8, ..Plan::default() });
    let (before, mut meanwhile) = simulation.events.split_at(simulation.events.len() / 2);
    append(&store, before).await;
    rebuild(&store, &Logic::default(), &Clock::System, |_| {}).await.unwrap();
    store.close().await;

    let (now, clock) = clock();
    let (mut left_behind, mut largest) = (0, 0);
    for count in 1.. {
        let store = Store::open(&url, OpenMode::Existing, Clock::System).await.unwrap();
        let projector = Projector::start(store.clone(), Logic::default(), Clock::System);
        let mut rebuilding = Box::pin(rebuild_by(options, &store, &logic, &clock, |_| {}));
        if steps(&mut rebuilding, count).await.is_some() {
            drop(rebuilding);
            projector.stop().await;
            store.close().await;
            break;
        }
        drop(rebuilding);
        // What arrives now is folded into the generation that is live.
        let (few, rest) = meanwhile.split_at(meanwhile.len().min(2));
        append(&store, few).await;
        meanwhile = rest;
        let status = projector.handle().reached(store.log.head().await.unwrap().size).await;
        projector.stop().await;
        let generations = statuses(&store).await;
        let building =
            generations.iter().filter(|(_, it)| *it == GenerationStatus::Building).count();
        // It is killed after the swap, too: then the new one is live, and nothing is half-built.
        if generations.iter().any(|(id, it)| *it == GenerationStatus::Previous && *id == 1) {
            store.close().await;
            break;
        }
        assert!(building <= 1, "{count} steps: {generations:?}");
        assert_eq!(status.generation, Some(1), "{count} steps");
        left_behind += building;
        now.fetch_add(11_000_000, Ordering::SeqCst);
        store.close().await;
        largest = largest.max(read_model_bytes(directory.path()));
    }
    assert!(left_behind >= STEPS, "only {left_behind} times something was left behind");

    let store = Store::open(&url, OpenMode::Existing, Clock::System).await.unwrap();
    append(&store, meanwhile).await;
    now.fetch_add(11_000_000, Ordering::SeqCst);
    rebuild_by(options, &store, &logic, &clock, |_| {}).await.unwrap();
    assert!(statuses(&store).await.iter().all(|(_, it)| *it != GenerationStatus::Building));
    let disturbed = rows(&store).await;
    store.close().await;
    let after = read_model_bytes(directory.path());
    // Sixteen half-built generations would be many times as large; PostgreSQL keeps some dead rows.
    assert!(after <= largest * 3 / 2, "{after} bytes after {largest}");

    let undisturbed = Ledger::with_clock(Clock::System).await;
    append(&undisturbed.store, &simulation.events).await;
    rebuild(&undisturbed.store, &logic, &clock, |_| {}).await.unwrap();
    assert_eq!(disturbed, rows(&undisturbed.store).await);
}

/// Also where no rebuild is needed, and the disk was full when it was given up.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_behind_is_dropped_by_whoever_follows_the_log() {
    let ledger = super::ledger(200, 20).await;
    let ((now, clock), logic) = (clock(), strict());
    let mut rebuilding = Box::pin(rebuild(&ledger.store, &logic, &clock, |_| {}));
    while statuses(&ledger.store).await.len() < 2 {
        assert!(steps(&mut rebuilding, 1).await.is_none());
    }
    drop(rebuilding);
    // Whoever made it may still be there: it is left alone for a while.
    now.fetch_add(60_000_000, Ordering::SeqCst);
    let projector = Projector::start(ledger.store.clone(), Logic::default(), clock.clone());
    projector.handle().reached(ledger.store.log.head().await.unwrap().size).await;
    projector.stop().await;
    assert_eq!(statuses(&ledger.store).await.len(), 2);

    now.fetch_add(11_000_000, Ordering::SeqCst);
    let projector = Projector::start(ledger.store.clone(), Logic::default(), clock);
    let dropped = async {
        while statuses(&ledger.store).await.len() > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_mins(1), dropped).await.unwrap();
    projector.stop().await;
    assert_eq!(statuses(&ledger.store).await, [(1, GenerationStatus::Live)]);
}
