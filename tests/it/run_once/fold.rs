//! The fold against simulated lives: whatever the order, the duplicates and the batches, the rows
//! are the same, byte for byte, and they are the truth.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use subledger::ids::CustomerKey;
use subledger::projection::row::SubscriptionRow;
use subledger::simulate::{
    self, ApiVersion, Delivery, Format, Plan, SimulatedEvent, TruthRow, Versions,
};

use crate::order::{Dice, Observed, States, apply_all, rows_of, tell_all as fold};

fn bodies(events: &[SimulatedEvent]) -> Vec<&str> {
    events.iter().map(|event| event.body.as_str()).collect()
}

/// Every field that the simulator knows must stand in the row as it says.
pub(crate) fn assert_rows_are_true(rows: &[SubscriptionRow], truth: &[TruthRow]) {
    let ids = |row: &SubscriptionRow| {
        (row.account.to_string(), row.livemode, row.subscription_id.to_string())
    };
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

/// Fields that an API version lacks or renders differently. `items.x` is the field of each item.
fn untold_at(version: ApiVersion) -> Vec<&'static str> {
    // The version itself is how a row was told.
    let mut fields = vec!["api_version"];
    // `status_details` came with 2026-09-30.
    if version < ApiVersion::Endive {
        fields.push("paused_reason");
    }
    // `cancellation_details` came in 2023.
    if version < ApiVersion::Acacia {
        fields.push("cancellation_reason");
    }
    if version < ApiVersion::V2020 {
        fields.extend([
            // `cancel_at` came in August 2019; when it ends is known from the flag and the period.
            "cancel_at",
            // `status_transitions` came in February 2019: the event says when, a second later.
            "paid_at",
            // Prices have lookup keys, plans had none; decimal amounts came in 2018, too.
            "lookup_key",
            "unit_amount_decimal",
            "items.lookup_key",
            "items.unit_amount_decimal",
        ]);
    }
    if version < ApiVersion::V2018 {
        fields.extend([
            // Nothing but `start` said since when a subscription was there.
            "created_at",
            // `billing` came in December 2017.
            "collection_method",
            // There was a plan and no item.
            "items.item_id",
            // A plan had no product and no nickname; it had the product's name itself.
            "product_id",
            "product_name",
            "price_nickname",
            "items.product_id",
            "items.product_name",
            "items.price_nickname",
        ]);
    }
    fields
}

/// A row as JSON, without what the version cannot tell.
fn as_told_at(version: ApiVersion, row: &SubscriptionRow) -> serde_json::Value {
    let mut row = serde_json::to_value(row).unwrap();
    // `invoice.status` came in November 2018: before, a draft was as open as any other.
    if version < ApiVersion::V2020 && row["latest_invoice_status"] == "draft" {
        row["latest_invoice_status"] = "open".into();
    }
    for field in untold_at(version) {
        match field.strip_prefix("items.") {
            None => drop(row.as_object_mut().unwrap().remove(field)),
            Some(field) => {
                for item in row["items"].as_array_mut().unwrap() {
                    item.as_object_mut().unwrap().remove(field);
                }
            }
        }
    }
    row
}

#[test]
fn a_life_told_at_any_version_since_its_era_gives_the_same_row() {
    use ApiVersion::{Acacia, Clover, Endive, V2014, V2018, V2020};

    // Between these nothing came that could happen to a row.
    for era in [V2014, V2018, V2020, Acacia, Clover] {
        let told = |version| {
            let versions = Versions::One(version);
            let format = Format::Compact;
            let plan = Plan { subscriptions: 60, era: Some(era), format, ..Plan::default() };
            let simulation = simulate::simulate(&Plan { api_version: versions, ..plan });
            let happened: Vec<_> = simulation
                .events
                .iter()
                .map(|event| (event.id.clone(), event.created, event.event_type.clone()))
                .collect();
            let states = fold(shuffled(bodies(&simulation.events), 7));
            (happened, rows_of(&states), simulation.truth)
        };
        let (happened, rows, truth) = told(Endive);
        assert_rows_are_true(&rows, &truth);
        assert!(rows.len() > 50);
        for version in ApiVersion::ALL.into_iter().filter(|it| (era..Endive).contains(it)) {
            let (also_happened, also, _) = told(version);
            assert_eq!(happened, also_happened, "{era:?} told at {version:?}");
            assert_eq!(rows.len(), also.len());
            for (row, other) in rows.iter().zip(&also) {
                let (row, other) = (as_told_at(version, row), as_told_at(version, other));
                assert_eq!(row, other, "{era:?} told at {version:?}");
            }
        }
    }
}

/// Only the first body of an event is logged.
fn logged(events: Vec<SimulatedEvent>) -> Vec<SimulatedEvent> {
    let mut ids = BTreeSet::new();
    let mut is_new = |event: &SimulatedEvent| {
        ids.insert((event.account.clone(), event.livemode, event.id.clone()))
    };
    events.into_iter().filter(|event| is_new(event)).collect()
}

#[test]
fn whichever_of_two_renderings_comes_first_and_whatever_is_lost_the_rows_are_the_truth() {
    // Of many short lives, some end in the middle of a debt that has been told more than once.
    let short = Plan { seed: 3, subscriptions: 1_000, months: 2, ..Plan::default() };
    let long = (1..=4).map(|seed| Plan { seed, subscriptions: 150, ..Plan::default() });
    for plan in long.chain([short]) {
        let simulation = simulate::simulate(&plan);
        let told_again =
            |row: &TruthRow| row.past_due_since.is_some_and(|at| at < row.last_event_at);
        assert!(plan.months > 2 || simulation.truth.iter().any(told_again));
        let sent = simulation.events.len();
        // Each body is parsed once, however often it arrives.
        let bodies =
            simulation.events.iter().flat_map(|it| [Some(&it.body), it.second_body.as_ref()]);
        let observed: BTreeMap<&str, Observed> =
            bodies.flatten().map(|body| (body.as_str(), Observed::new(body))).collect();
        for losses in [0.0, 0.5, 1.0] {
            let delivery = Delivery { seed: plan.seed, losses, ..Delivery::default() };
            let arrived = logged(simulate::deliver(simulation.events.clone(), &delivery));
            let lost = sent - arrived.len();
            assert!(if losses > 0.0 { lost > sent / 20 } else { lost == 0 }, "{lost} of {sent}");
            let states = apply_all(arrived.iter().map(|event| &observed[event.body.as_str()]));
            assert_rows_are_true(&rows_of(&states), &simulation.truth);
        }
    }
}
