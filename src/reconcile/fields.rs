//! Fields of two rows that differ.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::projection::row::SubscriptionRow;

/// Text in place of a value that a report must not contain.
pub const HIDDEN: &str = "(differs)";

/// Columns that are no content: keys, the origin of the row, its order, and names of the catalogue.
const NOT_COMPARED: [&str; 13] = [
    "subscription_id",
    "account",
    "livemode",
    "customer_id",
    "product_name",
    "price_nickname",
    "parked",
    "event_count",
    "api_version",
    "order_ambiguous",
    "last_event_id",
    "last_event_at",
    "observed_at",
];

/// Fields that may come from the customer.
pub(super) const OF_CUSTOMER: [&str; 6] =
    ["user_id", "user_id_source", "user_id_conflict", "email", "features", "features_truncated"];

/// Columns that are shown of a subscription that the ledger does not have.
const OF_UNKNOWN: [&str; 8] = [
    "user_id",
    "status",
    "entitled",
    "entitled_until",
    "price_id",
    "quantity",
    "current_period_end",
    "created_at",
];

/// Field that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDifference {
    /// Name of the column.
    pub field: String,
    /// Value of the ledger; null if it has no row.
    pub ledger: Value,
    /// Value by Stripe.
    pub stripe: Value,
}

/// Content of a row, for comparison.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Content(Value);

impl Content {
    /// Content of a row.
    pub(super) fn of(row: &SubscriptionRow) -> Self {
        let mut value = serde_json::to_value(row).unwrap_or_default();
        for item in value["items"].as_array_mut().into_iter().flatten() {
            for name in ["product_name", "price_nickname"] {
                item[name] = Value::Null;
            }
        }
        Self(value)
    }

    /// Value of a column.
    pub(super) fn get(&self, field: &str) -> &Value {
        &self.0[field]
    }

    fn names(&self) -> impl Iterator<Item = &String> {
        let fields = self.0.as_object().into_iter().flat_map(serde_json::Map::keys);
        fields.filter(|name| !NOT_COMPARED.contains(&name.as_str()))
    }

    /// Fields in which Stripe's row differs from that of the ledger, if it has one.
    pub(super) fn differences(ledger: Option<&Self>, stripe: &Self) -> Vec<FieldDifference> {
        let names = stripe.names().filter(|name| match ledger {
            Some(ledger) => !is_same(name, ledger.get(name), stripe.get(name)),
            None => OF_UNKNOWN.contains(&name.as_str()) && !stripe.get(name).is_null(),
        });
        let difference = |name: &String| FieldDifference {
            field: name.clone(),
            ledger: ledger.map_or(Value::Null, |it| it.get(name).clone()),
            stripe: stripe.get(name).clone(),
        };
        names.map(difference).collect()
    }
}

/// True if two values say the same. What an old API version does not show is not known to the ledger, and does not
/// differ.
fn is_same(field: &str, ledger: &Value, stripe: &Value) -> bool {
    let is_new_field = matches!(field, "cancellation_reason" | "paused_reason");
    ledger == stripe || (is_new_field && ledger.is_null())
}

/// Hides what a report must not contain: addresses, and any other text with an `@`.
pub(super) fn hide(difference: &mut FieldDifference) {
    let is_address = difference.field == "email";
    for value in [&mut difference.ledger, &mut difference.stripe] {
        hide_value(value, is_address);
    }
}

fn hide_value(value: &mut Value, is_address: bool) {
    match value {
        Value::String(text) if is_address || text.contains('@') => HIDDEN.clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(|it| hide_value(it, is_address)),
        Value::Object(fields) => {
            // A key may be an address too.
            let hidden = std::mem::take(fields).into_iter().map(|(key, mut value)| {
                hide_value(&mut value, is_address);
                (if key.contains('@') { HIDDEN.to_owned() } else { key }, value)
            });
            *fields = hidden.collect();
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> SubscriptionRow {
        SubscriptionRow { status: "active".to_owned(), ..SubscriptionRow::default() }
    }

    #[test]
    fn origin_and_names_are_not_compared() {
        let other = SubscriptionRow {
            product_name: Some("Pro".to_owned()),
            api_version: Some("2020-08-27".to_owned()),
            event_count: 4,
            order_ambiguous: true,
            ..row()
        };
        let (row, other) = (Content::of(&row()), Content::of(&other));
        assert_eq!(Content::differences(Some(&row), &other), []);
    }

    #[test]
    fn a_field_that_differs_has_both_sides() {
        let other = SubscriptionRow { quantity: Some(2), ..row() };
        let differences = Content::differences(Some(&Content::of(&row())), &Content::of(&other));
        let [FieldDifference { field, ledger, stripe }] = &differences[..] else {
            panic!("{differences:?}")
        };
        assert_eq!((field.as_str(), ledger, stripe), ("quantity", &Value::Null, &json!(2)));
    }

    #[test]
    fn reports_contain_no_addresses() {
        let mut difference = FieldDifference {
            field: "metadata".to_owned(),
            ledger: json!({"plan": "x", "owner": "a@b.example", "c@d.example": 1}),
            stripe: json!(["a@b.example", "u1"]),
        };
        hide(&mut difference);
        assert!(!serde_json::to_string(&difference).unwrap().contains('@'));
        assert_eq!(difference.ledger["plan"], "x");
        let (ledger, stripe) = (Value::Null, json!("none"));
        let mut email = FieldDifference { field: "email".to_owned(), ledger, stripe };
        hide(&mut email);
        assert_eq!((email.ledger, email.stripe), (Value::Null, json!(HIDDEN)));
    }
}
