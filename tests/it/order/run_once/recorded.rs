//! Lives that were recorded at Stripe, in other orders than they were lived: the same rows, and the
//! same history. Without the corpus there are none.

use serde_json::Value;
use subledger::ids::InvoiceId;

use crate::corpus::{recorded_flows, recorded_lives};
use crate::order::any_order::{batches, delivered, rows_of};
use crate::order::dice::Dice;
use crate::order::histories::assert_the_same_history;
use crate::order::told::{States, tell_all};

const ORDERS: u64 = 40;

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
    for (name, bodies) in recorded_lives().into_iter().chain(recorded_flows()) {
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

#[test]
fn a_recorded_flow_ends_as_its_last_answers_say() {
    let mut subscriptions = 0;
    for (name, bodies) in recorded_flows() {
        let objects: Vec<Value> = bodies
            .iter()
            .map(|body| body.parse::<Value>().unwrap()["data"]["object"].take())
            .collect();
        let last_of = |kind: &str| objects.iter().rfind(|object| object["object"] == kind);
        let Some(subscription) = last_of("subscription") else { continue };
        let row = rows_of(&tell_all(bodies.iter().rev().map(String::as_str))).remove(0);
        let item = &subscription["items"]["data"][0];
        assert_eq!(row.status, subscription["status"].as_str().unwrap(), "{name}");
        assert_eq!(row.quantity, item["quantity"].as_i64(), "{name}");
        assert_eq!(row.price_id.as_deref(), item["price"]["id"].as_str(), "{name}");
        assert!(row.entitled && !row.order_ambiguous, "{name}");
        if let Some(invoice) = last_of("invoice") {
            assert_eq!(
                row.latest_invoice_id.as_ref().map(InvoiceId::as_str),
                invoice["id"].as_str(),
                "{name}"
            );
            assert_eq!(row.latest_invoice_status.as_deref(), Some("paid"), "{name}");
            assert!(row.paid_through.is_some(), "{name}");
        } else {
            let latest = &subscription["latest_invoice"];
            let latest = latest.as_str().or(latest["id"].as_str());
            assert_eq!(row.latest_invoice_id.as_ref().map(InvoiceId::as_str), latest, "{name}");
        }
        subscriptions += 1;
    }
    assert!(subscriptions == 0 || subscriptions > 15, "{subscriptions}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ledgers_that_heard_of_the_recorded_lives_in_different_orders_tell_the_same_history() {
    let lives = recorded_lives().into_iter().chain(recorded_flows());
    let bodies: Vec<String> = lives.flat_map(|(_, life)| life).collect();
    if !bodies.is_empty() {
        assert_the_same_history(&bodies).await;
    }
}
