//! The objects against the expected final state and against the events.

use std::collections::BTreeMap;

use super::*;
use crate::simulate::{Versions, simulate};

/// All subscriptions of a client, also those on test clocks.
async fn subscriptions(client: &Client) -> Vec<Value> {
    let mut all = client.walk("/v1/subscriptions?status=all", 100).await;
    for clock in client.walk("/v1/test_helpers/test_clocks", 100).await {
        let clock = clock["id"].as_str().unwrap();
        let url = format!("/v1/subscriptions?status=all&test_clock={clock}");
        all.extend(client.walk(&url, 100).await);
    }
    all
}

#[tokio::test]
async fn every_subscription_is_as_the_truth_says() {
    let mut checked = 0;
    for client in Client::all(world()) {
        let livemode = client.key == LIVE_KEY;
        for it in subscriptions(&client).await {
            let of = |row: &&TruthRow| {
                row.account == client.account
                    && row.livemode == livemode
                    && it["id"] == row.subscription_id.as_str()
            };
            let row = world().truth().iter().find(of).unwrap();
            assert_eq!(it["status"], row.status);
            assert_eq!(it["customer"], row.customer_id.as_str());
            assert_eq!(it["items"]["data"][0]["price"]["id"].as_str(), row.price_id);
            assert_eq!(it["items"]["data"][0]["quantity"].as_i64(), row.quantity);
            assert_eq!(it["cancel_at_period_end"], row.cancel_at_period_end);
            assert_eq!(it["cancellation_details"]["reason"].as_str(), row.cancellation_reason);
            let time = |field: &str| it[field].as_i64().map(StripeTime);
            assert_eq!(time("created"), row.created_at);
            assert_eq!(time("canceled_at"), row.canceled_at);
            assert_eq!(time("cancel_at"), row.cancel_at);
            assert_eq!(time("ended_at"), row.ended_at);
            assert_eq!(time("trial_end"), row.trial_end);
            checked += 1;
        }
    }
    assert_eq!(checked, world().truth().len());
}

#[tokio::test]
async fn every_latest_invoice_exists_unless_it_was_a_draft_that_was_deleted() {
    for client in Client::all(world()) {
        let invoices = client.walk("/v1/invoices", 100).await;
        let statuses: BTreeMap<_, _> =
            invoices.iter().map(|it| (it["id"].as_str().unwrap(), &it["status"])).collect();
        for row in world().truth() {
            let livemode = client.key == LIVE_KEY;
            if row.account != client.account || row.livemode != livemode {
                continue;
            }
            let Some(latest) = &row.latest_invoice_id else { continue };
            let status = statuses[latest.as_str()].as_str();
            assert_eq!(status, row.latest_invoice_status);
        }
    }
}

#[tokio::test]
async fn objects_are_the_last_snapshots_that_the_events_had() {
    let one = Versions::One(ApiVersion::Endive);
    let plan = Plan { api_version: one, subscriptions: 60, ..plan() };
    let stripe = SimulatedStripe::new(&plan, Options::default());
    let client = live(&stripe);
    let mut last: BTreeMap<(String, String), (String, Value)> = BTreeMap::new();
    for event in simulate(&plan).events.into_iter().filter(|it| it.account.is_empty()) {
        let body: Value = event.body.parse().unwrap();
        let object = &body["data"]["object"];
        let kind = event.event_type.as_str();
        let expired = kind == "customer.subscription.pending_update_expired";
        let upcoming = kind == "invoice.upcoming";
        if let Some(id) = object["id"].as_str().filter(|_| event.livemode && !expired && !upcoming)
        {
            let noun = object["object"].as_str().unwrap().to_owned();
            last.insert((id.to_owned(), noun), (event.event_type.clone(), object.clone()));
        }
    }
    let deleted: Vec<&str> = last
        .values()
        .filter(|(kind, _)| kind == "customer.deleted")
        .map(|(_, customer)| customer["id"].as_str().unwrap())
        .collect();
    let mut checked = 0;
    for url in [
        "/v1/subscriptions?status=all",
        "/v1/customers",
        "/v1/invoices",
        "/v1/checkout/sessions",
        "/v1/subscription_schedules",
        "/v1/products",
        "/v1/prices",
    ] {
        for object in client.walk(url, 100).await {
            let of = |field: &str| object[field].as_str().unwrap().to_owned();
            let (_, snapshot) = &last[&(of("id"), of("object"))];
            let of_deleted = object["customer"].as_str().is_some_and(|it| deleted.contains(&it));
            if of_deleted && url.starts_with("/v1/subscriptions") {
                assert!(object["ended_at"].is_i64());
                continue;
            }
            assert_eq!(&object, snapshot);
            checked += 1;
        }
    }
    assert!(checked > 200, "{checked}");
}

#[tokio::test]
async fn a_deleted_customer_is_not_listed_and_says_that_it_is_deleted() {
    let client = live(world());
    let listed = client.walk("/v1/customers", 100).await;
    let mut found = 0;
    for it in client.walk("/v1/subscriptions?status=canceled", 100).await {
        let customer = it["customer"].as_str().unwrap();
        if ids(&listed).contains(&customer) {
            continue;
        }
        let gone = client.get(&format!("/v1/customers/{customer}")).await;
        let expected = serde_json::json!({ "id": customer, "object": "customer", "deleted": true });
        assert_eq!((gone.status, gone.body), (200, expected));
        found += 1;
    }
    assert!(found > 0);
}
