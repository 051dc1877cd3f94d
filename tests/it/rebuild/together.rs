//! Two processes that want to make a generation, or one that has lost its lease to another.

use subledger::clock::Clock;
use subledger::projector::{RebuildError, RebuildEvent};
use subledger::store::{BeginOutcome, DatabaseUrl, GenerationStatus};

use super::stepped::steps;
use super::{ledger, rebuild, statuses, strict};
use crate::ledger::rows;
use crate::raw;

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_begin_at_the_same_moment_one_makes_a_generation_and_the_other_is_refused() {
    let ledger = ledger(10, 2).await;
    let beside = ledger.open_again().await;
    let logic = ledger.store.read_model.live().await.unwrap().unwrap().logic;
    let now = Clock::System.now();
    for turn in 0..20 {
        let begin = |store: &subledger::store::Store, holder: &'static str| {
            let (model, logic) = (store.read_model.clone(), logic.clone());
            tokio::spawn(async move {
                model.generation_begin(None, &logic, "log", holder, now, 10).await
            })
        };
        let (one, other) = (begin(&ledger.store, "one"), begin(&beside, "other"));
        let both = [one.await.unwrap().unwrap(), other.await.unwrap().unwrap()];
        let begun = both.iter().find_map(|it| match it {
            BeginOutcome::Started(generation, _) => Some(generation),
            _ => None,
        });
        let refused = both.iter().find_map(|it| match it {
            BeginOutcome::AlreadyBuilding(by) => Some(by),
            _ => None,
        });
        assert_eq!(begun, refused, "turn {turn}: {both:?}");
        assert!(begun.is_some());
        ledger.store.read_model.generation_drop(begun.unwrap().id).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_is_refused_with_the_progress_of_the_first_which_goes_on() {
    let ledger = ledger(600, 20).await;
    let (store, logic) = (&ledger.store, strict());
    let mut first = Box::pin(rebuild(store, &logic, &Clock::System, |_| {}));
    while statuses(store).await.len() < 2 {
        assert!(steps(&mut first, 1).await.is_none());
    }
    let beside = ledger.open_again().await;
    let error = rebuild(&beside, &logic, &Clock::System, |_| {}).await.unwrap_err();
    assert!(
        matches!(error, RebuildError::AlreadyRunning { generation: 2, total, .. } if total.0 == 600),
        "{error}"
    );
    assert!(error.to_string().contains("of 600 events") && error.hint().is_some(), "{error}");
    assert_eq!(first.await.unwrap().generation, 2);
    let live = (2, GenerationStatus::Live);
    assert_eq!(statuses(store).await, [(1, GenerationStatus::Previous), live]);
}

/// Another process takes the lease, as it can when this one was asleep for longer than it holds.
async fn take_over(url: &DatabaseUrl) {
    try_take_over(url).await.unwrap();
}

/// Takes the lease, unless the other process is in a transaction: it is stopped, so that nobody waits for its end.
async fn try_take_over(url: &DatabaseUrl) -> Result<(), sqlx::Error> {
    let mut sql = raw::read(url).await;
    let taken = format!(
        "UPDATE generations SET token = token + 1, lease_holder = 'another', lease_until = {}
         WHERE status = 'building'",
        Clock::System.now().0 + 600_000_000
    );
    let patience = if crate::is_on_postgres() {
        "SET lock_timeout = '100ms'"
    } else {
        "PRAGMA busy_timeout = 100"
    };
    sql.run(patience).await;
    sql.try_run(&taken).await
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_lost_its_lease_writes_nothing_more_and_drops_nothing() {
    let ledger = ledger(300, 20).await;
    let (store, logic) = (&ledger.store, strict());
    let (before, live) = (rows(store).await, statuses(store).await);
    for count in [1, 2, 4, 8] {
        let mut rebuilding = Box::pin(rebuild(store, &logic, &Clock::System, |_| {}));
        while statuses(store).await.len() < 2 {
            assert!(steps(&mut rebuilding, 1).await.is_none());
        }
        assert!(steps(&mut rebuilding, count).await.is_none());
        while try_take_over(&ledger.url).await.is_err() {
            assert!(steps(&mut rebuilding, 1).await.is_none());
        }
        let taken = store.read_model.generations().await.unwrap().remove(1);
        let error = rebuilding.await.unwrap_err();
        assert!(matches!(error, RebuildError::TakenOver(id) if id == taken.id), "{error}");
        assert!(error.hint().is_some());
        let after = store.read_model.generations().await.unwrap().remove(1);
        assert_eq!(after, taken, "nothing of it was written, and it is still there");
        store.read_model.generation_drop(taken.id).await.unwrap();
    }
    assert_eq!((rows(store).await, statuses(store).await), (before, live));
}

/// A generation that somebody else has taken, perhaps to drop it, does not go live.
#[tokio::test(flavor = "multi_thread")]
async fn one_that_lost_its_lease_while_it_was_compared_is_not_swapped() {
    let ledger = ledger(300, 20).await;
    let (store, url) = (&ledger.store, &ledger.url);
    let told = |told: RebuildEvent<'_>| {
        if let RebuildEvent::Difference(_) = told {
            tokio::task::block_in_place(|| {
                tokio::runtime::Handle::current().block_on(take_over(url));
            });
        }
    };
    let error = rebuild(store, &strict(), &Clock::System, told).await.unwrap_err();
    assert!(matches!(error, RebuildError::TakenOver(2)), "{error}");
    let building = (2, GenerationStatus::Building);
    assert_eq!(statuses(store).await, [(1, GenerationStatus::Live), building]);
}
