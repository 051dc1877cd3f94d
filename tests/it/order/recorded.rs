//! Lives that were recorded at Stripe, in other orders than they were lived: the same rows, and the
//! same history. Without the corpus there are none.

use std::collections::BTreeMap;

use serde_json::Value;
use subledger::audit::{self, Subject, SubjectKind};
use subledger::ids::{CustomerKey, Scope};
use subledger::projection::Logic;
use subledger::store::{NewEvent, Store};

use super::any_order::rows_of;
use super::dice::Dice;
use super::told::{States, tell_all};
use crate::corpus::recorded_lives;
use crate::ledger::{follow_to_the_end, new_event, open, rows};

const ORDERS: u64 = 40;

/// Some of the bodies once more, and all of them shuffled.
fn delivered<'a>(dice: &mut Dice, bodies: &'a [String]) -> Vec<&'a str> {
    let mut delivered: Vec<&str> = bodies.iter().map(String::as_str).collect();
    for _ in 0..dice.below(bodies.len()) {
        delivered.push(bodies[dice.below(bodies.len())].as_str());
    }
    dice.shuffle(&mut delivered);
    delivered
}

/// Cuts what was delivered into batches of one to seven.
fn batches<'a>(dice: &mut Dice, mut delivered: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let mut batches = Vec::new();
    while !delivered.is_empty() {
        let (batch, rest) = delivered.split_at(dice.between(1, 7).min(delivered.len()));
        batches.push(batch);
        delivered = rest;
    }
    batches
}

fn assert_folds_alike(name: &str, bodies: &[String]) {
    let expected = tell_all(bodies.iter().map(String::as_str));
    let rows = rows_of(&expected);
    for seed in 0..ORDERS {
        let dice = &mut Dice::new(seed);
        let delivered = delivered(dice, bodies);
        let mut joined = States::new();
        for batch in batches(dice, &delivered) {
            for (key, state) in tell_all(batch.iter().copied()) {
                joined.entry(key).or_default().join(state);
            }
        }
        assert_eq!(joined, expected, "{name}, seed {seed}");
        assert_eq!(rows_of(&joined), rows, "{name}, seed {seed}");
    }
}

#[test]
fn a_recorded_life_folds_into_the_same_rows_in_any_order_with_duplicates_and_in_any_batches() {
    for (name, bodies) in recorded_lives() {
        assert_folds_alike(&name, &bodies);
    }
}

#[test]
fn a_recorded_subscription_ends_as_its_last_event_says() {
    let lives = recorded_lives();
    let subscriptions = lives.iter().filter(|(name, _)| name.starts_with("drf-"));
    for (_, bodies) in subscriptions {
        let row = rows_of(&tell_all(bodies.iter().rev().map(String::as_str))).remove(0);
        assert_eq!((row.status.as_str(), row.entitled), ("canceled", false));
        assert!(!row.order_ambiguous);
    }
}

/// Appends what was delivered, in batches, and follows now and then.
async fn append(store: &Store, seed: u64, delivered: &[&str]) {
    let dice = &mut Dice::new(seed);
    for batch in batches(dice, delivered) {
        let batch: Vec<NewEvent> = batch.iter().map(|body| new_event(body)).collect();
        store.log.append(&batch).await.unwrap();
        if dice.one_in(20) {
            follow_to_the_end(store, &Logic::default()).await;
        }
    }
    follow_to_the_end(store, &Logic::default()).await;
}

/// Every customer's history and every subscription's, but for what tells when it arrived.
async fn histories(store: &Store, customers: &[CustomerKey]) -> BTreeMap<String, Value> {
    let mut subjects: Vec<Subject> = customers
        .iter()
        .map(|key| Subject {
            kind: SubjectKind::Customer,
            id: key.customer.to_string(),
            scope: key.scope.clone(),
        })
        .collect();
    subjects.extend(rows(store).await.into_iter().map(|row| Subject {
        kind: SubjectKind::Subscription,
        id: row.subscription_id,
        scope: Scope { account: row.account.as_str().into(), livemode: row.livemode },
    }));
    let mut histories = BTreeMap::new();
    for subject in subjects {
        let name = format!("{subject:?}");
        let (_, history) = audit::history(store, subject, None, None).await.unwrap().unwrap();
        let mut history = serde_json::to_value(&history).unwrap();
        for event in history["events"].as_array_mut().unwrap() {
            let event = event.as_object_mut().unwrap();
            for of_arrival in ["position", "received_at", "late"] {
                assert!(event.remove(of_arrival).is_some(), "{of_arrival}");
            }
        }
        histories.insert(name, history);
    }
    histories
}

#[tokio::test(flavor = "multi_thread")]
async fn ledgers_that_heard_of_the_same_lives_in_different_orders_tell_the_same_history() {
    let bodies: Vec<String> = recorded_lives().into_iter().flat_map(|(_, life)| life).collect();
    if bodies.is_empty() {
        return;
    }
    let customers: Vec<CustomerKey> =
        tell_all(bodies.iter().map(String::as_str)).into_keys().collect();
    let in_order: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let mut expected = None;
    for seed in 0..3 {
        let dice = &mut Dice::new(seed);
        let delivered = if seed == 0 { in_order.clone() } else { delivered(dice, &bodies) };
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        append(&store, seed, &delivered).await;
        assert_eq!(store.log.head().await.unwrap().size.0, i64::try_from(bodies.len()).unwrap());
        let told = (rows(&store).await, histories(&store, &customers).await);
        assert!(told.1.len() > customers.len(), "there are subscriptions among them");
        assert_eq!(expected.get_or_insert_with(|| told.clone()), &told, "seed {seed}");
        store.close().await;
    }
}
