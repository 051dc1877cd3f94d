//! Location of a row's value in an event.

use serde_json::Value;

use crate::projection::user_link::UserLinkRecord;
use crate::stripe::json_paths::json_paths;
use crate::time::StripeTime;

/// Finds the JSON pointer to the value of a row's field in an event. None if the event does not hold the value: the
/// place is compared before the pointer is returned.
pub(super) fn find_pointer(
    event_type: &str,
    body: &Value,
    field: &str,
    value: &Value,
    user_keys: &[String],
) -> Option<String> {
    places(event_type, field)
        .flat_map(|place| with_user_keys(&place, user_keys))
        .flat_map(|place| pointers(&place, body))
        .find(|pointer| body.pointer(pointer).is_some_and(|found| is_value_of(found, field, value)))
}

/// True if events of this type can hold a field.
pub(super) fn can_state(event_type: &str, field: &str) -> bool {
    places(event_type, field).next().is_some()
}

/// Places of a field in an event of Stripe's, or in a record of the ledger's own.
fn places(event_type: &str, field: &str) -> impl Iterator<Item = String> {
    let is_link = event_type == UserLinkRecord::TYPE && field == "user_id";
    let of_link = is_link.then(|| "/data/object/user_id".to_owned());
    json_paths(event_type, field).chain(of_link)
}

/// Expands the user key of a place into a place for each key, escaped for a JSON pointer.
fn with_user_keys(place: &str, user_keys: &[String]) -> Vec<String> {
    if !place.contains("{user}") {
        return vec![place.to_owned()];
    }
    let escaped = user_keys.iter().map(|key| key.replace('~', "~0").replace('/', "~1"));
    escaped.map(|key| place.replace("{user}", &key)).collect()
}

/// Expands the wildcard of a place into the pointers for this body.
fn pointers(place: &str, body: &Value) -> Vec<String> {
    let Some((list, rest)) = place.split_once("/*") else { return vec![place.to_owned()] };
    match body.pointer(list) {
        Some(Value::Array(all)) => (0..all.len()).map(|at| format!("{list}/{at}{rest}")).collect(),
        Some(Value::Object(all)) => all.keys().map(|key| format!("{list}/{key}{rest}")).collect(),
        _ => Vec::new(),
    }
}

/// True if a value of the payload is the value of the row.
fn is_value_of(found: &Value, field: &str, value: &Value) -> bool {
    match field {
        "items" => is_same_list(found, value, |it| {
            it.get("item_id").filter(|id| !id.is_null()).or(it.get("price_id")).cloned()
        }),
        "discounts" if holds_ids_alone(found) => {
            // Their codes are in other events.
            found.as_array().map(Vec::len) == value.as_array().map(Vec::len)
        }
        "discounts" | "features" => is_same_list(found, value, |it| Some(it.clone())),
        "items_truncated" | "paid_through_unknown" if found.is_i64() => value == true,
        "latest_invoice_status" if found.is_boolean() => {
            // Invoice of before 2018, in the order of the places: the first that decides.
            let (paid, forgiven) = (value == "paid", value == "uncollectible");
            (found == true && (paid || forgiven || value == "void"))
                || (found == false && value == "open")
        }
        "pause_collection" => {
            found.get("behavior").unwrap_or(&Value::Null) == value.get("behavior").unwrap_or(value)
        }
        "scheduled_change" => value.get("at").is_some_and(|at| same(found, at)),
        "status" if found.as_str().is_some_and(|it| it.ends_with("customer.deleted")) => {
            value == "canceled"
        }
        "metadata" => found == value,
        _ => same(found, value),
    }
}

/// True for equal values, and for an equal instant in another form.
fn same(found: &Value, value: &Value) -> bool {
    found == value
        || found.as_i64().is_some_and(|seconds| {
            value.as_str().is_some_and(|it| it == StripeTime(seconds).to_string())
        })
}

fn holds_ids_alone(discounts: &Value) -> bool {
    let is_id = |it: &Value| it.as_str().is_some_and(|id| id.starts_with("di_"));
    discounts.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_id))
}

/// True if a list of Stripe's names the same things, one by one, as a list of the row. A single object counts as a list
/// of itself.
fn is_same_list(found: &Value, value: &Value, name: fn(&Value) -> Option<Value>) -> bool {
    let found = match found {
        Value::Array(list) => list.as_slice(),
        Value::Null => &[],
        one => std::slice::from_ref(one),
    };
    let Some(value) = value.as_array() else { return false };
    let names = |it: &Value, wanted: &Value| {
        let candidates = [
            "/id",
            "/lookup_key",
            "/feature",
            "/feature/id",
            "/coupon",
            "/coupon/id",
            "/source/coupon",
            "/source/coupon/id",
            "/promotion_code/code",
            "/price/id",
            "/plan/id",
        ];
        it == wanted || candidates.iter().any(|place| it.pointer(place) == Some(wanted))
    };
    found.len() == value.len()
        && found
            .iter()
            .zip(value)
            .all(|(it, of_row)| name(of_row).is_some_and(|name| names(it, &name)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn path(event_type: &str, object: &Value, field: &str, value: &Value) -> Option<String> {
        let body = json!({ "id": "evt_1", "created": 7, "type": event_type, "data": { "object": object } });
        find_pointer(event_type, &body, field, value, &["team/user".to_owned()])
    }

    #[test]
    fn the_path_is_where_the_value_stands() {
        const UPDATED: &str = "customer.subscription.updated";
        let items = json!({ "items": { "data": [
            { "id": "si_1", "current_period_end": 5, "price": { "id": "price_1" } },
            { "id": "si_2", "current_period_end": 9, "plan": { "id": "gold" } },
        ] } });
        for (event_type, object, field, value, expected) in [
            (
                UPDATED,
                items.clone(),
                "price_id",
                json!("price_1"),
                Some("/data/object/items/data/0/price/id"),
            ),
            (
                UPDATED,
                items.clone(),
                "current_period_end",
                json!("1970-01-01T00:00:09Z"),
                Some("/data/object/items/data/1/current_period_end"),
            ),
            (
                UPDATED,
                items.clone(),
                "items",
                json!([{ "item_id": "si_1" }, { "item_id": "si_2" }]),
                Some("/data/object/items/data"),
            ),
            (UPDATED, items, "items", json!([{ "item_id": "si_1" }]), None),
            (
                UPDATED,
                json!({ "plan": { "id": "gold" } }),
                "price_id",
                json!("gold"),
                Some("/data/object/plan/id"),
            ),
            (UPDATED, json!({ "status": "active" }), "status", json!("past_due"), None),
            (
                UPDATED,
                json!({ "cancel_at": null }),
                "cancel_at",
                json!(null),
                Some("/data/object/cancel_at"),
            ),
            (
                UPDATED,
                json!({ "metadata": { "team/user": "u" } }),
                "user_id",
                json!("u"),
                Some("/data/object/metadata/team~1user"),
            ),
            (
                UPDATED,
                json!({ "discount": { "coupon": { "id": "half" } } }),
                "discounts",
                json!(["half"]),
                Some("/data/object/discount"),
            ),
            (UPDATED, json!({}), "past_due_since", json!("1970-01-01T00:00:07Z"), Some("/created")),
            (
                UPDATED,
                json!({ "pause_collection": { "behavior": "void" } }),
                "pause_collection",
                json!({ "behavior": "void", "resumes_at": null }),
                Some("/data/object/pause_collection"),
            ),
            (
                "invoice.paid",
                json!({ "paid": true }),
                "latest_invoice_status",
                json!("paid"),
                Some("/data/object/paid"),
            ),
            ("customer.deleted", json!({}), "status", json!("canceled"), Some("/type")),
            ("charge.succeeded", json!({ "status": "active" }), "status", json!("active"), None),
        ] {
            assert_eq!(
                path(event_type, &object, field, &value).as_deref(),
                expected,
                "{field} of {object}"
            );
        }
    }
}
