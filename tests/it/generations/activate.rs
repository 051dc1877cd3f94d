//! Going back to a generation, and forward again.

use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::projector::{self, FollowerState, GenerationError, Projector, Status};
use subledger::store::{GenerationStatus, Store, StoreError};

use super::{append, granted, of_two_generations, statuses, until};
use crate::ledger::{rebuild, strict};
use crate::raw;
use crate::store::{Ledger, begin};

const LIVE: GenerationStatus = GenerationStatus::Live;
const PREVIOUS: GenerationStatus = GenerationStatus::Previous;

#[tokio::test(flavor = "multi_thread")]
async fn going_back_is_at_once_for_the_api_and_for_sql_and_keeps_the_other() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    assert_eq!(granted(store).await, [""; 0]);
    let mut sql = raw::read(&ledger.url).await;
    let in_sql = "SELECT count(*) FROM current_subscriptions WHERE entitled";
    for (id, expected) in [(1, 1), (2, 0), (2, 0), (1, 1)] {
        let live = projector::activate(store, id).await.unwrap();
        assert_eq!((live.id, live.status, live.pinned), (id, LIVE, true));
        assert_eq!(granted(store).await.len(), expected);
        let shown: i64 = sql.value(in_sql).await;
        assert_eq!(usize::try_from(shown).unwrap(), expected);
    }
    assert_eq!(statuses(store).await, [(1, LIVE, true), (2, PREVIOUS, false)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pinned_is_followed_by_its_own_policy_and_no_newer_logic_replaces_it() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    projector::activate(store, 1).await.unwrap();
    append(store, "evt_2", "sub_2").await;
    let projector = Projector::start(store.clone(), strict(), Clock::System);
    let status = projector.handle().reached(Position(2)).await;
    assert_eq!((status.generation, status.state), (Some(1), FollowerState::Following));
    assert_eq!(granted(store).await, ["sub_1", "sub_2"]);

    // A person's rebuild does, and leaves nothing pinned; the one that was live is kept.
    rebuild(store, &strict()).await;
    append(store, "evt_3", "sub_3").await;
    until(&projector.handle(), |it| it.generation == Some(3) && it.position == Position(3)).await;
    assert_eq!(granted(store).await, [""; 0]);
    assert_eq!(statuses(store).await, [(1, PREVIOUS, false), (3, LIVE, false)]);
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_follower_goes_on_with_the_activated_generation() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    append(store, "evt_2", "sub_2").await;
    let projector = Projector::start(store.clone(), strict(), Clock::System);
    projector.handle().reached(Position(2)).await;
    // As another process does it.
    projector::activate(&ledger.open_again().await, 1).await.unwrap();
    append(store, "evt_3", "sub_3").await;
    let there = |it: &Status| it.generation == Some(1) && it.position == Position(3);
    assert_eq!(until(&projector.handle(), there).await.state, FollowerState::Following);
    projector.stop().await;
    assert_eq!(granted(store).await, ["sub_1", "sub_2", "sub_3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_complete_generation_of_this_log_can_be_activated() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    let before = statuses(store).await;
    let refused = async |id| projector::activate(store, id).await.unwrap_err();
    let error = refused(9).await;
    assert!(matches!(error, GenerationError::Store(StoreError::NoGeneration(9))));
    assert!(error.hint().unwrap().contains("projections list"));

    let logic = store.read_model.generations().await.unwrap()[0].logic.clone();
    let (building, _) = begin(store, &logic, ("me", Clock::System.now(), 600)).await;
    let error = refused(building.id).await;
    assert!(
        matches!(error, GenerationError::Store(StoreError::GenerationIsBuilding(_))),
        "{error}"
    );
    assert!(error.hint().is_some());
    store.read_model.generation_drop(building.id).await.unwrap();

    let other = Ledger::with_clock(Clock::System).await;
    let other_log = log_id(&other.store).await;
    let mut sql = raw::read(&ledger.url).await;
    sql.run(&format!("UPDATE generations SET log_id = '{other_log}' WHERE id = 1")).await;
    let error = refused(1).await;
    assert!(matches!(error, GenerationError::OfAnotherLog(1)), "{error}");
    assert_eq!(statuses(store).await, before);
}

async fn log_id(store: &Store) -> String {
    store.log.head().await.unwrap().log_id
}

/// Whoever goes back means it: what was begun before does not undo that.
#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_that_was_begun_before_does_not_replace_what_was_activated() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    let logic = store.read_model.generations().await.unwrap()[1].logic.clone();
    let model = &store.read_model;
    let (_, before) = begin(store, &logic, ("me", Clock::System.now(), 0)).await;
    projector::activate(store, 1).await.unwrap();
    let error = model.generation_complete(&before, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Superseded { by: 1, .. }), "{error}");
    assert_eq!(model.live().await.unwrap().unwrap().id, 1);

    let (created, after) = begin(store, &logic, ("me", Clock::System.now(), 0)).await;
    model.generation_complete(&after, None).await.unwrap();
    assert_eq!(model.live().await.unwrap().unwrap().id, created.id);
}
