//! A history tells what happened, not what arrived: it is the same whatever came first.

use std::collections::BTreeMap;

use serde_json::Value;
use subledger::audit::{self, Past, Subject, SubjectKind};
use subledger::ids::{CustomerKey, Scope};
use subledger::projection::Logic;
use subledger::projection::canonical::{instants, order_of_instant};
use subledger::simulate::{self, Format, Plan};
use subledger::store::{NewEvent, Store};
use subledger::stripe::Envelope;

use super::any_order::{batches, delivered};
use super::bodies::any_event;
use super::dice::Dice;
use super::told::tell_all;
use crate::ledger::{follow_to_the_end, new_event, open, rows};

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
        id: row.subscription_id.into_string(),
        scope: Scope { account: row.account.as_str().into(), livemode: row.livemode },
    }));
    let mut histories = BTreeMap::new();
    for subject in subjects {
        let name = format!("{subject:?}");
        let (_, history) = audit::history(store, subject, Past::default()).await.unwrap().unwrap();
        let mut history = serde_json::to_value(&history).unwrap();
        for event in history["events"].as_array_mut().unwrap() {
            let event = event.as_object_mut().unwrap();
            for of_arrival in ["position", "received_at", "late", "redelivered"] {
                assert!(event.remove(of_arrival).is_some(), "{of_arrival}");
            }
        }
        histories.insert(name, history);
    }
    histories
}

/// Three ledgers that hear of the same events in different orders tell the same.
pub(crate) async fn assert_the_same_history(bodies: &[String]) {
    let customers: Vec<CustomerKey> =
        tell_all(bodies.iter().map(String::as_str)).into_keys().collect();
    let in_order: Vec<&str> = bodies.iter().map(String::as_str).collect();
    let mut expected = None;
    for seed in 0..3 {
        let dice = &mut Dice::new(seed);
        let delivered = if seed == 0 { in_order.clone() } else { delivered(dice, bodies) };
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

#[tokio::test(flavor = "multi_thread")]
async fn ledgers_that_heard_of_simulated_lives_in_different_orders_tell_the_same_history() {
    let plan = Plan { seed: 19, subscriptions: 12, format: Format::Compact, ..Plan::default() };
    let simulation = simulate::simulate(&plan);
    let bodies: Vec<String> = simulation.events.into_iter().map(|event| event.body).collect();
    assert_the_same_history(&bodies).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ledgers_that_heard_of_contradictions_in_different_orders_tell_the_same_history() {
    let dice = &mut Dice::new(20);
    // Ids in no order: 37 and 1,009 are prime.
    let bodies: Vec<String> =
        (0..150).map(|at| any_event(dice, &format!("evt_{:04}", at * 37 % 1_009)).body()).collect();
    assert_the_same_history(&bodies).await;
}

/// The ids in the order in which a history tells them.
fn ids_as_told(bodies: &[String]) -> Vec<String> {
    let envelopes: Vec<_> = bodies.iter().map(|body| Envelope::parse(body).unwrap()).collect();
    let instants = instants(&envelopes).into_iter();
    let order = instants.flat_map(|it| order_of_instant(&envelopes, &it, |_| Vec::new()));
    order.map(|at| envelopes[at].id.to_string()).collect()
}

#[test]
fn what_a_history_tells_first_does_not_depend_on_what_arrived_first() {
    for seed in 0..4_000 {
        let dice = &mut Dice::new(seed);
        let mut bodies: Vec<String> = (0..dice.between(2, 8))
            .map(|at| any_event(dice, &format!("evt_{}", at * 5 % 8)).body())
            .collect();
        let expected = ids_as_told(&bodies);
        for _ in 0..3 {
            dice.shuffle(&mut bodies);
            assert_eq!(ids_as_told(&bodies), expected, "seed {seed}: {bodies:#?}");
        }
    }
}
