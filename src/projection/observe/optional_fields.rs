//! Optional fields: those that access does not depend on. One of a wrong type is read as absent, so that it does
//! not prevent its event from being folded.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::FoldError;
use crate::stripe::ObjectType;
use crate::stripe::json::Text;

/// Maximum number of fields that are skipped in one event.
const FIELDS_MAX: usize = 256;

/// Fields that access depends on, as JSON pointers from the object; `*` stands for every element of a list. An
/// event with an unreadable one is parked.
fn required_fields(object_type: ObjectType) -> &'static [&'static str] {
    match object_type {
        ObjectType::Subscription => &[
            "/id",
            "/customer",
            "/customer_account",
            "/status",
            "/cancel_at",
            "/cancel_at_period_end",
            "/ended_at",
            "/current_period_end",
            "/pause_collection/behavior",
            "/schedule",
            "/test_clock",
            "/plan/id",
            "/plan/product",
            "/metadata",
            "/items/has_more",
            "/items/total_count",
            "/items/data/*/id",
            "/items/data/*/price/lookup_key",
            "/items/data/*/current_period_end",
            "/items/data/*/price/id",
            "/items/data/*/price/product",
            "/items/data/*/plan/id",
            "/items/data/*/plan/product",
        ],
        ObjectType::Invoice => &[
            "/id",
            "/customer",
            "/customer_account",
            "/status",
            "/paid",
            "/created",
            "/date",
            "/total",
            "/amount_paid",
            "/amount_due",
            "/subscription",
            "/parent/subscription_details/subscription",
            "/lines/has_more",
            "/lines/total_count",
            "/lines/count",
            "/lines/data/*/id",
            "/lines/data/*/type",
            "/lines/data/*/amount",
            "/lines/data/*/proration",
            "/lines/data/*/period/start",
            "/lines/data/*/period/end",
            "/lines/data/*/subscription",
            "/lines/data/*/subscription_item",
            "/lines/data/*/parent/subscription_item_details/subscription",
            "/lines/data/*/parent/subscription_item_details/subscription_item",
            "/lines/data/*/parent/subscription_item_details/proration",
            "/lines/data/*/parent/invoice_item_details/subscription",
            "/lines/data/*/parent/invoice_item_details/proration",
        ],
        ObjectType::CheckoutSession => &[
            "/id",
            "/customer",
            "/customer_account",
            "/subscription",
            "/status",
            "/client_reference_id",
            "/metadata",
        ],
        ObjectType::Customer => &["/id", "/metadata"],
        ObjectType::Discount => &[],
        ObjectType::SubscriptionSchedule => &[
            "/id",
            "/customer",
            "/customer_account",
            "/status",
            "/subscription",
            "/end_behavior",
            "/phases/*/start_date",
            "/phases/*/end_date",
        ],
        ObjectType::EntitlementSummary => &["/customer", "/entitlements/data/*/lookup_key"],
        ObjectType::Product | ObjectType::Price | ObjectType::Plan => &["/id"],
    }
}

/// Reads an event with `read`. If that fails on an optional field, reads it again with null in its place, and
/// notes it.
pub(super) fn read_ignoring_invalid<T>(
    body: &str,
    read: impl Fn(&str) -> Result<T, FoldError>,
) -> Result<(T, Vec<String>), FoldError> {
    let mut error = match read(body) {
        Ok(it) => return Ok((it, Vec::new())),
        Err(error) => error,
    };
    let mut body = body.to_owned();
    let mut notes = Vec::new();
    while notes.len() < FIELDS_MAX {
        let FoldError::Shape { object_type, detail, pointer: Some(pointer) } = &error else {
            break;
        };
        if is_required(*object_type, pointer) {
            break;
        }
        let Some(without) = with_null(&body, &format!("/data/object{pointer}")) else { break };
        notes.push(format!("{detail}: read as absent"));
        body = without;
        match read(&body) {
            Ok(it) => return Ok((it, notes)),
            Err(next) => error = next,
        }
    }
    Err(error)
}

/// True if access depends on a field, or on one inside it.
fn is_required(object_type: ObjectType, pointer: &str) -> bool {
    let segments = || pointer.split('/').skip(1);
    required_fields(object_type).iter().any(|required| {
        let mut of_required = required.split('/').skip(1);
        // The pointer may also lead to a parent of the required field.
        segments()
            .all(|it| of_required.next().is_none_or(|required| required == "*" || required == it))
    })
}

/// JSON document with null in place of one value. None if there is no value at the pointer.
fn with_null(json: &str, pointer: &str) -> Option<String> {
    let mut at = json;
    for segment in pointer.split('/').skip(1) {
        let key = segment.replace("~1", "/").replace("~0", "~");
        at = if at.trim_start().starts_with('[') {
            let elements: Vec<&RawValue> = serde_json::from_str(at).ok()?;
            elements.get(key.parse::<usize>().ok()?)?.get()
        } else {
            let fields: BTreeMap<Text<'_>, &RawValue> = serde_json::from_str(at).ok()?;
            fields.into_iter().find(|(name, _)| **name == *key)?.1.get()
        };
    }
    // Raw values are borrowed from the document, so the value's offset is the difference of the addresses.
    let from = (at.as_ptr() as usize).checked_sub(json.as_ptr() as usize)?;
    let (before, rest) = json.split_at_checked(from)?;
    Some([before, "null", rest.get(at.len()..)?].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_replaced_wherever_it_stands() {
        let json = r#" { "a" : [ 1, {"b/c": "x", "\u0062": {"d": 7}} ], "e": "\ud800" } "#;
        for (pointer, expected) in [
            ("/a/0", r#" { "a" : [ null, {"b/c": "x", "\u0062": {"d": 7}} ], "e": "\ud800" } "#),
            ("/a/1/b~1c", r#" { "a" : [ 1, {"b/c": null, "\u0062": {"d": 7}} ], "e": "\ud800" } "#),
            (
                "/a/1/b/d",
                r#" { "a" : [ 1, {"b/c": "x", "\u0062": {"d": null}} ], "e": "\ud800" } "#,
            ),
            ("/a", r#" { "a" : null, "e": "\ud800" } "#),
        ] {
            assert_eq!(with_null(json, pointer).as_deref(), Some(expected));
        }
        for nowhere in ["/b", "/a/2", "/a/x", "/a/0/b"] {
            assert_eq!(with_null(json, nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn what_access_depends_on_is_needed_and_so_is_what_holds_it() {
        for pointer in ["", "/status", "/items", "/items/data/3/price", "/items/data/0/price/id/x"]
        {
            assert!(is_required(ObjectType::Subscription, pointer), "{pointer}");
        }
        for pointer in
            ["/cancellation_details", "/items/data/0/quantity", "/created", "/discounts/0"]
        {
            assert!(!is_required(ObjectType::Subscription, pointer), "{pointer}");
        }
    }
}
