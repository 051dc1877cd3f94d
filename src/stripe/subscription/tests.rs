//! Shapes of subscriptions through the years.

use super::*;

fn facts(json: &str) -> SubscriptionFacts {
    serde_json::from_str::<Subscription<'_>>(json).unwrap().facts()
}

#[test]
fn the_period_stands_on_top_or_on_the_items() {
    let old = facts(
        r#"{"id":"sub_1","status":"active","current_period_start":1,"current_period_end":9,
        "items":{"data":[{"id":"si_1","price":{"id":"price_1"},"quantity":2}]}}"#,
    );
    let new = facts(
        r#"{"id":"sub_1","status":"active","items":{"data":[{"id":"si_1","price":{"id":"price_1"},
        "quantity":2,"current_period_start":1,"current_period_end":9}]}}"#,
    );
    assert_eq!(old.items, new.items);
    assert_eq!(old.current_period_end(), Some(StripeTime(9)));
    assert_eq!(new.current_period_end(), Some(StripeTime(9)));
}

#[test]
fn items_of_different_intervals_have_an_earliest_and_a_latest_end() {
    let facts = facts(
        r#"{"id":"sub_1","status":"active","items":{"data":[
        {"id":"si_1","current_period_start":2,"current_period_end":50},
        {"id":"si_2","current_period_start":1,"current_period_end":9}],"has_more":true}}"#,
    );
    assert_eq!(facts.current_period_start(), Some(StripeTime(1)));
    assert_eq!(facts.current_period_end(), Some(StripeTime(50)));
    assert_eq!(facts.earliest_period_end(), Some(StripeTime(9)));
    assert!(facts.items_truncated);
}

#[test]
fn a_subscription_of_2014_has_a_plan_and_no_items() {
    let facts = facts(
        r#"{"id":"sub_1","status":"trialing","customer":"cus_1","quantity":3,"start":5,
        "plan":{"id":"gold","name":"Gold","amount":500,"currency":"usd","interval":"month",
        "interval_count":1},"current_period_start":1,"current_period_end":9,"discount":null}"#,
    );
    assert_eq!(facts.items.len(), 1);
    let item = &facts.items[0];
    assert_eq!(item.price.price_id.as_deref(), Some("gold"));
    assert_eq!(item.price.product_name.as_deref(), Some("Gold"));
    assert_eq!(item.price.nickname, None);
    assert_eq!((item.quantity, item.price.unit_amount), (Some(3), Some(500)));
    assert_eq!(facts.currency.as_deref(), Some("usd"));
    assert_eq!(facts.started, Some(StripeTime(5)));
}

#[test]
fn discounts_are_a_list_or_one_object() {
    let labels = |json: &str| -> Vec<String> {
        let of_subscription = facts(json).discounts;
        of_subscription.iter().map(|it| it.label().to_owned()).collect()
    };
    let base = r#"{"id":"sub_1","status":"active","#;
    assert_eq!(
        labels(&format!(r#"{base}"discounts":["di_1",{{"id":"di_2"}},7]}}"#)),
        ["di_1", "di_2"]
    );
    let one = r#""discount":{"coupon":{"id":"half"}}}"#;
    assert_eq!(labels(&format!("{base}{one}")), ["half"]);
    assert_eq!(labels(&format!(r#"{base}"discounts":[],{one}"#)), ["half"]);
    assert!(labels(&format!(r#"{base}"discounts":[],"discount":null}}"#)).is_empty());
}

#[test]
fn a_list_of_items_that_is_absent_is_no_item_and_the_period_stays() {
    let facts = facts(
        r#"{"id":"sub_1","status":"active","current_period_start":1,"current_period_end":9}"#,
    );
    assert!(facts.items.is_empty());
    assert_eq!(facts.current_period_start(), Some(StripeTime(1)));
    assert_eq!(facts.current_period_end(), Some(StripeTime(9)));
    assert_eq!(facts.earliest_period_end(), Some(StripeTime(9)));
}

#[test]
fn a_schedule_may_be_named_denied_or_not_spoken_of() {
    let schedule = |fields: &str| facts(&format!(r#"{{"status":"active"{fields}}}"#)).schedule;
    assert_eq!(schedule(""), ScheduleReference::NotReported);
    assert_eq!(schedule(r#","schedule":null"#), ScheduleReference::None);
    assert_eq!(schedule(r#","schedule":{"id":"s"}"#), ScheduleReference::Schedule("s".to_owned()));
}

#[test]
fn an_amount_stands_beside_the_currency_that_it_is_in() {
    let price = |options: &str| {
        let json = format!(
            r#"{{"id":"sub_1","status":"active","currency":"eur","items":{{"data":[{{"price":{{
            "id":"price_1","currency":"usd","unit_amount":2000,"unit_amount_decimal":"2000"
            {options}}}}}]}}}}"#
        );
        let price = facts(&json).items.remove(0).price;
        (price.currency.unwrap(), price.unit_amount, price.unit_amount_decimal)
    };
    let base = ("usd".to_owned(), Some(2000), Some("2000".to_owned()));
    assert_eq!(price(""), base);
    assert_eq!(price(r#","currency_options":{"gbp":{"unit_amount":1700}}"#), base);
    assert_eq!(price(r#","currency_options":7"#), base);
    let eur = r#","currency_options":{"usd":{"unit_amount":2000},
        "eur":{"unit_amount":1800,"unit_amount_decimal":"1800"}}"#;
    assert_eq!(price(eur), ("eur".to_owned(), Some(1800), Some("1800".to_owned())));
    // A price by tiers has an amount in no currency.
    let tiered = r#","currency_options":{"eur":{"unit_amount":null}}"#;
    assert_eq!(price(tiered), ("eur".to_owned(), None, None));
}

#[test]
fn a_package_price_says_how_many_it_buys() {
    let package = |item: &str| {
        let json = format!(r#"{{"status":"active","items":{{"data":[{item}]}}}}"#);
        facts(&json).items.remove(0).price.package.map(|it| (it.divide_by, it.round.unwrap()))
    };
    let five = Some((5, "up".to_owned()));
    assert_eq!(package(r#"{"price":{"transform_quantity":{"divide_by":5,"round":"up"}}}"#), five);
    assert_eq!(package(r#"{"plan":{"transform_usage":{"divide_by":5,"round":"up"}}}"#), five);
    assert_eq!(package(r#"{"price":{"transform_quantity":null}}"#), None);
}

#[test]
fn a_needed_field_of_a_wrong_type_is_an_error_and_an_unknown_field_is_not() {
    let parse = |json| serde_json::from_str::<Subscription<'_>>(json);
    assert!(parse(r#"{"id":"sub_1","status":7}"#).is_err());
    assert!(parse(r#"{"id":"sub_1"}"#).is_err());
    assert!(parse(r#"{"id":"sub_1","status":"active","current_period_end":"soon"}"#).is_err());
    assert!(parse(r#"{"id":"sub_1","status":"hibernating","novelty":[{}]}"#).is_ok());
}
