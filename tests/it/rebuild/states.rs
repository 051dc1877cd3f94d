//! A rebuild whose rows are made from the states of the customers, because only the rules differ.

use std::collections::BTreeSet;

use subledger::clock::Clock;
use subledger::ids::{Position, Scope};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::projector::{
    self, FromLog, Projector, RebuildEvent, RebuildMode, RebuildOptions, RebuildPlan,
    RebuildReason, RebuildSource, Rebuilt,
};
use subledger::simulate::{self, Plan, Simulation};
use subledger::store::{
    BeginOutcome, FoldBatch, FoldOutcome, Foundation, GenerationStatus, Store, StoreError,
};
use tokio_util::sync::CancellationToken;

use super::stepped::steps;
use super::{statuses, strict};
use crate::ledger::{append, follow_to_the_end, rows};
use crate::raw;
use crate::store::Ledger;

const LIVE: GenerationStatus = GenerationStatus::Live;
const PREVIOUS: GenerationStatus = GenerationStatus::Previous;

fn simulation(seed: u64) -> Simulation {
    simulate::simulate(&Plan { seed, subscriptions: 40, months: 4, ..Plan::default() })
}

/// Rebuilds, and returns the plans as well.
async fn rebuild(
    store: &Store,
    logic: &Logic,
    options: RebuildOptions,
) -> (Rebuilt, Vec<RebuildPlan>) {
    let mut plans = Vec::new();
    let tell = |event: RebuildEvent<'_>| {
        if let RebuildEvent::Planned(plan) = event {
            plans.push(plan.clone());
        }
    };
    let stop = CancellationToken::new();
    let rebuilt = projector::rebuild(store, logic, &Clock::System, &stop, options, tell).await;
    (rebuilt.unwrap(), plans)
}

async fn from_states(store: &Store, logic: &Logic) -> Rebuilt {
    let (rebuilt, plans) = rebuild(store, logic, RebuildOptions::SWAP).await;
    assert!(matches!(&plans[..], [RebuildPlan { source: RebuildSource::States { .. }, .. }]));
    rebuilt
}

/// Rows that a fold of the whole log makes.
async fn folded_afresh(simulation: &Simulation, logic: &Logic) -> Vec<SubscriptionRow> {
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger.store, &simulation.events).await;
    follow_to_the_end(&ledger.store, logic).await;
    rows(&ledger.store).await
}

/// Ledger whose live generation has folded all of these events.
async fn ledger(simulation: &Simulation) -> Ledger {
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger.store, &simulation.events).await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    ledger
}

async fn layers(ledger: &Ledger) -> Vec<(i64,)> {
    raw::read(&ledger.url).await.rows("SELECT id FROM fold_layers ORDER BY id").await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_rules_give_the_rows_of_a_fold_of_the_whole_log() {
    let simulation = simulation(51);
    let ledger = ledger(&simulation).await;
    let store = &ledger.store;
    let before = rows(store).await;
    let user = before.iter().find_map(|row| row.user_id.clone()).unwrap();
    let others = Logic::parse("grant = [\"active\", \"past_due\"]", "nobody,user_id").unwrap();
    let nobody = Logic::parse(&Logic::default().policy_text, "nobody").unwrap();
    for (logic, rules) in [(strict(), "policy"), (others, "policy and user keys")] {
        let (rebuilt, plans) = rebuild(store, &logic, RebuildOptions::SWAP).await;
        let plan = plans[0].to_string();
        assert!(plan.starts_with(rules) && plan.contains("customers' states"), "{plan}");
        assert_eq!(rebuilt.position, store.log.head().await.unwrap().size);
        assert_eq!(rows(store).await, folded_afresh(&simulation, &logic).await);
        assert_eq!(store.read_model.live().await.unwrap().unwrap().layer, Some(1));
        let report = subledger::audit::verify(store, None, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
    // The histories of users follow the rules, too.
    let scope = before.iter().find(|row| row.user_id.as_ref() == Some(&user)).unwrap();
    let scope = Scope { account: scope.account.clone(), livemode: scope.livemode };
    let of_user = async || store.read_model.customers_of_user(&scope, &user).await.unwrap().1.len();
    let known = of_user().await;
    assert!(known > 0);
    from_states(store, &nobody).await;
    // A reference of a checkout session is no metadata.
    let by_reference = before.iter().filter(|row| row.user_id.as_ref() == Some(&user));
    let by_reference = by_reference
        .filter(|row| row.user_id_source.as_deref().is_some_and(|it| !it.ends_with("metadata")));
    let customers: BTreeSet<_> = by_reference.map(|row| &row.customer_id).collect();
    assert!(of_user().await >= customers.len() && of_user().await <= known);
    from_states(store, &Logic::default()).await;
    assert_eq!((rows(store).await, of_user().await), (before, known));
    assert_eq!(layers(&ledger).await, [(1,)], "every generation stands over the first layer");
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_do_not_differ_need_no_log_and_a_person_can_ask_for_it() {
    let simulation = simulation(52);
    let ledger = ledger(&simulation).await;
    let store = &ledger.store;
    let before = rows(store).await;
    let (_, plans) = rebuild(store, &Logic::default(), RebuildOptions::SWAP).await;
    assert!(plans[0].to_string().starts_with("no rule differs: rows made from "), "{}", plans[0]);
    assert_eq!(rows(store).await, before);
    let (rebuilt, plans) = rebuild(store, &strict(), RebuildOptions::SWAP_FROM_LOG).await;
    assert_eq!(plans[0].source, RebuildSource::Log(FromLog::Asked));
    assert_eq!(layers(&ledger).await, [(1,), (rebuilt.generation,)]);
    // The generations over the first layer are replaced one by one, and then it is of no use.
    from_states(store, &Logic::default()).await;
    assert_eq!(layers(&ledger).await, [(rebuilt.generation,)]);
    let mut sql = raw::read(&ledger.url).await;
    assert!(sql.try_run("SELECT 1 FROM customers_l1").await.is_err(), "its tables are dropped");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_of_the_fold_needs_the_log() {
    let ledger = ledger(&simulation(53)).await;
    let mut sql = raw::read(&ledger.url).await;
    sql.run("UPDATE fold_layers SET fingerprint = 'of another version'").await;
    let (_, plans) = rebuild(&ledger.store, &strict(), RebuildOptions::SWAP).await;
    assert_eq!(plans[0].source, RebuildSource::Log(FromLog::OtherFold));
    assert_eq!(plans[0].to_string(), "the fold differs: from the log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_cannot_be_read_leads_to_the_log() {
    let simulation = simulation(54);
    let ledger = ledger(&simulation).await;
    let mut sql = raw::read(&ledger.url).await;
    let damage = format!("UPDATE customers_l1 SET state = {}", raw::dialect().one_byte);
    sql.run(&damage).await;
    let (_, plans) = rebuild(&ledger.store, &strict(), RebuildOptions::SWAP).await;
    let sources: Vec<_> = plans.into_iter().map(|it| it.source).collect();
    let [RebuildSource::States { .. }, RebuildSource::Log(FromLog::Damaged)] = &sources[..] else {
        panic!("{sources:?}")
    };
    assert_eq!(rows(&ledger.store).await, folded_afresh(&simulation, &strict()).await);
}

/// Nobody follows the log, so the rebuild folds what the layer lacks, also in a dry run.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_no_follower_has_folded_are_folded_once() {
    let simulation = simulation(55);
    let (first, rest) = simulation.events.split_at(simulation.events.len() / 3);
    let (second, third) = rest.split_at(rest.len() / 2);
    let ledger = Ledger::with_clock(Clock::System).await;
    let store = &ledger.store;
    append(store, first).await;
    follow_to_the_end(store, &Logic::default()).await;
    append(store, second).await;
    let dry = RebuildOptions { mode: RebuildMode::DryRun, ..RebuildOptions::SWAP };
    let (rebuilt, _) = rebuild(store, &strict(), dry).await;
    let end = store.log.head().await.unwrap().size;
    assert_eq!(rebuilt.position, end);
    // The live generation is behind its layer, and catches up from the states.
    let live = store.read_model.live().await.unwrap().unwrap();
    let layer = store.read_model.layer(1).await.unwrap().unwrap();
    assert_eq!((usize::try_from(live.position.0).unwrap(), layer.position), (first.len(), end));
    append(store, third).await;
    let status = follow_to_the_end(store, &Logic::default()).await;
    assert_eq!(status.generation, Some(1));
    assert_eq!(rows(store).await, folded_afresh(&simulation, &Logic::default()).await);
    let report = subledger::audit::verify(store, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
}

/// At every step of a rebuild events arrive, and a follower of another process folds them.
#[tokio::test(flavor = "multi_thread")]
async fn events_that_arrive_meanwhile_are_in_the_rows_of_both_generations() {
    let simulation = simulation(56);
    let (before, mut meanwhile) = simulation.events.split_at(simulation.events.len() / 2);
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger.store, before).await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    let beside = ledger.open_again().await;
    let projector = Projector::start(beside.clone(), Logic::default(), Clock::System);
    let (store, logic, stop) = (&ledger.store, strict(), CancellationToken::new());
    let swap = RebuildOptions::SWAP;
    let rebuilding = projector::rebuild(store, &logic, &Clock::System, &stop, swap, |_| {});
    let mut rebuilding = Box::pin(rebuilding);
    let rebuilt = loop {
        let (few, rest) = meanwhile.split_at(meanwhile.len().min(3));
        append(&beside, few).await;
        meanwhile = rest;
        if let Some(rebuilt) = steps(&mut rebuilding, 1).await {
            break rebuilt.unwrap();
        }
    };
    drop(rebuilding);
    append(&beside, meanwhile).await;
    projector.handle().reached(store.log.head().await.unwrap().size).await;
    projector.stop().await;
    assert_eq!(statuses(store).await, [(1, PREVIOUS), (rebuilt.generation, LIVE)]);
    assert_eq!(rows(store).await, folded_afresh(&simulation, &logic).await);

    // The former generation is caught up from the states when a person goes back to it.
    projector::activate(store, 1).await.unwrap();
    follow_to_the_end(store, &logic).await;
    assert_eq!(rows(store).await, folded_afresh(&simulation, &Logic::default()).await);
    assert_eq!(layers(&ledger).await, [(1,)]);
    beside.close().await;
}

/// Fencing of a layer: what one generation has folded, no other folds again.
#[tokio::test]
async fn of_two_that_fold_the_same_events_into_a_layer_one_is_refused() {
    let ledger = Ledger::with_clock(Clock::System).await;
    let model = &ledger.store.read_model;
    let logic = crate::store::read_model::logic("one");
    let now = Clock::System.now();
    let (_, first) = crate::store::begin(&ledger.store, &logic, ("first", now, 60)).await;
    let nothing = FoldBatch::default();
    let commit = async |lease: &_, from, to| {
        let (from, to) = (Position(from), Position(to));
        model.fold_commit(lease, from, to, [1; 32], &nothing).await.unwrap()
    };
    assert_eq!(commit(&first, 0, 5).await, FoldOutcome::Committed);
    let log_id = ledger.store.log.head().await.unwrap().log_id;
    let begin = async |layer| {
        let over = Foundation { layer, shared: Vec::new() };
        let begun = model.generation_begin(Some(&over), &logic, &log_id, "second", now, 60).await;
        begun.unwrap()
    };
    // A layer that is being made has nothing to share.
    model.lease_release(&first).await.unwrap();
    assert_eq!(begin(1).await, BeginOutcome::LayerIsGone(1));
    model.generation_complete(&first, None).await.unwrap();
    let BeginOutcome::Started(second, lease) = begin(1).await else { panic!("it is live") };
    assert_eq!((second.layer, lease.layer), (Some(1), Some(1)));
    assert_eq!(begin(7).await, BeginOutcome::AlreadyBuilding(second.clone()));
    let (zero, five) = (Position(0), Position(5));
    let made = model.rows_commit(&lease, zero, five, [1; 32], &nothing).await.unwrap();
    assert_eq!(made, FoldOutcome::Committed);
    assert_eq!(commit(&lease, 5, 6).await, FoldOutcome::Committed);
    assert_eq!(commit(&first, 5, 6).await, FoldOutcome::LayerMoved);
    assert_eq!(commit(&first, 4, 6).await, FoldOutcome::Fenced);
    let positions = async || -> Vec<i64> {
        let generations = model.generations().await.unwrap();
        generations.iter().map(|it| it.position.0).collect()
    };
    assert_eq!(positions().await, [5, 6], "nothing was written");
    assert_eq!(model.layer(1).await.unwrap().unwrap().position, Position(6));
    assert!(matches!(model.generation_drop(1).await, Err(StoreError::GenerationIsLive(1))));
    model.generation_drop(second.id).await.unwrap();
    assert_eq!(layers(&ledger).await, [(1,)], "the live generation stands over it");
}

/// A layer may have folded more than its live generation, and then the log may be a backup of the time between.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_lacks_events_of_the_layer_is_another_log() {
    let ledger = ledger(&simulation(57)).await;
    let reason = async || {
        let (logic, clock) = (Logic::default(), Clock::System);
        projector::find_rebuild_reason(&ledger.url, &logic, &clock).await.unwrap()
    };
    assert_eq!(reason().await, None);
    let mut sql = raw::read(&ledger.url).await;
    sql.run("UPDATE fold_layers SET position = position + 1").await;
    assert_eq!(reason().await, Some(RebuildReason::OtherLog));
}
