//! Lives that were recorded at Stripe, in other orders than they were lived: the same rows, and the
//! same history. Without the corpus there are none.

use super::any_order::{batches, delivered, rows_of};
use super::dice::Dice;
use super::histories::assert_the_same_history;
use super::told::{States, tell_all};
use crate::corpus::recorded_lives;

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

#[tokio::test(flavor = "multi_thread")]
async fn ledgers_that_heard_of_the_recorded_lives_in_different_orders_tell_the_same_history() {
    let bodies: Vec<String> = recorded_lives().into_iter().flat_map(|(_, life)| life).collect();
    if !bodies.is_empty() {
        assert_the_same_history(&bodies).await;
    }
}
