//! Properties of every simulation, tested with many seeds.

mod coverage;
mod order;
mod shapes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;

use super::changes::undo;
use super::*;

/// Six hundred subscriptions over a year, simulated once: enough for everything to happen.
fn big() -> &'static Simulation {
    static BIG: LazyLock<Simulation> = LazyLock::new(|| {
        simulate(&Plan { subscriptions: 600, format: Format::Compact, ..Plan::default() })
    });
    &BIG
}

fn read(event: &SimulatedEvent) -> Value {
    // Parsed in the optimized code of `serde_json`; `from_str` would be compiled here, without optimization.
    event.body.parse().unwrap()
}

/// Removes nulls: null and absent mean the same.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        other => other.clone(),
    }
}

#[test]
fn a_plan_gives_the_same_bytes_every_time_and_another_seed_others() {
    let plan = Plan { subscriptions: 20, months: 6, ..Plan::default() };
    let once = simulate(&plan);
    let again = simulate(&plan);
    assert_eq!(once.events, again.events);
    assert_eq!(once.truth, again.truth);
    let other = simulate(&Plan { seed: 2, ..plan });
    assert_ne!(once.events, other.events);
}

#[test]
fn the_format_changes_no_meaning() {
    let plan = Plan { subscriptions: 10, ..Plan::default() };
    let indented = simulate(&plan);
    let compact = simulate(&Plan { format: Format::Compact, ..plan });
    assert_eq!(indented.truth, compact.truth);
    assert!(indented.events.iter().map(read).eq(compact.events.iter().map(read)));
}

#[test]
fn bodies_say_what_their_event_says() {
    for event in &big().events {
        let body = read(event);
        assert_eq!(body["id"], event.id.as_str());
        assert_eq!(body["type"], event.event_type.as_str());
        assert_eq!(body["livemode"], event.livemode);
        let account = body.get("account").map_or("", |account| account.as_str().unwrap());
        assert_eq!(account, event.account, "absent, not null, on the platform's own events");
        if body["object"] == "event" {
            assert_eq!(body["created"], event.created);
        } else {
            assert!(
                body["created"].as_str().unwrap().contains(".417Z"),
                "a v2 event's time is text"
            );
            assert!(body.get("data").is_none());
        }
    }
}

#[test]
fn ids_are_unique_and_time_never_runs_back() {
    let simulation = big();
    let ids: BTreeSet<_> = simulation.events.iter().map(|event| &event.id).collect();
    assert_eq!(ids.len(), simulation.events.len());
    assert!(simulation.events.is_sorted_by_key(|event| event.created));
}

#[test]
fn there_is_one_truth_for_each_subscription_that_had_an_event() {
    let simulation = big();
    let heard: BTreeSet<String> = simulation
        .events
        .iter()
        .filter(|event| event.event_type.starts_with("customer.subscription."))
        .map(|event| read(event)["data"]["object"]["id"].as_str().unwrap().to_owned())
        .collect();
    let known: Vec<_> = simulation.truth.iter().map(|row| row.subscription_id.clone()).collect();
    assert_eq!(known.iter().cloned().collect::<BTreeSet<_>>(), heard);
    assert_eq!(known.len(), heard.len());
}

#[test]
fn the_truth_is_written_under_the_names_of_the_projection() {
    let columns: BTreeSet<&str> =
        crate::projection::row::SubscriptionRow::COLUMNS.iter().map(|column| column.name).collect();
    let row = serde_json::to_value(&big().truth[0]).unwrap();
    for (key, _) in row.as_object().unwrap() {
        assert!(columns.contains(key.as_str()), "{key} is a column");
    }
}

#[test]
fn previous_attributes_lead_back_to_the_snapshot_before() {
    let mut before: BTreeMap<String, (Value, Value)> = BTreeMap::new();
    let mut checked = 0;
    for event in &big().events {
        if event.event_type.ends_with("pending_update_expired") {
            continue;
        }
        let body = read(event);
        let object = &body["data"]["object"];
        let Some(id) = object["id"].as_str() else { continue };
        let version = body["api_version"].clone();
        let changes = &body["data"]["previous_attributes"];
        assert_eq!(!changes.is_null(), event.event_type.ends_with(".updated"));
        // Shops of different accounts and modes have products of the same id.
        let key = format!("{}{} {} {id}", event.account, event.livemode, object["object"]);
        let last = before.insert(key, (version.clone(), object.clone()));
        if let Some((of_version, last)) = last
            && of_version == version
            && !changes.is_null()
        {
            assert_ne!(*changes, Value::Object(serde_json::Map::new()));
            assert_eq!(without_nulls(&undo(object, changes)), without_nulls(&last), "{}", event.id);
            checked += 1;
        }
    }
    assert!(checked > 3_000, "{checked}");
}

#[test]
fn lives_one_by_one_are_the_same_as_all_at_once() {
    let plan = Plan { subscriptions: 25, ..Plan::default() };
    let count: usize = lives(&plan).map(|life| life.events.len()).sum();
    let all = simulate(&plan);
    assert_eq!(count, all.events.len());
    assert!(all.truth.len() >= 20 && all.truth.len() <= 25, "a few may begin too late");
}

#[test]
fn no_plan_is_too_small_or_too_long() {
    let plan = Plan { subscriptions: 3, format: Format::Compact, ..Plan::default() };
    assert!(simulate(&Plan { subscriptions: 0, ..plan.clone() }).events.is_empty());
    for months in [0, 1, u32::MAX] {
        for seed in 0..3 {
            let simulation = simulate(&Plan { seed, months, ..plan.clone() });
            assert!(!simulation.events.is_empty(), "at least the customers come");
        }
    }
}

#[test]
fn a_small_history_is_small_and_has_a_truth() {
    for seed in 0..200 {
        let life = small_history(seed);
        assert!((5..=40).contains(&life.events.len()));
        assert!(!life.truth.is_empty());
    }
}

#[test]
fn load_is_distinct_and_of_stripes_size() {
    for (format, low, high) in [(Format::Compact, 3_700, 4_100), (Format::Indented, 5_800, 6_400)] {
        let events: Vec<_> = bench_events(200, 7, format).collect();
        assert_eq!(events.iter().map(|event| &event.id).collect::<BTreeSet<_>>().len(), 200);
        let mean = events.iter().map(|event| event.body.len()).sum::<usize>() / 200;
        assert!((low..high).contains(&mean), "{format:?}: {mean}");
        let customers: BTreeSet<_> = events
            .iter()
            .map(|event| read(event)["data"]["object"]["customer"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(customers.len(), 7);
    }
}
