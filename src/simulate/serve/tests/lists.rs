//! Pages, cursors and filters.

use std::collections::BTreeSet;

use super::*;

const LISTS: [&str; 9] = [
    "/v1/subscriptions?status=all",
    "/v1/customers",
    "/v1/invoices",
    "/v1/events",
    "/v1/checkout/sessions",
    "/v1/subscription_schedules",
    "/v1/products",
    "/v1/prices",
    "/v1/test_helpers/test_clocks",
];

#[tokio::test]
async fn cursors_walk_every_object_exactly_once_newest_first() {
    for client in Client::all(world()) {
        for url in LISTS {
            let at_once = client.walk(url, 100).await;
            assert_eq!(ids(&client.walk(url, 3).await), ids(&at_once), "{url}");
            assert_eq!(ids(&at_once).into_iter().collect::<BTreeSet<_>>().len(), at_once.len());
            assert!(at_once.is_sorted_by_key(|it| std::cmp::Reverse(it["created"].as_i64())));
        }
    }
}

#[tokio::test]
async fn pages_before_a_cursor_end_just_before_it() {
    let client = live(world());
    let all = client.walk("/v1/invoices", 100).await;
    let cursor = all[50]["id"].as_str().unwrap();
    let page = client.get(&format!("/v1/invoices?limit=8&ending_before={cursor}")).await;
    assert_eq!(ids(page.body["data"].as_array().unwrap()), ids(&all[42..50]));
    assert_eq!(page.body["has_more"], true);
    let cursor = all[5]["id"].as_str().unwrap();
    let page = client.get(&format!("/v1/invoices?limit=8&ending_before={cursor}")).await;
    assert_eq!(ids(page.body["data"].as_array().unwrap()), ids(&all[..5]));
    assert_eq!(
        (&page.body["has_more"], &page.body["url"]),
        (&false.into(), &"/v1/invoices".into())
    );
}

#[tokio::test]
async fn a_page_has_ten_objects_unless_asked_and_at_most_a_hundred() {
    let client = live(world());
    let page = client.get("/v1/customers").await;
    assert_eq!(page.body["data"].as_array().unwrap().len(), 10);
    for (limit, code) in [("101", "parameter_invalid_integer"), ("0", "parameter_invalid_integer")]
    {
        let refused = client.get(&format!("/v1/customers?limit={limit}")).await;
        assert_eq!((refused.status, refused.error("code")), (400, code));
        assert_eq!(refused.error("param"), "limit");
    }
    let refused = client.get("/v1/customers?sort=asc").await;
    assert_eq!((refused.status, refused.error("code")), (400, "parameter_unknown"));
    let refused = client.get("/v1/customers?starting_after=cus_unknown").await;
    assert_eq!((refused.status, refused.error("code")), (400, "resource_missing"));
}

#[tokio::test]
async fn without_a_status_canceled_subscriptions_are_hidden() {
    let client = live(world());
    let all = client.walk("/v1/subscriptions?status=all", 100).await;
    let shown = client.walk("/v1/subscriptions", 100).await;
    let canceled = client.walk("/v1/subscriptions?status=canceled", 100).await;
    let ended = client.walk("/v1/subscriptions?status=ended", 100).await;
    assert!(!canceled.is_empty() && canceled.iter().all(|it| it["status"] == "canceled"));
    assert_eq!(shown.len() + canceled.len(), all.len());
    assert!(ended.len() > canceled.len(), "those that expired have ended too");
    assert_eq!(client.get("/v1/subscriptions?status=dead").await.status, 400);
}

#[tokio::test]
async fn subscriptions_on_test_clocks_are_listed_only_by_clock_or_customer() {
    let client = test(world());
    let shown = client.walk("/v1/subscriptions?status=all", 100).await;
    assert!(shown.iter().all(|it| it["test_clock"].is_null()));
    let mut found = 0;
    for clock in client.walk("/v1/test_helpers/test_clocks", 100).await {
        let clock = clock["id"].as_str().unwrap();
        let url = format!("/v1/subscriptions?status=all&test_clock={clock}");
        for subscription in client.walk(&url, 2).await {
            assert_eq!(subscription["test_clock"], clock);
            let customer = subscription["customer"].as_str().unwrap();
            let url = format!("/v1/subscriptions?status=all&customer={customer}");
            let of_customer = client.walk(&url, 100).await;
            assert!(ids(&of_customer).contains(&subscription["id"].as_str().unwrap()));
            found += 1;
        }
    }
    assert!(found > 0);
    assert_eq!(shown.len() + found, world().counts("", false).subscriptions);
}

#[tokio::test]
async fn filters_select_the_same_objects_as_a_scan() {
    let client = live(world());
    let all = client.walk("/v1/invoices", 100).await;
    let middle = &all[all.len() / 2];
    let created = middle["created"].as_i64().unwrap();
    for (filter, wanted) in [
        (format!("created[gte]={created}"), 0),
        (format!("created[gt]={created}"), 1),
        (format!("created[lte]={created}"), 2),
        (format!("created[lt]={created}"), 3),
        (format!("created={created}"), 4),
    ] {
        let found = client.walk(&format!("/v1/invoices?{filter}"), 9).await;
        let by_scan = all.iter().filter(|it| {
            let time = it["created"].as_i64().unwrap();
            [time >= created, time > created, time <= created, time < created, time == created]
                [wanted]
        });
        assert_eq!(found, by_scan.cloned().collect::<Vec<_>>(), "{filter}");
    }
    let customer = middle["customer"].as_str().unwrap();
    let found = client.walk(&format!("/v1/invoices?customer={customer}"), 2).await;
    assert!(!found.is_empty());
    assert_eq!(
        found,
        all.iter().filter(|it| it["customer"] == customer).cloned().collect::<Vec<_>>()
    );
    let paid = client.walk("/v1/invoices?status=paid", 100).await;
    assert_eq!(paid.len(), all.iter().filter(|it| it["status"] == "paid").count());
}

#[tokio::test]
async fn a_list_by_subscription_holds_its_objects_alone() {
    let client = live(world());
    let mut found = 0;
    for session in client.walk("/v1/checkout/sessions", 100).await {
        let Some(subscription) = session["subscription"].as_str() else { continue };
        for noun in ["checkout/sessions", "invoices"] {
            let url = format!("/v1/{noun}?subscription={subscription}&limit=100");
            let page = client.get(&url).await;
            assert!(!page.body["data"].as_array().unwrap().is_empty());
        }
        let url = format!("/v1/checkout/sessions?subscription={subscription}");
        assert_eq!(ids(&client.walk(&url, 10).await), [session["id"].as_str().unwrap()]);
        found += 1;
    }
    assert!(found > 10);
}

#[tokio::test]
async fn every_object_is_rendered_at_the_version_of_the_request() {
    let client = live(world());
    let at = async |version: &'static str| {
        let request = client.request("GET", "/v1/subscriptions?limit=1");
        let request = request.header("stripe-version", version).body(Body::empty()).unwrap();
        client.send(request).await.unwrap()
    };
    let old = at("2024-12-18.acacia").await;
    assert!(old.body["data"][0]["current_period_end"].is_i64());
    assert_eq!(old.header("stripe-version"), "2024-12-18.acacia");
    let new = at("2026-09-30.endive").await;
    assert!(new.body["data"][0]["current_period_end"].is_null());
    assert!(new.body["data"][0]["items"]["data"][0]["current_period_end"].is_i64());
    let own = client.get("/v1/subscriptions?limit=1").await;
    assert_eq!(
        (own.body, own.headers["stripe-version"].as_bytes()),
        (new.body, &b"2026-09-30.endive"[..])
    );
    assert_eq!(at("newest").await.status, 400);
}
