//! What grants access and until when, told as lives: events one after the other and, between them,
//! what a row says on a day.

mod keys;
mod lives;
mod pauses;
mod plans;

use serde_json::{Value, json};
use subledger::ids::CustomerKey;
use subledger::projection::Logic;
use subledger::projection::observe::observe;
use subledger::projection::row::SubscriptionRow;
use subledger::projection::rows::rows;
use subledger::projection::state::CustomerState;
use subledger::time::StripeTime;

/// The rows after these bodies in this order; all that name a customer name one and the same.
pub(crate) fn fold<'a>(
    bodies: impl IntoIterator<Item = &'a String>,
    logic: &Logic,
) -> Vec<SubscriptionRow> {
    let mut state = CustomerState::default();
    let mut known: Option<CustomerKey> = None;
    for body in bodies {
        let observation = observe(body).unwrap_or_else(|error| panic!("{error}: {body}"));
        let Some(customer) = observation.customer else { continue };
        assert_eq!(known.get_or_insert_with(|| customer.clone()), &customer, "{body}");
        observation.change.into_iter().for_each(|change| state.add(change));
    }
    known.map(|key| rows(&key, &state, logic)).unwrap_or_default()
}

/// Midnight of a day, as Stripe writes it in a body.
fn on(day: i64) -> i64 {
    day * 86_400
}

/// Midnight of a day, as a row shows it.
fn shown(day: i64) -> Value {
    serde_json::to_value(StripeTime(on(day))).unwrap()
}

/// Lays the fields of one object over those of another.
fn with(mut object: Value, fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    for (name, value) in fields {
        object[name] = value;
    }
    object
}

/// The life of one subscription.
struct Life {
    logic: Logic,
    events: Vec<String>,
    status: &'static str,
    period_end: i64,
}

impl Life {
    /// A life under the built-in policy.
    fn new() -> Self {
        Self::under("")
    }

    fn under(policy: &str) -> Self {
        let logic = Logic::parse(policy, "user_id").unwrap();
        Self { logic, events: Vec::new(), status: "incomplete", period_end: 30 }
    }

    /// Any event of a day.
    fn event(mut self, day: i64, event_type: &str, object: &Value) -> Self {
        let event = json!({
            "id": format!("evt_{}", self.events.len()), "object": "event", "type": event_type,
            "created": on(day), "livemode": true, "data": { "object": object },
        });
        self.events.push(event.to_string());
        self
    }

    /// An event with a snapshot of the subscription; its period ends when it was last said to.
    fn subscription(mut self, day: i64, verb: &str, status: &'static str, fields: Value) -> Self {
        self.status = status;
        let snapshot = json!({
            "id": "sub_1", "object": "subscription", "customer": "cus_1", "status": status,
            "items": { "data": [{
                "id": "si_1", "quantity": 1, "price": { "id": "price_1" },
                "current_period_start": on(self.period_end - 30),
                "current_period_end": on(self.period_end),
            }] },
        });
        self.event(day, &format!("customer.subscription.{verb}"), &with(snapshot, fields))
    }

    fn created(self, day: i64, status: &'static str) -> Self {
        self.subscription(day, "created", status, json!({}))
    }

    fn becomes(self, day: i64, status: &'static str) -> Self {
        self.subscription(day, "updated", status, json!({}))
    }

    /// An update that leaves the status as it was.
    fn changes(self, day: i64, fields: Value) -> Self {
        let status = self.status;
        self.subscription(day, "updated", status, fields)
    }

    fn deleted(self, day: i64) -> Self {
        let ended = json!({ "ended_at": on(day), "canceled_at": on(day) });
        self.subscription(day, "deleted", "canceled", ended)
    }

    /// From here on the period ends on this day.
    fn period_to(mut self, day: i64) -> Self {
        self.period_end = day;
        self
    }

    /// An event about an invoice of the current period.
    fn invoice(self, day: i64, verb: &str, id: &str, status: &str) -> Self {
        let end = self.period_end;
        let object = json!({
            "id": id, "object": "invoice", "customer": "cus_1", "status": status,
            "created": on(end - 30),
            "parent": { "subscription_details": { "subscription": "sub_1" } },
            "lines": { "data": [{ "amount": 900, "period": { "start": on(end - 30), "end": on(end) } }] },
        });
        self.event(day, &format!("invoice.{verb}"), &object)
    }

    fn paid(self, day: i64, id: &str) -> Self {
        self.invoice(day, "paid", id, "paid")
    }

    /// What the row says on a day, after what has happened so far, in whatever order it came.
    #[track_caller]
    fn asked(self, day: i64, active: bool, expected: Value) -> Self {
        let found = fold(&self.events, &self.logic);
        assert_eq!(found, fold(self.events.iter().rev(), &self.logic), "in reverse");
        assert_eq!(found.len(), 1);
        let row = serde_json::to_value(&found[0]).unwrap();
        assert_eq!(found[0].active_at(StripeTime(on(day))), active, "active on day {day}: {row:#}");
        let Value::Object(expected) = expected else { panic!("fields are an object") };
        for (field, value) in expected {
            assert_eq!(row[&field], value, "{field} on day {day}: {row:#}");
        }
        self
    }
}
