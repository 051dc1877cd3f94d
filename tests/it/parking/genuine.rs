//! A genuine event never has to stand aside for a field that may be missing.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use subledger::projection::observe::observe;
use subledger::simulate::{self, Plan};

/// Whether a field may not be missing: only these name the object or say what it is.
fn is_needed(event_type: &str, path: &[String]) -> bool {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let needed: &[&str] = match event_type.split('.').next().unwrap_or_default() {
        _ if event_type.starts_with("customer.subscription.") => &["customer", "status"],
        "customer" | "checkout" | "product" | "price" | "plan" => &["id"],
        "subscription_schedule" => &["id", "customer", "status"],
        "entitlements" => &["customer"],
        _ => &[],
    };
    // An object in place of a reference is one by its id.
    matches!(path[..], [field] if needed.contains(&field))
        || (path.len() > 1 && path.last() == Some(&"id"))
}

/// Where an object has fields, at every level.
fn paths(value: &Value, at: &[String], found: &mut Vec<Vec<String>>) {
    let below = |name: String| [at, &[name]].concat();
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| {
            found.push(below(name.clone()));
            paths(value, &below(name.clone()), found);
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(at, value)| paths(value, &below(at.to_string()), found)),
        _ => {}
    }
}

/// The object that holds the last step of a path.
fn holder<'a>(object: &'a mut Value, path: &[String]) -> &'a mut serde_json::Map<String, Value> {
    let above = &path[..path.len() - 1];
    let steps: Vec<String> = above.iter().map(|step| step.replace('/', "~1")).collect();
    let pointer = if steps.is_empty() { String::new() } else { format!("/{}", steps.join("/")) };
    object.pointer_mut(&pointer).unwrap().as_object_mut().unwrap()
}

#[test]
fn a_genuine_event_is_folded_whatever_optional_field_is_missing_null_or_new() {
    let simulation = simulate::simulate(&Plan { seed: 21, subscriptions: 60, ..Plan::default() });
    let mut of_type: BTreeMap<String, Value> = BTreeMap::new();
    for event in &simulation.events {
        let body: Value = serde_json::from_str(&event.body).unwrap();
        of_type.entry(body["type"].as_str().unwrap_or_default().to_owned()).or_insert(body);
    }
    assert!(of_type.len() > 15, "{:?}", of_type.keys());
    let mut refused = Vec::new();
    for (event_type, body) in of_type {
        let mut found = Vec::new();
        paths(&body["data"]["object"], &[], &mut found);
        for path in found {
            let name = path.last().unwrap().clone();
            let mut try_with =
                |what: &str, change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
                    let mut changed = body.clone();
                    change(holder(&mut changed["data"]["object"], &path));
                    if let Err(error) = observe(&changed.to_string()) {
                        refused.push(format!("{event_type} {} {what}: {error}", path.join(".")));
                    }
                };
            try_with("beside a new field", &|fields| {
                fields.insert("novelty".to_owned(), json!([{ "a": 1 }]));
            });
            if !is_needed(&event_type, &path) {
                try_with("missing", &|fields| drop(fields.remove(&name)));
                try_with("null", &|fields| drop(fields.insert(name.clone(), Value::Null)));
            }
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
}
