//! Access of a user, of a customer, and of many at once.

mod known;
mod questions;
mod rows;
mod together;
mod tokens;

use reqwest::header::{HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use subledger::time::{ReceivedAt, StripeTime};

use super::server::{Event, NOW, TOKEN, TestServer, json_of};

/// Instant so many days after the server's clock.
fn days(days: i64) -> Value {
    let now = ReceivedAt::parse(NOW).unwrap().to_stripe_time();
    // The period of an event begins an hour before.
    Value::from(StripeTime(now.0 - 3_600).plus_days(days).to_string())
}

fn seconds(days: i64) -> i64 {
    ReceivedAt::parse(NOW).unwrap().to_stripe_time().0 - 3_600 + days * 86_400
}

/// Body of an event, with changes to its subscription.
fn changed(event: &Event, change: impl FnOnce(&mut Value)) -> String {
    let mut body: Value = serde_json::from_str(&event.body()).unwrap();
    change(&mut body["data"]["object"]);
    body.to_string()
}

/// Sets the item of a subscription.
fn set_item(subscription: &mut Value, price: &str, product: &str, lookup_key: &str) {
    let item = &mut subscription["items"]["data"][0]["price"];
    item["id"] = price.into();
    item["product"] = product.into();
    item["lookup_key"] = lookup_key.into();
}

async fn ask(server: &TestServer, question: &Value, query: &str) -> Response {
    let url = format!("{}/v1/access{query}", server.url);
    let request = server.client.post(url).bearer_auth(TOKEN).body(question.to_string());
    request.send().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_who_has_access_until_when_and_to_what() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let mut expected = json!({
        "user_id": "user_1",
        "mode": "live",
        "active": true,
        "until": days(60),
        "paid_until": null,
        "reason": "active",
        "renews_at": days(30),
        "covers": {
            "products": [{ "id": "prod_1", "until": days(60) }],
            "prices": [{ "id": "price_1", "until": days(60) }],
            "lookup_keys": [{ "id": "pro", "until": days(60) }],
            "features": [],
        },
        "known": true,
        "position": 1,
    });
    assert_eq!(server.read("/v1/users/user_1/access").await, expected);
    expected.as_object_mut().unwrap().remove("user_id");
    expected["customer_id"] = "cus_of_user_1".into();
    assert_eq!(server.read("/v1/customers/cus_of_user_1/access").await, expected);
    assert_eq!(server.read("/v1/customers/cus_of_user_1/access/").await, expected);
    let response = server.get("/v1/users/user_1/access").await;
    assert_eq!(response.headers()["cache-control"], "private, no-cache");
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["subledger-position"], "1");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_customers_of_a_user_are_one_and_each_is_its_own() {
    let server = TestServer::start().await;
    for (id, subscription, customer, status, product) in [
        ("evt_1", "sub_1", "cus_1", "canceled", "prod_1"),
        ("evt_2", "sub_2", "cus_2", "active", "prod_2"),
        ("evt_3", "sub_3", "cus_3", "active", "prod_3"),
    ] {
        let event = Event { id, subscription, status, ..Event::default() };
        let body = changed(&event, |it| {
            it["customer"] = customer.into();
            set_item(it, &format!("price_of_{product}"), product, product);
            if customer == "cus_3" {
                it["cancel_at"] = seconds(10).into();
            }
        });
        server.receive(body).await;
    }
    let user = server.read("/v1/users/user_1/access").await;
    assert_eq!((&user["active"], &user["until"]), (&true.into(), &days(60)));
    let products =
        json!([{ "id": "prod_2", "until": days(60) }, { "id": "prod_3", "until": days(10) }]);
    assert_eq!(user["covers"]["products"], products);
    for (customer, active, end, reason, renews_at) in [
        ("cus_1", false, Value::Null, "ended", Value::Null),
        ("cus_2", true, days(60), "active", days(30)),
        ("cus_3", true, days(10), "active", Value::Null),
        ("cus_4", false, Value::Null, "no_subscription", Value::Null),
    ] {
        let answer = server.read(&format!("/v1/customers/{customer}/access")).await;
        let found = (&answer["active"], &answer["until"], &answer["reason"], &answer["renews_at"]);
        assert_eq!(found, (&active.into(), &end, &reason.into(), &renews_at), "{customer}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_moves_to_another_user_takes_the_access_with_it() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let active = async |user: &str| {
        let answer = server.read(&format!("/v1/users/{user}/access")).await;
        (answer["active"] == true, answer["reason"].clone())
    };
    assert_eq!(active("user_1").await, (true, "active".into()));
    let mut moved: Value = serde_json::from_str(&Event::default().body()).unwrap();
    moved["id"] = "evt_2".into();
    moved["type"] = "customer.subscription.updated".into();
    moved["created"] = (seconds(0) + 60).into();
    moved["data"]["object"]["metadata"]["user_id"] = "user_2".into();
    moved["data"]["previous_attributes"] = json!({ "metadata": { "user_id": "user_1" } });
    server.receive(moved.to_string()).await;
    assert_eq!(active("user_1").await, (false, "no_subscription".into()));
    assert_eq!(active("user_2").await, (true, "active".into()));
    let customer = server.read("/v1/customers/cus_of_user_1/access").await;
    assert_eq!(customer["active"], true);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_item_and_a_feature_can_be_asked_for() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let other = Event { id: "evt_2", subscription: "sub_2", ..Event::default() };
    server
        .receive(changed(&other, |it| {
            set_item(it, "price_2", "prod_2", "base");
            it["cancel_at"] = seconds(5).into();
        }))
        .await;
    let features = json!({
        "id": "evt_3",
        "object": "event",
        "created": seconds(0),
        "livemode": true,
        "type": "entitlements.active_entitlement_summary.updated",
        "data": { "object": {
            "object": "entitlements.active_entitlement_summary",
            "customer": "cus_of_user_1",
            "livemode": true,
            "entitlements": { "object": "list", "data": [{ "lookup_key": "sso" }], "has_more": false },
        } },
    });
    server.receive(features.to_string()).await;
    for (query, active, end) in [
        ("product_id=prod_1", true, days(60)),
        ("product_id=prod_2", true, days(5)),
        ("product_id=prod_3", false, Value::Null),
        ("price_id=price_1", true, days(60)),
        ("price_id=price_2", true, days(5)),
        ("price_id=prod_1", false, Value::Null),
        ("lookup_key=pro", true, days(60)),
        ("lookup_key=base", true, days(5)),
        ("lookup_key=sso", false, Value::Null),
        ("feature=sso", true, days(60)),
        ("feature=pro", false, Value::Null),
        ("price_id=price_2&product_id=prod_2&lookup_key=base", true, days(5)),
        // Both are there, and not of one item.
        ("price_id=price_2&product_id=prod_1", false, Value::Null),
        ("lookup_key=base&feature=sso", true, days(5)),
        ("lookup_key=base&feature=audit", false, Value::Null),
    ] {
        for holder in ["users/user_1", "customers/cus_of_user_1"] {
            let answer = server.read(&format!("/v1/{holder}/access?{query}")).await;
            assert_eq!((&answer["active"], &answer["until"]), (&active.into(), &end), "{query}");
            assert_eq!(answer["reason"], if active { "active" } else { "not_included" }, "{query}");
            assert_eq!(answer["covers"]["prices"].as_array().unwrap().len(), 2, "{query}");
        }
        let question = json!({ "users": ["user_1"] });
        let many = json_of(ask(&server, &question, &format!("?{query}")).await).await;
        assert_eq!(many["data"][0]["active"], active, "{query}");
    }
    for query in ["prodct_id=prod_1", "feature=", "feature=a&feature=b", "limit=1"] {
        let response = server.get(&format!("/v1/users/user_1/access?{query}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        assert_eq!(json_of(response).await["type"], "bad-parameter", "{query}");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trial_shows_its_own_end_and_that_of_the_policy() {
    let server = TestServer::start().await;
    let trial = Event { status: "trialing", ..Event::default() };
    server
        .receive(changed(&trial, |it| {
            it["trial_start"] = seconds(0).into();
            it["trial_end"] = seconds(14).into();
            it["items"]["data"][0]["current_period_end"] = seconds(14).into();
        }))
        .await;
    let answer = server.read("/v1/users/user_1/access").await;
    assert_eq!((&answer["active"], &answer["reason"]), (&true.into(), &"trial".into()));
    assert_eq!((&answer["until"], &answer["paid_until"]), (&days(44), &days(14)));
    assert_eq!(answer["renews_at"], days(14));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_the_answer_gets_304_whatever_happened_to_others() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let path = "/v1/users/user_1/access";
    let first = server.get(path).await;
    let tag = first.headers()["etag"].clone();
    assert!(tag.to_str().unwrap().starts_with("W/\""), "the position is no part of it: {tag:?}");
    let again = async |tag: &HeaderValue| {
        let request = server.client.get(format!("{}{path}", server.url)).bearer_auth(TOKEN);
        request.header(IF_NONE_MATCH, tag).send().await.unwrap()
    };
    let other = Event { id: "evt_2", subscription: "sub_2", user: "user_2", ..Event::default() };
    server.receive(other.body()).await;
    let unchanged = again(&tag).await;
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    let headers: &HeaderMap = unchanged.headers();
    assert_eq!((&headers["etag"], &headers["subledger-position"]), (&tag, &"2".parse().unwrap()));
    assert_eq!(headers["cache-control"], "private, no-cache");
    assert_eq!(unchanged.text().await.unwrap(), "");
    assert_eq!(server.read(path).await["position"], 2);

    let own = Event { id: "evt_3", subscription: "sub_3", ..Event::default() };
    server.receive(changed(&own, |it| set_item(it, "price_3", "prod_3", "c"))).await;
    let changed = again(&tag).await;
    assert_eq!(changed.status(), StatusCode::OK);
    assert_ne!(changed.headers()["etag"], tag);
    server.stop().await;
}
