//! Explanations point at the values of the row, in every API version.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;
use crate::ids::CustomerId;
use crate::projection::observe::observe;
use crate::simulate::{ApiVersion, Delivery, Plan, Versions, deliver, simulate};
use crate::store::{EventFacts, EventSource};
use crate::stripe::Envelope;

/// Fields that are computed, so that no event holds them as such.
const COMPUTED: [&str; 8] = [
    "entitled",
    "entitled_until",
    "event_count",
    "order_ambiguous",
    "parked",
    "product_name",
    "user_id_conflict",
    "user_id_source",
];

fn input(position: i64, body: &str) -> ReplayInput {
    let facts = EventFacts::from(&Envelope::parse(body).unwrap());
    let observed = observe(body).unwrap();
    let logged = LoggedEvent {
        position: Position(position),
        facts,
        received_at: ReceivedAt(position),
        source: EventSource::Webhook,
        signed_with: None,
        signature: None,
        signature_hash: None,
        payload_hash: [0; 32],
        leaf_hash: [0; 32],
        salt: Some([0; 16]),
        payload: Some(body.to_owned()),
    };
    ReplayInput {
        logged,
        subscription: observed.subscription,
        redelivered: 0,
        erased: None,
        damage: None,
        link: None,
        is_thin: false,
    }
}

/// Simulated events of one API version by customer, in a bad order of arrival.
fn lives(version: ApiVersion) -> BTreeMap<CustomerKey, Vec<ReplayInput>> {
    let versions = Versions::One(version);
    let plan = Plan { seed: 31, subscriptions: 30, api_version: versions, ..Plan::default() };
    let mut lives: BTreeMap<CustomerKey, Vec<ReplayInput>> = BTreeMap::new();
    for event in deliver(simulate(&plan).events, &Delivery::default()) {
        let Some(customer) = observe(&event.body).unwrap().customer else { continue };
        let of_customer = lives.entry(customer).or_default();
        let position = i64::try_from(of_customer.len()).unwrap() + 1;
        of_customer.push(input(position, &event.body));
    }
    lives
}

/// Value at a pointer in the form of the row, read without the code that found the pointer.
fn derived(field: &str, found: &Value, body: &Value) -> Value {
    let instant = |at: &Value| Value::from(StripeTime(at.as_i64().unwrap()).to_string());
    let id = |it: &Value| -> Value {
        let places = ["/coupon/id", "/source/coupon", "/id", "/lookup_key", "/feature"];
        if it.is_string() {
            it.clone()
        } else {
            places.iter().find_map(|place| it.pointer(place)).unwrap().clone()
        }
    };
    let list =
        |it: &Value| -> Vec<Value> { it.as_array().cloned().unwrap_or_else(|| vec![it.clone()]) };
    match field {
        "discounts" => list(found).iter().map(id).collect(),
        "features" => found.as_array().unwrap().iter().map(|it| it["lookup_key"].clone()).collect(),
        "status" if found == "customer.deleted" => "canceled".into(),
        "latest_invoice_status" if found.is_boolean() => match found.as_bool() {
            Some(false) => "open".into(),
            _ if body["data"]["object"]["paid"] == true => "paid".into(),
            _ if body["data"]["object"]["forgiven"] == true => "uncollectible".into(),
            _ => "void".into(),
        },
        _ if found.is_number() && is_instant(field) => instant(found),
        _ => found.clone(),
    }
}

fn is_instant(field: &str) -> bool {
    let column = SubscriptionRow::COLUMNS.iter().find(|column| column.name == field).unwrap();
    column.column_type == crate::projection::column::ColumnType::Instant
}

/// True if a found value and the row's value agree in everything that both have.
fn agree(field: &str, found: &Value, body: &Value, value: &Value) -> bool {
    match field {
        "discounts" if found[0].is_string() => {
            value.as_array().unwrap().len() == found.as_array().unwrap().len()
        }
        "items" => {
            let count = found.as_array().map_or(1, Vec::len);
            value.as_array().unwrap().len() == count
        }
        "items_truncated" => *value == true,
        "pause_collection" => found["behavior"] == value["behavior"],
        "scheduled_change" => derived("created_at", found, body) == value["at"],
        _ => derived(field, found, body) == *value,
    }
}

#[test]
fn every_field_is_found_where_it_is_said_to_stand_in_every_api_version() {
    // The versions are checked side by side, because all of them together take a minute.
    let seen: BTreeSet<&str> = std::thread::scope(|scope| {
        let versions = ApiVersion::ALL.map(|version| scope.spawn(move || fields_found(version)));
        versions.into_iter().flat_map(|version| version.join().unwrap()).collect()
    });
    let never = SubscriptionRow::COLUMNS.iter().map(|column| column.name);
    let never: Vec<_> = never.filter(|it| !seen.contains(it) && !COMPUTED.contains(it)).collect();
    let unmade = [
        "items_truncated",
        "features_truncated",
        "transform_quantity",
        "paid_through_unknown",
        "observed_at",
    ];
    assert_eq!(never, unmade, "the simulator makes all others");
}

/// Checks every field of every life of an API version. Returns the names of the fields with a value.
fn fields_found(version: ApiVersion) -> BTreeSet<&'static str> {
    let mut seen = BTreeSet::new();
    for (key, events) in lives(version) {
        let keys = std::slice::from_ref(&key);
        let replay = replay(&events, keys, &Logic::default());
        for row in &replay.states[&key].rows {
            let id = &row.subscription_id;
            let (_, fields) = fields_of(&events, keys, &Logic::default(), id).unwrap();
            seen.extend(fields.iter().filter_map(|explained| check(explained, &events, version)));
        }
    }
    seen
}

/// Looks a field up. Returns its name if there was a value to look up.
fn check(
    explained: &Explained,
    events: &[ReplayInput],
    version: ApiVersion,
) -> Option<&'static str> {
    let Explained { field, value, .. } = explained;
    let column = SubscriptionRow::COLUMNS.iter().find(|column| column.name == field).unwrap();
    let source = explained.said_by.as_ref().or(explained.set_by.as_ref());
    let path = source.and_then(|source| source.path.as_ref());
    let Some(path) = path else {
        let may_miss = COMPUTED.contains(&column.name) || is_default_value(value) || value == "";
        assert!(may_miss, "{field} = {value} is nowhere at {version:?}");
        return None;
    };
    let event = events.iter().find(|it| it.logged.position == source.unwrap().position).unwrap();
    let body: Value = serde_json::from_str(event.logged.payload.as_deref().unwrap()).unwrap();
    let found = body.pointer(path).unwrap_or_else(|| panic!("{path} leads nowhere"));
    if !is_default_value(value) {
        assert!(agree(field, found, &body, value), "{field}: {path} is {found}, not {value}");
        return Some(column.name);
    }
    None
}

#[test]
fn a_subscription_of_nobody_is_not_explained() {
    let key = CustomerKey { scope: Scope::default(), customer: CustomerId::from("cus_1") };
    assert!(fields_of(&[], &[key], &Logic::default(), &"sub_1".into()).is_none());
}
