//! The fold against simulated lives: whatever the order, the duplicates and the batches, the rows
//! are the same, byte for byte, and they are the truth.

use std::collections::BTreeMap;

use proptest::prelude::*;
use subledger::ids::CustomerKey;
use subledger::projection::row::SubscriptionRow;
use subledger::simulate::{self, ApiVersion, Delivery, Plan, SimulatedEvent, TruthRow, Versions};

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
fn what_never_arrives_is_made_up_for_by_what_comes_later() {
    for seed in 1..=3 {
        let simulation = simulate::simulate(&Plan { seed, subscriptions: 200, ..Plan::default() });
        let sent = simulation.events.len();
        for losses in [0.5, 1.0] {
            let delivery = Delivery { seed, losses, duplicates: 0.0, ..Delivery::default() };
            let arrived = simulate::deliver(simulation.events.clone(), &delivery);
            assert!(sent - arrived.len() > sent / 50, "{} of {sent} arrive", arrived.len());
            assert_rows_are_true(&rows_of(&fold(bodies(&arrived))), &simulation.truth);
        }
    }
}

/// Fields that a row of this version cannot know; everything else is the same at every version.
/// Those after a dot are fields of the items.
fn unknown_at(version: ApiVersion) -> Vec<&'static str> {
    let mut unknown = vec!["api_version"];
    if version < ApiVersion::Endive {
        // `status_details` says why.
        unknown.push("paused_reason");
    }
    if version < ApiVersion::Basil {
        // Items of different intervals have one period together, on the subscription.
        unknown.extend(["items.current_period_start", "items.current_period_end"]);
    }
    if version < ApiVersion::Acacia {
        // `cancellation_details` came in 2023, and a second discount in 2024.
        unknown.extend(["cancellation_reason", "discounts"]);
    }
    if version < ApiVersion::V2020 {
        // `cancel_at` came in 2019, and an end with the period is known by the flag alone.
        unknown.push("cancel_at");
        // Lookup keys came with prices in 2020, decimal amounts with plans in 2019.
        unknown.extend(["lookup_key", "items.lookup_key"]);
        unknown.extend(["unit_amount_decimal", "items.unit_amount_decimal"]);
        // A draft was open like any other invoice.
        unknown.push("latest_invoice_status");
        // Without `status_transitions` the payment is dated by its event, a second or two later.
        unknown.push("paid_at");
    }
    if version < ApiVersion::V2018 {
        // Neither items nor products nor nicknames: a plan had a name.
        unknown.extend(["items.item_id", "product_id", "items.product_id"]);
        unknown.extend(["price_nickname", "items.price_nickname"]);
        // Subscriptions were dated by their start, and all were charged automatically.
        unknown.extend(["created_at", "collection_method"]);
        // Nor metadata, nor the user that it names.
        unknown.extend(["metadata", "user_id", "user_id_source", "user_id_conflict"]);
        // A change of what is not shown leaves no trace by which two events could be ordered.
        unknown.push("last_event_id");
    }
    unknown
}

/// A row without these fields.
fn without(row: &SubscriptionRow, unknown: &[&str]) -> serde_json::Value {
    let mut row = serde_json::to_value(row).unwrap();
    for field in unknown {
        if let Some(field) = field.strip_prefix("items.") {
            for item in row["items"].as_array_mut().unwrap() {
                item.as_object_mut().unwrap().remove(field);
            }
        } else {
            row.as_object_mut().unwrap().remove(*field);
        }
    }
    row
}

#[test]
fn the_same_lives_fold_into_the_same_rows_at_every_version() {
    let told = |era, version| {
        let api_version = Versions::One(version);
        let plan = Plan { subscriptions: 60, api_version, era: Some(era), ..Plan::default() };
        simulate::simulate(&plan).events
    };
    let plot = |events: &[SimulatedEvent]| -> Vec<_> {
        events.iter().map(|it| (it.id.clone(), it.created, it.event_type.clone())).collect()
    };
    for era in [ApiVersion::V2014, ApiVersion::V2018, ApiVersion::Endive] {
        let newest = told(era, ApiVersion::Endive);
        let expected = rows_of(&fold(bodies(&newest)));
        // What came in 2019 and 2020 cannot be told at the versions before.
        for version in ApiVersion::ALL.into_iter().filter(|it| *it >= era.min(ApiVersion::V2020)) {
            let events = told(era, version);
            assert_eq!(plot(&events), plot(&newest), "{version:?} in {era:?}");
            let rows = rows_of(&fold(bodies(&events)));
            assert_eq!(rows.len(), expected.len());
            let unknown = unknown_at(version);
            for (row, expected) in rows.iter().zip(&expected) {
                let (row, expected) = (without(row, &unknown), without(expected, &unknown));
                assert_eq!(row, expected, "{version:?} in {era:?}");
            }
        }
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
