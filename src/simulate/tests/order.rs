//! An independent, slow reader of all events finds the last one of each second.

use super::*;

/// Last of the events of one object within one second, by their own content.
fn last_of(mut events: Vec<&Value>) -> &Value {
    let is = |event: &Value, end: &str| event["type"].as_str().unwrap().ends_with(end);
    let comes_before = |a: &Value, b: &Value| {
        let changes = &b["data"]["previous_attributes"];
        (is(a, ".created") && !is(b, ".created"))
            || (is(b, ".deleted") && !is(a, ".deleted"))
            || (changes.is_object() && matches(changes, &a["data"]["object"]))
            || (changes.is_null()
                && a["data"]["previous_attributes"].is_object()
                && a["data"]["object"] == b["data"]["object"])
    };
    let mut last = events[0];
    while !events.is_empty() {
        let next = events
            .iter()
            .enumerate()
            .filter(|(index, event)| {
                let others = events.iter().enumerate().filter(|(other, _)| other != index);
                !others.into_iter().any(|(_, other)| comes_before(other, event))
            })
            .min_by_key(|(_, event)| (rank(event), event["id"].as_str().unwrap().to_owned()))
            .map(|(index, _)| index)
            .expect("no second holds a circle");
        last = events.remove(next);
    }
    last
}

fn matches(changes: &Value, object: &Value) -> bool {
    match (changes, object) {
        (Value::Object(changes), Value::Object(object)) => {
            changes.iter().all(|(key, old)| matches(old, object.get(key).unwrap_or(&Value::Null)))
        }
        _ => changes == object,
    }
}

fn rank(event: &Value) -> u8 {
    if event["type"].as_str().unwrap().ends_with("pending_update_expired") {
        return 0;
    }
    match event["data"]["object"]["status"].as_str().unwrap_or_default() {
        "incomplete" | "draft" => 1,
        "trialing" | "open" => 2,
        "uncollectible" | "active" | "past_due" | "unpaid" | "paused" => 3,
        "paid" | "void" => 4,
        _ => 5,
    }
}

#[test]
fn whatever_shares_a_second_can_be_put_in_order() {
    const FOLLOWED: [&str; 4] = ["subscription", "invoice", "customer", "subscription_schedule"];
    let mut seconds: BTreeMap<(String, i64), Vec<Value>> = BTreeMap::new();
    for seed in 1..3 {
        let plan = Plan { seed, subscriptions: 250, format: Format::Compact, ..Plan::default() };
        for event in simulate(&plan).events {
            let body = read(&event);
            let object = &body["data"]["object"];
            let Some(id) = object["id"].as_str() else { continue };
            if FOLLOWED.contains(&object["object"].as_str().unwrap()) {
                seconds.entry((id.to_owned(), event.created)).or_default().push(body);
            }
        }
    }
    let mut shared = 0;
    for ((id, second), events) in &seconds {
        if events.len() == 1 {
            continue;
        }
        shared += 1;
        let found = last_of(events.iter().rev().collect());
        let truly = events.last().unwrap();
        assert_eq!(
            without_nulls(&found["data"]["object"]),
            without_nulls(&truly["data"]["object"]),
            "{id} at {second}: {:?}",
            events.iter().map(|event| (&event["type"], &event["id"])).collect::<Vec<_>>()
        );
    }
    assert!(shared > 1_500, "{shared}");
}

#[test]
fn the_last_snapshot_is_the_truth() {
    let simulation = big();
    let mut snapshots: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for event in &simulation.events {
        if event.event_type.starts_with("customer.subscription.") {
            let body = read(event);
            let id = body["data"]["object"]["id"].as_str().unwrap().to_owned();
            snapshots.entry(id).or_default().push(body);
        }
    }
    let deleted: BTreeSet<String> = simulation
        .events
        .iter()
        .filter(|event| event.event_type == "customer.deleted")
        .map(|event| read(event)["data"]["object"]["id"].as_str().unwrap().to_owned())
        .collect();
    for row in &simulation.truth {
        let events = &snapshots[&row.subscription_id];
        let second = events.iter().map(|event| event["created"].as_i64()).max().unwrap();
        let group = events.iter().filter(|event| event["created"].as_i64() == second).collect();
        let last = last_of(group);
        assert_eq!(last["id"], row.last_event_id.as_str());
        if let Some(version) = row.api_version {
            assert_eq!(last["api_version"], version);
        }
        let object = &last["data"]["object"];
        let first = &object["items"]["data"][0];
        let seconds = |time: Option<StripeTime>| time.map(|time| time.0);
        assert_eq!(object["customer"], row.customer_id.as_str());
        assert_eq!(first["price"]["id"], row.price_id.unwrap());
        assert_eq!(first["quantity"].as_i64(), row.quantity);
        assert_eq!(object["cancel_at_period_end"], row.cancel_at_period_end);
        assert_eq!(object["cancel_at"].as_i64(), seconds(row.cancel_at));
        assert_eq!(object["canceled_at"].as_i64(), seconds(row.canceled_at));
        assert_eq!(object["trial_end"].as_i64(), seconds(row.trial_end));
        assert_eq!(object["created"].as_i64(), seconds(row.created_at));
        assert_eq!(object["metadata"], serde_json::to_value(&row.metadata).unwrap());
        if object["status"] == row.status {
            assert_eq!(object["ended_at"].as_i64(), seconds(row.ended_at));
        } else {
            // After the deletion of a customer, a snapshot with the end may be missing.
            assert_eq!(row.status, "canceled");
            assert!(deleted.contains(&row.customer_id));
        }
    }
}
