//! Read models of one's own, and generations that share some read models and make others.

mod statuses;

use std::collections::{BTreeMap, BTreeSet};

use subledger::clock::Clock;
use subledger::ids::CustomerKey;
use subledger::projection::Logic;
use subledger::projection::read_model::{PROJECTIONS, Projections};
use subledger::projection::row::SubscriptionRow;
use subledger::projector::{self, Projector, RebuildEvent, RebuildMode, RebuildOptions, Rebuilt};
use subledger::simulate::{self, Plan, Simulation};
use subledger::store::{GenerationId, GenerationStatus, OpenMode, Store};
use tokio_util::sync::CancellationToken;

use self::statuses::{WITH_FAILING, WITH_STATUSES};
use crate::ledger::{append, follow_to_the_end, rows};
use crate::raw;
use crate::rebuild::steps;
use crate::store::Ledger;

const USER_ACCESS: RebuildOptions =
    RebuildOptions { read_model: Some("user_access"), ..RebuildOptions::SWAP };

fn simulation(seed: u64) -> Simulation {
    simulate::simulate(&Plan { seed, subscriptions: 40, months: 4, ..Plan::default() })
}

async fn open(ledger: &Ledger, projections: Projections) -> Store {
    Store::open_with(&ledger.url, OpenMode::Existing, projections, Clock::System).await.unwrap()
}

/// Rebuilds, and returns the plan as well.
async fn rebuild(store: &Store, logic: &Logic, options: RebuildOptions) -> (Rebuilt, String) {
    let mut plan = String::new();
    let tell = |event: RebuildEvent<'_>| {
        if let RebuildEvent::Planned(planned) = event {
            plan = planned.to_string();
        }
    };
    let stop = CancellationToken::new();
    let rebuilt = projector::rebuild(store, logic, &Clock::System, &stop, options, tell).await;
    (rebuilt.unwrap(), plan)
}

/// Generations that made the tables of the read models of the live one.
async fn made_by(store: &Store) -> BTreeMap<String, GenerationId> {
    let live = store.read_model.live().await.unwrap().unwrap();
    live.read_models.into_iter().map(|it| (it.name, it.made_by)).collect()
}

fn makers<const N: usize>(all: [(&str, GenerationId); N]) -> BTreeMap<String, GenerationId> {
    all.into_iter().map(|(name, made_by)| (name.to_owned(), made_by)).collect()
}

/// Number of subscriptions of each status, in the table of a generation.
async fn counts(ledger: &Ledger, made_by: GenerationId) -> BTreeMap<(String, bool, String), i64> {
    let mut sql = raw::read(&ledger.url).await;
    let text = format!("SELECT account, livemode, status, subscriptions FROM statuses_g{made_by}");
    let rows = sql.rows::<(String, bool, String, i64)>(&text).await;
    rows.into_iter()
        .map(|(account, mode, status, count)| ((account, mode, status), count))
        .collect()
}

fn counted(rows: &[SubscriptionRow]) -> BTreeMap<(String, bool, String), i64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        let key = (row.account.to_string(), row.livemode, row.status.clone());
        *counts.entry(key).or_default() += 1;
    }
    counts
}

async fn assert_verifies(store: &Store) {
    let report = subledger::audit::verify(store, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!(report.rows, Some(i64::try_from(rows(store).await.len()).unwrap()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_read_model_is_made_from_states_followed_verified_and_dropped_and_leaves_the_others_alone()
 {
    let simulation = simulation(71);
    let (before, after) = simulation.events.split_at(simulation.events.len() / 2);
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger.store, before).await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    let of_first = rows(&ledger.store).await;

    let store = open(&ledger, WITH_STATUSES).await;
    let dry = RebuildOptions { mode: RebuildMode::DryRun, ..RebuildOptions::SWAP };
    let (_, plan) = rebuild(&store, &Logic::default(), dry).await;
    assert!(plan.starts_with("statuses differs: rows made from "), "{plan}");
    let stay = "; current_subscriptions and user_access stay as they are";
    assert!(plan.ends_with(stay), "{plan}");
    // Whoever follows the log with a new read model makes that one and no other.
    follow_to_the_end(&store, &Logic::default()).await;
    let others = [("current_subscriptions", 1), ("user_access", 1)];
    let expected = makers([others[0], others[1], ("statuses", 3)]);
    assert_eq!(made_by(&store).await, expected);
    assert_eq!(rows(&store).await, of_first);
    assert_eq!(counts(&ledger, 3).await, counted(&of_first));
    assert_verifies(&store).await;

    append(&store, after).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let of_all = rows(&store).await;
    assert_eq!(counts(&ledger, 3).await, counted(&of_all));
    assert_verifies(&store).await;

    // A policy is no rule of it.
    let (rebuilt, plan) = rebuild(&store, &crate::rebuild::strict(), RebuildOptions::SWAP).await;
    assert!(plan.starts_with("policy differs: ") && plan.ends_with("; statuses stays as it is"));
    let id = rebuilt.generation;
    let expected = makers([("current_subscriptions", id), ("user_access", id), ("statuses", 3)]);
    assert_eq!(made_by(&store).await, expected);
    assert_verifies(&store).await;

    // What a table has and a fresh fold has not, is found in every table.
    let mut sql = raw::read(&ledger.url).await;
    sql.run("UPDATE statuses_g3 SET subscriptions = subscriptions + 1 WHERE status = 'active'")
        .await;
    sql.run("DELETE FROM customer_statuses_g3 WHERE status = 'canceled'").await;
    let report = subledger::audit::verify(&store, None, |_| {}).await.unwrap();
    let messages: Vec<_> = report.findings.into_iter().map(|it| it.message).collect();
    let has = |text: &str| messages.iter().any(|message| message.contains(text));
    assert!(has("differs in statuses: subscriptions"), "{messages:?}");
    assert!(has("its row of customer_statuses is missing"), "{messages:?}");

    // The tables of the first generation go with the last generation that has them, and no other does.
    rebuild(&store, &Logic::default(), RebuildOptions::SWAP).await;
    let dropped = sql.try_run("SELECT 1 FROM current_subscriptions_g1").await;
    assert!(dropped.is_err(), "no generation has them any more");
    sql.run("SELECT 1 FROM statuses_g3").await;
    store.close().await;

    // A program that knows nothing of it can read, rebuild and drop it.
    let (_, plan) = rebuild(&ledger.store, &Logic::default(), RebuildOptions::SWAP).await;
    assert!(plan.contains("customers' states"), "{plan}");
    rebuild(&ledger.store, &Logic::default(), RebuildOptions::SWAP).await;
    assert!(sql.try_run("SELECT 1 FROM statuses_g3").await.is_err(), "its tables are dropped");
    assert_eq!(rows(&ledger.store).await, of_all);
    assert_verifies(&ledger.store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_read_model_is_made_again_and_the_other_is_shared() {
    let simulation = simulation(72);
    let (before, after) = simulation.events.split_at(simulation.events.len() / 2);
    let ledger = Ledger::with_clock(Clock::System).await;
    let store = &ledger.store;
    append(store, before).await;
    follow_to_the_end(store, &Logic::default()).await;
    let mut sql = raw::read(&ledger.url).await;
    sql.run("UPDATE user_access_g1 SET access = '{}', reason = 'damaged'").await;
    append(store, after).await;
    // Nobody follows, so the live generation is behind when it is replaced.
    let (rebuilt, plan) = rebuild(store, &Logic::default(), USER_ACCESS).await;
    assert!(
        plan.starts_with("no rule differs: ")
            && plan.ends_with("; current_subscriptions stays as it is")
    );
    let expected = makers([("current_subscriptions", 1), ("user_access", rebuilt.generation)]);
    assert_eq!(made_by(store).await, expected);
    let live = store.read_model.live().await.unwrap().unwrap();
    assert_eq!(live.position, store.log.head().await.unwrap().size, "it is caught up at once");
    assert_verifies(store).await;

    // A dry run drops its own tables, and no others.
    let dry = RebuildOptions { mode: RebuildMode::DryRun, ..USER_ACCESS };
    rebuild(store, &Logic::default(), dry).await;
    assert_eq!(made_by(store).await, expected);
    assert_verifies(store).await;

    // The one that was live goes away without what is shared.
    projector::drop_generation(store, &Clock::System, 1).await.unwrap();
    assert!(sql.try_run("SELECT 1 FROM user_access_g1").await.is_err());
    assert_verifies(store).await;

    // Another policy: both are made again, whichever is asked for.
    let (rebuilt, plan) = rebuild(store, &crate::rebuild::strict(), USER_ACCESS).await;
    assert!(plan.starts_with("policy differs: ") && !plan.contains("stays"), "{plan}");
    let id = rebuilt.generation;
    assert_eq!(made_by(store).await, makers([("current_subscriptions", id), ("user_access", id)]));
    assert_verifies(store).await;
}

/// Only the live generation writes to tables that two share, whoever follows, whatever arrives, and wherever a person
/// goes back.
#[tokio::test(flavor = "multi_thread")]
async fn shared_tables_follow_the_log_while_generations_come_and_go() {
    let simulation = simulation(73);
    let (before, mut meanwhile) = simulation.events.split_at(simulation.events.len() / 3);
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger.store, before).await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    let beside = open(&ledger, PROJECTIONS).await;
    let projector = Projector::start(beside.clone(), Logic::default(), Clock::System);
    let (store, logic, stop) = (&ledger.store, Logic::default(), CancellationToken::new());
    let mut position = subledger::ids::Position::ZERO;
    for _ in 0..3 {
        let rebuilding =
            projector::rebuild(store, &logic, &Clock::System, &stop, USER_ACCESS, |_| {});
        let mut rebuilding = Box::pin(rebuilding);
        loop {
            let (few, rest) = meanwhile.split_at(meanwhile.len().min(2));
            append(&beside, few).await;
            meanwhile = rest;
            let ended = steps(&mut rebuilding, 1).await;
            let live = store.read_model.live().await.unwrap().unwrap();
            assert!(live.position >= position, "a reader goes back in time");
            position = live.position;
            if let Some(ended) = ended {
                ended.unwrap();
                break;
            }
        }
    }
    append(&beside, meanwhile).await;
    projector.handle().reached(store.log.head().await.unwrap().size).await;
    projector.stop().await;
    assert_eq!(made_by(store).await["current_subscriptions"], 1);
    assert_verifies(store).await;
    let live = store.read_model.live().await.unwrap().unwrap().id;
    let generations = store.read_model.generations().await.unwrap();
    let previous = generations.iter().find(|it| it.status == GenerationStatus::Previous).unwrap();
    for id in [previous.id, live, previous.id] {
        projector::activate(store, id).await.unwrap();
        follow_to_the_end(store, &logic).await;
        assert_verifies(store).await;
    }
    let afresh = Ledger::with_clock(Clock::System).await;
    append(&afresh.store, &simulation.events).await;
    follow_to_the_end(&afresh.store, &logic).await;
    assert_eq!(rows(store).await, rows(&afresh.store).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_whose_rows_cannot_be_made_is_parked_in_that_read_model_alone() {
    let simulation = simulation(74);
    let (before, after) = simulation.events.split_at(simulation.events.len() * 2 / 3);
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger.store, before).await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    let store = open(&ledger, WITH_FAILING).await;
    follow_to_the_end(&store, &Logic::default()).await;
    append(&store, after).await;
    follow_to_the_end(&store, &Logic::default()).await;

    let all = rows(&store).await;
    let canceled = all.iter().filter(|row| row.status == "canceled");
    let expected: BTreeSet<CustomerKey> = canceled.map(key).collect();
    assert!(!expected.is_empty() && expected.len() < all.len());
    let live = store.read_model.live().await.unwrap().unwrap();
    let parked = store.read_model.parked_customers(&live, 1_000).await.unwrap();
    assert!(parked.iter().all(|it| it.read_model == "statuses"), "{parked:?}");
    let reasons: BTreeSet<&str> = parked.iter().map(|it| it.reason.as_str()).collect();
    assert!(reasons.contains("it has a cancelled subscription"), "{reasons:?}");
    let count = store.read_model.parked_customer_count(&live).await.unwrap();
    assert_eq!(count, i64::try_from(expected.len()).unwrap());
    assert_eq!(parked.into_iter().map(|it| it.customer).collect::<BTreeSet<_>>(), expected);
    // The rows of all others are there, and verification names those that are parked, and nobody else.
    let others: Vec<_> = all.iter().filter(|row| !expected.contains(&key(row))).cloned().collect();
    let made = made_by(&store).await["statuses"];
    let mut sql = raw::read(&ledger.url).await;
    let text = format!("SELECT count(DISTINCT customer_id) FROM customer_statuses_g{made}");
    let customers = sql.value::<i64>(&text).await;
    let of_others: BTreeSet<_> = others.iter().map(|row| &row.customer_id).collect();
    assert!(usize::try_from(customers).unwrap() >= of_others.len());
    let report = subledger::audit::verify(&store, None, |_| {}).await.unwrap();
    assert!(!report.is_clean());
    let list = projector::list(&store, Clock::System.now(), None).await.unwrap();
    assert_eq!(list.parked_customers.len(), expected.len().min(100));
    assert_eq!(list.data.last().unwrap().parked_customers, count);

    // A program that can make them has them all.
    let mended = open(&ledger, WITH_STATUSES).await;
    follow_to_the_end(&mended, &Logic::default()).await;
    let live = mended.read_model.live().await.unwrap().unwrap();
    assert_eq!(mended.read_model.parked_customer_count(&live).await.unwrap(), 0);
    let made = made_by(&mended).await["statuses"];
    assert_eq!(counts(&ledger, made).await, counted(&all));
    assert_verifies(&mended).await;
}

fn key(row: &SubscriptionRow) -> CustomerKey {
    let scope = subledger::ids::Scope { account: row.account.clone(), livemode: row.livemode };
    CustomerKey { scope, customer: row.customer_id.clone() }
}
