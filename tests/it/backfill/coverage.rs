//! Coverage that a backfill records: once all of its steps are complete, up to the start of the first one.

use std::sync::Arc;

use subledger::coverage::{CoveredBy, Span};
use subledger::store::{BackfillProgress, Store};
use subledger::time::StripeTime;
use tokio::sync::Notify;

use super::world::World;
use crate::ledger::open;

async fn spans(store: &Store) -> Vec<(bool, Vec<Span>)> {
    let coverage = store.log.coverage().await.unwrap();
    coverage.into_iter().map(|it| (it.scope.livemode, it.complete)).collect()
}

/// Span of a backfill that began at the world's time.
fn whole(world: &World) -> Span {
    let to = StripeTime(world.stripe.now().0 - 60);
    Span { from: Span::BEGINNING, to, by: CoveredBy::Backfill }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_covers_its_account_and_mode_up_to_a_minute_before_its_start() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let world = World::start(21, 5).await;
    let scopes = world.scopes();
    let live = scopes.iter().find(|it| it.livemode).unwrap();
    world.backfill(&store, live, &mut |_| ()).await.unwrap();
    assert_eq!(spans(&store).await, [(true, vec![whole(&world)])]);
    let coverage = store.log.coverage().await.unwrap();
    assert!(coverage[0].is_backfilled());
    assert_eq!(coverage[0].scope, *live);
    world.backfill(&store, live, &mut |_| ()).await.unwrap();
    assert_eq!(spans(&store).await, [(true, vec![whole(&world)])], "a second one adds no span");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_covered_before_the_last_step_of_an_interrupted_backfill() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let world = World::start(22, 8).await;
    let scope = world.scopes().into_iter().find(|it| it.livemode).unwrap();
    let mut interruptions = 0;
    // Each run ends when its first step has ended.
    loop {
        let ended = Arc::new(Notify::new());
        let notify = Arc::clone(&ended);
        let mut report = move |progress: &BackfillProgress| {
            if progress.ended_at.is_some() {
                notify.notify_one();
            }
        };
        tokio::select! {
            biased;
            () = ended.notified() => interruptions += 1,
            done = world.backfill(&store, &scope, &mut report) => break drop(done.unwrap()),
        }
        let progress = store.log.backfill_progress(&scope).await.unwrap();
        let ended = progress.iter().filter(|it| it.ended_at.is_some()).count();
        if ended == subledger::backfill::Step::ALL.len() - 1 {
            break;
        }
        assert_eq!(spans(&store).await, [], "{ended} steps are complete");
    }
    assert!(interruptions > 3, "{interruptions}");
    assert_eq!(spans(&store).await, [(true, vec![whole(&world)])]);
}
