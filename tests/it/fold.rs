//! The fold against simulated lives: whatever the order, the duplicates and the batches, the rows
//! are the same, byte for byte, and they are the truth.

use std::collections::BTreeMap;

use proptest::prelude::*;
use subledger::ids::CustomerKey;
use subledger::projection::row::SubscriptionRow;
use subledger::simulate::{self, Plan, SimulatedEvent, TruthRow};

use crate::order::{Dice, States, rows_of, tell_all as fold};

fn bodies(events: &[SimulatedEvent]) -> Vec<&str> {
    events.iter().map(|event| event.body.as_str()).collect()
}

/// Every field that the simulator knows must stand in the row as it says.
pub(crate) fn assert_rows_are_true(rows: &[SubscriptionRow], truth: &[TruthRow]) {
    let ids =
        |row: &SubscriptionRow| (row.account.clone(), row.livemode, row.subscription_id.clone());
    let mut folded: BTreeMap<_, _> = rows.iter().map(|row| (ids(row), row)).collect();
    for truth in truth {
        let key = (truth.account.clone(), truth.livemode, truth.subscription_id.clone());
        let row = folded.remove(&key).unwrap_or_else(|| panic!("no row for {key:?}"));
        let row = serde_json::to_value(row).unwrap();
        let serde_json::Value::Object(truth) = serde_json::to_value(truth).unwrap() else {
            panic!("a truth row is an object");
        };
        for (field, expected) in truth {
            assert_eq!(row[&field], expected, "{field} of {key:?}\n{row:#}");
        }
    }
    assert!(folded.is_empty(), "rows that the truth does not know: {:?}", folded.keys());
}

fn shuffled<T>(mut items: Vec<T>, seed: u64) -> Vec<T> {
    Dice::new(seed).shuffle(&mut items);
    items
}

#[test]
fn a_simulated_year_folds_into_the_truth() {
    for seed in 1..=5 {
        let simulation = simulate::simulate(&Plan { seed, subscriptions: 300, ..Plan::default() });
        let states = fold(bodies(&simulation.events));
        assert_rows_are_true(&rows_of(&states), &simulation.truth);
    }
}

#[test]
fn a_stored_state_goes_on_as_if_it_had_never_been_stored() {
    for seed in 0..50 {
        let life = simulate::small_history(seed);
        let bodies = bodies(&life.events);
        let (first, second) = bodies.split_at(bodies.len() / 2);
        let stored: BTreeMap<CustomerKey, Vec<u8>> = fold(first.iter().copied())
            .into_iter()
            .map(|(key, state)| (key, postcard::to_allocvec(&state).unwrap()))
            .collect();
        let mut states: States = stored
            .into_iter()
            .map(|(key, bytes)| (key, postcard::from_bytes(&bytes).unwrap()))
            .collect();
        for (key, state) in fold(second.iter().copied()) {
            states.entry(key).or_default().join(state);
        }
        assert_eq!(states, fold(bodies));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_permutation_and_duplication_gives_the_same_rows_and_the_truth(
        seed in any::<u64>(), order in any::<u64>(), duplicates in 0_usize..20,
    ) {
        let life = simulate::small_history(seed);
        let in_order = bodies(&life.events);
        let expected = fold(in_order.iter().copied());
        assert_rows_are_true(&rows_of(&expected), &life.truth);

        let again = in_order.iter().cycle().skip(3).step_by(7).take(duplicates);
        let delivered: Vec<&str> = in_order.iter().chain(again).copied().collect();
        let states = fold(shuffled(delivered, order));
        prop_assert_eq!(&states, &expected);
        let text = |states| serde_json::to_string(&rows_of(states)).unwrap();
        prop_assert_eq!(text(&states), text(&expected));
    }

    #[test]
    fn joining_is_commutative_associative_and_idempotent(
        seed in any::<u64>(), order in any::<u64>(), cuts in (0_usize..40, 0_usize..40),
    ) {
        let life = simulate::small_history(seed);
        let all = shuffled(bodies(&life.events), order);
        let (low, high) = (cuts.0.min(cuts.1).min(all.len()), cuts.0.max(cuts.1).min(all.len()));
        let parts = [&all[..low], &all[low..high], &all[high..]].map(|part| fold(part.iter().copied()));
        let join = |a: &States, b: &States| {
            let mut joined = a.clone();
            for (key, state) in b {
                joined.entry(key.clone()).or_default().join(state.clone());
            }
            joined
        };
        let [a, b, c] = &parts;
        prop_assert_eq!(join(a, b), join(b, a));
        prop_assert_eq!(join(&join(a, b), c), join(a, &join(b, c)));
        prop_assert_eq!(join(a, a), a.clone());
        prop_assert_eq!(join(&join(a, b), c), fold(all.iter().copied()));
    }
}
