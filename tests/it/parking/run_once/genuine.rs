//! A genuine event never has to stand aside for a field that may be missing.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use subledger::projection::observe::observe;
use subledger::simulate::{self, ApiVersion, Plan, SimulatedEvent, Versions};

/// Fields of the object itself that may not be missing: only these name it or say what it is.
fn needed(event_type: &str) -> &'static [&'static str] {
    match event_type.split('.').next().unwrap_or_default() {
        _ if event_type.starts_with("customer.subscription.") => &["customer", "status"],
        "customer" | "checkout" | "product" | "price" | "plan" => &["id"],
        "subscription_schedule" => &["id", "customer", "status"],
        "entitlements" => &["customer"],
        _ => &[],
    }
}

/// Of each kind of object at each API version the event that says most.
fn fullest_bodies() -> Vec<Value> {
    let mut fullest: BTreeMap<(String, usize), Value> = BTreeMap::new();
    for (number, version) in ApiVersion::ALL.into_iter().enumerate() {
        let api_version = Versions::One(version);
        let plan = Plan { seed: 21, subscriptions: 40, api_version, ..Plan::default() };
        let mut longest: BTreeMap<String, String> = BTreeMap::new();
        for SimulatedEvent { event_type, body, .. } in simulate::simulate(&plan).events {
            let known = longest.entry(event_type).or_default();
            if body.len() > known.len() {
                *known = body;
            }
        }
        for body in longest.into_values() {
            let body: Value = serde_json::from_str(&body).unwrap();
            // A thin event carries no object.
            if let Some(kind) = body["data"]["object"]["object"].as_str().map(str::to_owned) {
                fullest.insert((kind, number), body);
            }
        }
    }
    fullest.into_values().collect()
}

/// JSON pointers of the object itself and of the objects within it, at every level.
fn objects(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            found.push(at.to_owned());
            for (name, value) in fields {
                objects(value, &format!("{at}/{}", name.replace('/', "~1")), found);
            }
        }
        Value::Array(items) => {
            for (number, value) in items.iter().enumerate() {
                objects(value, &format!("{at}/{number}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn a_genuine_event_is_folded_whatever_optional_field_is_missing_null_or_new() {
    let bodies = fullest_bodies();
    assert!(bodies.len() > 100, "{}", bodies.len());
    let mut refused = Vec::new();
    for mut body in bodies {
        let object = body["data"]["object"].clone();
        let event_type = body["type"].as_str().unwrap_or_default().to_owned();
        let mut pointers = Vec::new();
        objects(&object, "", &mut pointers);
        for pointer in pointers {
            let mut try_with = |what: &str, change: &dyn Fn(&mut Map<String, Value>)| {
                body["data"]["object"].clone_from(&object);
                let changed = body["data"]["object"].pointer_mut(&pointer).unwrap();
                change(changed.as_object_mut().unwrap());
                if let Err(error) = observe(&body.to_string()) {
                    let version = &body["api_version"];
                    refused.push(format!("{event_type} {version} {pointer} {what}: {error}"));
                }
            };
            try_with("with a new field", &|fields| {
                fields.insert("novelty".to_owned(), json!([{ "a": 1 }]));
            });
            for name in object.pointer(&pointer).unwrap().as_object().unwrap().keys() {
                if pointer.is_empty() && needed(&event_type).contains(&name.as_str()) {
                    continue;
                }
                try_with(&format!("without {name}"), &|fields| drop(fields.remove(name)));
                try_with(&format!("with {name} of null"), &|fields| {
                    fields.insert(name.clone(), Value::Null);
                });
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}
