//! Every field has its sentence.

use serde_json::json;

use super::*;
use crate::audit::history::OMITTED_FIELDS;
use crate::projection::column::{ColumnType, Json, Value};
use crate::projection::row::ItemRow;
use crate::stripe::price::Package;

/// A row that says something in every field.
fn full() -> SubscriptionRow {
    let values = SubscriptionRow::COLUMNS.iter().map(|column| match column.column_type {
        ColumnType::Bool => Value::Bool(true),
        ColumnType::Integer => Value::Integer(3),
        ColumnType::Text => Value::Text(format!("a_{}", column.name)),
        ColumnType::Instant => Value::Instant(StripeTime(DAY_SECONDS)),
        ColumnType::Json => Value::Json(match column.name {
            "items" => json!([{ "item_id": "si_1" }, { "item_id": "si_2", "quantity": 4 }]).to_string(),
            "pause_collection" => json!({ "behavior": "void", "resumes_at": null }).to_string(),
            "scheduled_change" => json!({ "schedule_id": "s", "at": "2026-03-01T00:00:00Z", "action": "cancel", "items": [] }).to_string(),
            "metadata" => json!({ "team": "a" }).to_string(),
            "transform_quantity" => json!({ "divide_by": 5, "round": "up" }).to_string(),
            _ => json!(["one"]).to_string(),
        }),
    });
    SubscriptionRow::from_values(values.collect()).unwrap()
}

/// The row with another value in one column.
fn changed(row: &SubscriptionRow, column: &str, empty: bool) -> SubscriptionRow {
    let at = SubscriptionRow::COLUMNS.iter().position(|it| it.name == column).unwrap();
    let mut values = row.to_values();
    values[at] = match (&values[at], column) {
        (Value::Bool(truth), _) => Value::Bool(!truth),
        (Value::Json(_), "items") => Value::Json(json!([{ "item_id": "si_1" }]).to_string()),
        (Value::Json(_), "metadata") => Value::Json("{}".to_owned()),
        (Value::Json(_), "discounts" | "features") => Value::Json("[]".to_owned()),
        (Value::Text(_), "status") => Value::Text("another".to_owned()),
        (_, _) if empty => Value::Null,
        (Value::Integer(number), _) => Value::Integer(number + 1),
        (Value::Text(text), _) => Value::Text(format!("{text}_2")),
        (Value::Instant(at), _) => Value::Instant(at.plus_days(40)),
        (Value::Json(_), "pause_collection") => Value::Json(
            json!({ "behavior": "novelty", "resumes_at": "2026-03-01T00:00:00Z" }).to_string(),
        ),
        (Value::Json(_), "transform_quantity") => {
            Value::Json(json!({ "divide_by": 5, "round": "down" }).to_string())
        }
        (Value::Json(_), _) => {
            let items = json!([{ "price_id": "price_2", "quantity": 2 }]);
            Value::Json(json!({ "schedule_id": "s", "at": "2026-03-02T00:00:00Z", "action": "update", "items": items }).to_string())
        }
        (Value::Null, _) => unreachable!("the row is full"),
    };
    SubscriptionRow::from_values(values).unwrap()
}

#[test]
fn a_change_of_any_field_that_is_told_has_a_sentence_of_its_own() {
    let full = full();
    for column in SubscriptionRow::COLUMNS.iter().filter(|it| !OMITTED_FIELDS.contains(&it.name)) {
        for empty in [false, true] {
            let other = changed(&full, column.name, empty);
            let nullable = SubscriptionRow::from_values(other.to_values()).is_ok();
            assert!(nullable && other != full, "{}", column.name);
            for (before, after) in [(&full, &other), (&other, &full)] {
                let sentences = sentences(Some(before), after, None);
                assert_eq!(sentences.len(), 1, "{}: {sentences:?}", column.name);
            }
        }
    }
}

#[test]
fn nothing_is_said_of_what_did_not_change_or_tells_nothing() {
    let full = full();
    assert_eq!(sentences(Some(&full), &full, None), [""; 0]);
    for column in OMITTED_FIELDS.iter().filter(|it| **it != "product_name") {
        let Some(at) = SubscriptionRow::COLUMNS.iter().position(|it| it.name == *column) else {
            panic!("{column} is a column");
        };
        let mut values = full.to_values();
        values[at] = match &values[at] {
            Value::Bool(truth) => Value::Bool(!truth),
            Value::Integer(number) => Value::Integer(number + 1),
            Value::Instant(at) => Value::Instant(at.plus_days(1)),
            _ => Value::Text("another".to_owned()),
        };
        let other = SubscriptionRow::from_values(values).unwrap();
        assert_eq!(sentences(Some(&full), &other, None), [""; 0], "{column}");
    }
}

fn priced(
    name: &str,
    unit_amount: i64,
    currency: &str,
    interval: &str,
    count: i64,
) -> SubscriptionRow {
    SubscriptionRow {
        product_name: Some(name.to_owned()),
        price_id: Some(format!("price_{name}")),
        currency: Some(currency.to_owned()),
        unit_amount: Some(unit_amount),
        interval: Some(interval.to_owned()),
        interval_count: Some(count),
        ..SubscriptionRow::default()
    }
}

fn between(before: &SubscriptionRow, after: &SubscriptionRow) -> String {
    sentences(Some(before), after, None).join("; ")
}

#[test]
fn a_price_is_told_by_name_amount_and_interval() {
    let basic = priced("Basic", 2000, "usd", "month", 1);
    let pro = priced("Pro", 5000, "usd", "month", 1);
    assert_eq!(between(&basic, &pro), "price: Basic 20.00 USD/month → Pro 50.00 USD/month");
    let yen = priced("Basic", 2000, "jpy", "month", 3);
    assert_eq!(between(&basic, &yen), "price: Basic 20.00 USD/month → Basic 2000 JPY/3 months");
    let package = Package { divide_by: 5, round: Some("up".to_owned()) };
    let packed = SubscriptionRow { transform_quantity: Some(Json(package)), ..basic.clone() };
    assert_eq!(
        between(&basic, &packed),
        "price: Basic 20.00 USD/month → Basic 20.00 USD per 5/month"
    );
    let dinar = priced("Basic", 2000, "kwd", "year", 1);
    assert_eq!(between(&yen, &dinar), "price: Basic 2000 JPY/3 months → Basic 2.000 KWD/year");
    let nameless = SubscriptionRow { product_name: None, ..basic.clone() };
    assert_eq!(sentences(None, &nameless, None), ["price: price_Basic 20.00 USD/month"]);
    let nicknamed = SubscriptionRow { price_nickname: Some("Basic, monthly".into()), ..nameless };
    assert_eq!(sentences(None, &nicknamed, None), ["price: Basic, monthly 20.00 USD/month"]);
    // Another price that is called and costs the same is another price.
    let twin = SubscriptionRow { price_id: Some("price_2".into()), ..basic.clone() };
    assert_eq!(between(&basic, &twin), "price id: price_Basic → price_2");
    let fraction = SubscriptionRow {
        unit_amount: None,
        unit_amount_decimal: Some("0.5".into()),
        ..basic.clone()
    };
    assert_eq!(between(&basic, &fraction), "price: Basic 20.00 USD/month → Basic 0.005 USD/month");
}

#[test]
fn access_is_told_with_its_end_and_what_sets_it() {
    let row = |entitled, until: Option<i64>| SubscriptionRow {
        entitled,
        entitled_until: until.map(|days| StripeTime(days * DAY_SECONDS)),
        ..SubscriptionRow::default()
    };
    let none = row(false, None);
    for (before, after, end, expected) in [
        (&none, row(true, Some(20_513)), Some(EndRule::Grace), "access until 2026-03-01 (grace)"),
        (&none, row(true, None), None, "access without an end"),
        (&row(true, None), none.clone(), None, "access ended"),
        (
            &row(true, None),
            row(true, Some(1)),
            Some(EndRule::PeriodEnd),
            "access until 1970-01-02 (end of the period)",
        ),
    ] {
        assert_eq!(sentences(Some(before), &after, end), [expected]);
    }
}

#[test]
fn a_planned_end_is_said_once() {
    let at = Some(StripeTime(20_574 * DAY_SECONDS));
    let plain = SubscriptionRow::default();
    let cancelling = SubscriptionRow { cancel_at: at, ends_at: at, ..SubscriptionRow::default() };
    assert_eq!(between(&plain, &cancelling), "cancels at 2026-05-01");
    assert_eq!(between(&cancelling, &plain), "cancels at: none (was 2026-05-01)");
    let at_period_end =
        SubscriptionRow { cancel_at_period_end: true, ends_at: at, ..SubscriptionRow::default() };
    assert_eq!(between(&plain, &at_period_end), "cancels at 2026-05-01, the end of the period");
    assert_eq!(between(&at_period_end, &plain), "no longer cancels at the end of the period");
    let ended = SubscriptionRow { ended_at: at, ends_at: at, ..SubscriptionRow::default() };
    assert_eq!(between(&plain, &ended), "ended 2026-05-01");
}

#[test]
fn several_items_are_told_one_by_one() {
    let item = |id: &str, quantity| ItemRow {
        item_id: Some(id.to_owned()),
        price_id: Some(format!("price_{id}")),
        quantity: Some(quantity),
        ..ItemRow::default()
    };
    let row =
        |items: Vec<ItemRow>| SubscriptionRow { items: Json(items), ..SubscriptionRow::default() };
    let (one, two) = (row(vec![item("a", 1)]), row(vec![item("a", 1), item("b", 3)]));
    assert_eq!(between(&one, &two), "item added: price_b × 3");
    assert_eq!(between(&two, &one), "item removed: price_b × 3");
    let more = row(vec![item("a", 1), item("b", 5)]);
    assert_eq!(between(&two, &more), "price_b: quantity 3 → 5");
    let turned = row(vec![item("b", 3), item("a", 1)]);
    assert_eq!(between(&two, &turned), "items: reordered");
    let mut dearer = item("b", 3);
    dearer.unit_amount = Some(5);
    dearer.currency = Some("usd".to_owned());
    assert_eq!(between(&two, &row(vec![item("a", 1), dearer])), "item: price_b → price_b 0.05 USD");
    let mut longer = item("b", 3);
    longer.current_period_end = Some(StripeTime(DAY_SECONDS));
    assert_eq!(between(&two, &row(vec![item("a", 1), longer])), "price_b: period until 1970-01-02");
    // A single item is sentences by the row.
    assert_eq!(between(&one, &row(vec![item("a", 2)])), "");
}

#[test]
fn pauses_plans_lists_and_metadata_are_told() {
    let row = SubscriptionRow::default;
    let pause = |behavior: &str, resumes_at| SubscriptionRow {
        pause_collection: Some(Json(PauseCollection { behavior: behavior.to_owned(), resumes_at })),
        ..row()
    };
    let at = Some(StripeTime(DAY_SECONDS + 60));
    for (before, after, sentences) in [
        (row(), pause("void", at), "collection paused until 1970-01-02 00:01, invoices are voided"),
        (row(), pause("keep_as_draft", None), "collection paused, invoices stay drafts"),
        (pause("void", None), row(), "collection resumed"),
        (
            row(),
            SubscriptionRow { paused_reason: Some("trial_end".into()), ..row() },
            "paused (trial end)",
        ),
        (
            SubscriptionRow { discounts: Json(vec!["half".into()]), ..row() },
            SubscriptionRow { discounts: Json(vec!["third".into()]), ..row() },
            "discounts: +third, −half",
        ),
        (
            SubscriptionRow { metadata: Json([("team".into(), "a".into())].into()), ..row() },
            SubscriptionRow { metadata: Json([("team".into(), "b".into())].into()), ..row() },
            "metadata team: a → b",
        ),
        (
            row(),
            SubscriptionRow {
                user_id: Some("u".into()),
                user_id_source: Some("customer.metadata".into()),
                ..row()
            },
            "user: u (by customer.metadata)",
        ),
    ] {
        assert_eq!(between(&before, &after), sentences);
    }
}
