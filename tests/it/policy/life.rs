//! The life of one subscription, told as a table of steps: what Stripe says on which day, and what
//! must hold then.
//!
//! Days count from the first of January 2026. A subscription's events are written as Stripe writes
//! them: each carries all of the object, and says what it was before.

use serde_json::{Map, Value, json};
use subledger::projection::row::SubscriptionRow;
use subledger::projection::{DEFAULT_USER_KEY, Logic};
use subledger::time::StripeTime;

use crate::order::{rows_by, tell_all};

/// The first of January 2026.
const FIRST_DAY: i64 = 1_767_225_600;

/// The policy that nobody changed.
pub(super) const BUILT_IN: &str = "";

/// One line of a life.
pub(super) enum Step {
    /// Stripe says this on that day.
    On(i64, Told),
    /// Expected access on that day.
    Asked(i64, bool),
    /// The row has this value in this column.
    Shows(&'static str, Value),
}

/// Event of Stripe.
pub(super) enum Told {
    /// The subscription changes in these fields; all others stay as they were.
    Subscription { event_type: &'static str, changes: Value },
    /// An event about another object.
    Other { event_type: &'static str, object: Value },
}

/// A step: an event of this day.
pub(super) fn on(day: i64, told: Told) -> Step {
    Step::On(day, told)
}

/// A check: on that day there is access.
pub(super) fn active(day: i64) -> Step {
    Step::Asked(day, true)
}

/// A check: on that day there is no access.
pub(super) fn inactive(day: i64) -> Step {
    Step::Asked(day, false)
}

/// A check: access ends with that day's first second, if nothing more is heard.
pub(super) fn until(day: i64) -> Step {
    shows("entitled_until", instant(day))
}

/// A check: there is access and nothing known ends it, or there is none.
pub(super) fn no_end() -> Step {
    shows("entitled_until", Value::Null)
}

/// A check of a column.
pub(super) fn shows(column: &'static str, value: impl Into<Value>) -> Step {
    Step::Shows(column, value.into())
}

/// A check of the status.
pub(super) fn status(status: &'static str) -> Step {
    shows("status", status)
}

/// The first second of a day, as Stripe writes it.
pub(super) fn day(day: i64) -> i64 {
    FIRST_DAY + day * 86_400
}

/// The same as a row shows it.
pub(super) fn instant(at: i64) -> Value {
    serde_json::to_value(StripeTime(day(at))).unwrap()
}

/// The subscription is made.
pub(super) fn created(changes: Value) -> Told {
    Told::Subscription { event_type: "customer.subscription.created", changes }
}

/// The subscription changes.
pub(super) fn updated(changes: Value) -> Told {
    Told::Subscription { event_type: "customer.subscription.updated", changes }
}

/// The subscription is over.
pub(super) fn deleted(changes: Value) -> Told {
    Told::Subscription { event_type: "customer.subscription.deleted", changes }
}

/// Another of the subscription's events.
pub(super) fn subscription(event_type: &'static str, changes: Value) -> Told {
    Told::Subscription { event_type, changes }
}

/// An event about another object.
pub(super) fn other(event_type: &'static str, object: Value) -> Told {
    Told::Other { event_type, object }
}

/// The items of most lives: one, for a period from day to day.
pub(super) fn period(from: i64, to: i64) -> Value {
    items(&[item("price_month", Some(1), from, to)])
}

/// A list of items.
pub(super) fn items(items: &[Value]) -> Value {
    json!({ "object": "list", "data": items, "has_more": false })
}

/// An item; a metered one has no quantity.
pub(super) fn item(price: &str, quantity: Option<i64>, from: i64, to: i64) -> Value {
    let mut item = json!({
        "id": format!("si_{price}"),
        "object": "subscription_item",
        "price": { "id": price, "object": "price", "product": "prod_1" },
        "current_period_start": day(from),
        "current_period_end": day(to),
    });
    if let Some(quantity) = quantity {
        item["quantity"] = quantity.into();
    }
    item
}

/// Tells a life under the built-in policy.
pub(super) fn life<const N: usize>(steps: [Step; N]) {
    life_under(BUILT_IN, steps);
}

/// Tells a life under a policy. At every check the row is the same whether the events arrived in
/// order, in reverse, or twice.
pub(super) fn life_under<const N: usize>(policy: &str, steps: [Step; N]) {
    let logic = Logic::parse(policy, DEFAULT_USER_KEY).unwrap();
    let mut teller = Teller::default();
    for (number, step) in steps.into_iter().enumerate() {
        match step {
            Step::On(day, told) => teller.tell(day, told),
            Step::Asked(at, expected) => {
                let found = teller.row(&logic).active_at(StripeTime(day(at)));
                assert_eq!(found, expected, "step {number}: active on day {at} under {policy:?}");
            }
            Step::Shows(column, expected) => {
                let row = serde_json::to_value(teller.row(&logic)).unwrap();
                let found = row.get(column).unwrap_or_else(|| panic!("no column {column}"));
                assert_eq!(found, &expected, "step {number}: {column} under {policy:?}");
            }
        }
    }
    teller.row(&logic);
}

/// Stripe: remembers the subscription and writes the events.
#[derive(Default)]
struct Teller {
    subscription: Map<String, Value>,
    bodies: Vec<String>,
}

impl Teller {
    fn tell(&mut self, at: i64, told: Told) {
        let (event_type, object, previous) = match told {
            Told::Subscription { event_type, changes } => {
                let previous = self.change(at, changes);
                (event_type, Value::Object(self.subscription.clone()), previous)
            }
            Told::Other { event_type, object } => (event_type, object, Map::new()),
        };
        let mut event = json!({
            // The ids say the opposite of what happened: nothing may rest on them.
            "id": format!("evt_{:03}", 999 - self.bodies.len()),
            "object": "event",
            "api_version": "2026-09-30.endive",
            "created": day(at),
            "livemode": true,
            "type": event_type,
            "data": { "object": object },
        });
        if event_type.ends_with(".updated") {
            event["data"]["previous_attributes"] = previous.into();
        }
        self.bodies.push(serde_json::to_string_pretty(&event).unwrap());
    }

    /// Changes the subscription and returns what was there before.
    fn change(&mut self, at: i64, changes: Value) -> Map<String, Value> {
        if self.subscription.is_empty() {
            let born = json!({
                "id": "sub_1", "object": "subscription", "customer": "cus_1", "livemode": true,
                "created": day(at), "start_date": day(at), "items": period(at, at + 30),
                "cancel_at_period_end": false, "collection_method": "charge_automatically",
            });
            self.subscription = object(born);
        }
        let mut previous = Map::new();
        for (field, value) in object(changes) {
            let before = self.subscription.insert(field.clone(), value.clone());
            let before = before.unwrap_or_default();
            if before != value {
                previous.insert(field, before);
            }
        }
        previous
    }

    fn row(&self, logic: &Logic) -> SubscriptionRow {
        let in_order = fold(self.bodies.iter(), logic);
        assert_eq!(fold(self.bodies.iter().rev(), logic), in_order, "in reverse");
        let twice = self.bodies.iter().chain(&self.bodies);
        assert_eq!(fold(twice, logic), in_order, "each event twice");
        assert!(!in_order.order_ambiguous);
        in_order
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("no object: {other}"),
    }
}

/// The one row after these events.
fn fold<'a>(bodies: impl Iterator<Item = &'a String>, logic: &Logic) -> SubscriptionRow {
    let states = tell_all(bodies.map(String::as_str));
    // Who asks about another customer's event has told it wrongly.
    assert_eq!(states.keys().map(|key| key.customer.as_str()).collect::<Vec<_>>(), ["cus_1"]);
    let mut rows = rows_by(&states, logic);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}
