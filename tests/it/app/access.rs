//! Access over HTTP: exact for any number of subscriptions, and for any item of each.

use serde_json::{Value, json};
use subledger::projection::row::SubscriptionRow;
use subledger::store::DatabaseUrl;

use super::commands::{ran, subledger};
use super::server::{Event, TestServer};
use crate::raw;

/// Subscriptions of one user that grant nothing.
const DEAD: usize = 100_000;

/// Copies the row of a subscription so many times, under ids that sort right after its own.
pub(super) async fn multiply(url: &DatabaseUrl, subscription: &str, times: usize) {
    let stored = SubscriptionRow::COLUMNS.iter().map(|column| column.name);
    let stored: Vec<_> = stored.filter(|it| !SubscriptionRow::JOINED.contains(it)).collect();
    let copied = stored.iter().map(|column| match *column {
        "subscription_id" => "s.subscription_id || '_' || n.i".to_owned(),
        column => format!("s.{column}"),
    });
    let sql = format!(
        "INSERT INTO current_subscriptions_g1 ({}) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {times})
         SELECT {} FROM current_subscriptions_g1 AS s CROSS JOIN n WHERE s.subscription_id = '{subscription}'",
        stored.join(", "),
        copied.collect::<Vec<_>>().join(", ")
    );
    let mut connection = raw::read(url).await;
    connection.run(&sql).await;
}

/// Takes the copies away again: whoever compares the rows with the log finds them.
pub(super) async fn remove_copies(url: &DatabaseUrl, subscription: &str) {
    let sql = format!(
        "DELETE FROM current_subscriptions_g1 WHERE subscription_id LIKE '{subscription}#_%' ESCAPE '#'"
    );
    raw::read(url).await.run(&sql).await;
}

/// An event whose subscription has a second item.
fn of_two_items() -> String {
    let mut event: Value = serde_json::from_str(&Event::default().body()).unwrap();
    let items = &mut event["data"]["object"]["items"]["data"];
    let mut second = items[0].clone();
    second["id"] = "si_base".into();
    second["price"]["id"] = "price_base".into();
    second["price"]["product"] = "prod_base".into();
    second["price"]["lookup_key"] = "base".into();
    items.as_array_mut().unwrap().push(second);
    event.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_dead_subscriptions_of_lower_ids_deny_nobody_who_pays() {
    let server = TestServer::start().await;
    let dead = Event { subscription: "sub_0", status: "canceled", ..Event::default() };
    server.receive(dead.body()).await;
    let paid = Event { id: "evt_2", subscription: "sub_paid", ..Event::default() };
    server.receive(paid.body()).await;
    let url = crate::database(server.directory.path());
    multiply(&url, "sub_0", DEAD).await;
    let end = server.read("/v1/subscriptions/sub_paid").await["entitled_until"].clone();
    for path in [
        "/v1/users/user_1",
        "/v1/users/user_1?limit=1000",
        "/v1/users/user_1?price_id=price_1&product_id=prod_1&lookup_key=pro",
        "/v1/customers/cus_of_user_1",
        "/v1/customers/cus_of_user_1?product_id=prod_1",
    ] {
        let answer = server.read(path).await;
        assert_eq!((&answer["active"], &answer["entitled_until"]), (&true.into(), &end), "{path}");
        assert_eq!(answer["subscriptions"][0]["subscription_id"], "sub_paid", "{path}");
        assert!(answer["next"].is_string(), "{path}");
    }
    for path in ["/v1/users/user_1?price_id=price_2", "/v1/customers/cus_of_user_1?price_id=x"] {
        let answer = server.read(path).await;
        assert_eq!((&answer["active"], &answer["subscriptions"]), (&false.into(), &json!([])));
    }
    remove_copies(&url, "sub_0").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_a_user_lead_to_one_another_and_each_has_the_whole_answer() {
    let server = TestServer::start().await;
    for (id, subscription, status) in [
        ("evt_1", "sub_a", "canceled"),
        ("evt_2", "sub_b", "active"),
        ("evt_3", "sub_c", "canceled"),
        ("evt_4", "sub_d", "active"),
        ("evt_5", "sub_e", "canceled"),
    ] {
        server.receive(Event { id, subscription, status, ..Event::default() }.body()).await;
    }
    for holder in ["/v1/users/user_1", "/v1/customers/cus_of_user_1"] {
        let mut path = format!("{holder}?limit=2");
        let mut seen = Vec::new();
        loop {
            let page = server.read(&path).await;
            assert_eq!(page["active"], true, "{path}");
            let rows = page["subscriptions"].as_array().unwrap();
            seen.extend(rows.iter().map(|row| row["subscription_id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            path = format!("{holder}?limit=2&after={next}");
        }
        assert_eq!(seen, ["sub_b", "sub_d", "sub_a", "sub_c", "sub_e"]);
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_price_of_the_second_item_is_found_by_every_read() {
    let server = TestServer::start().await;
    server.receive(of_two_items()).await;
    let folder = server.directory.path();
    for (query, flags, found) in [
        ("price_id=price_base", &["--price", "price_base"][..], true),
        ("price_id=price_1", &["--price", "price_1"], true),
        ("product_id=prod_base", &["--product", "prod_base"], true),
        ("lookup_key=base", &["--lookup-key", "base"], true),
        (
            "price_id=price_base&product_id=prod_base",
            &["--price", "price_base", "--product", "prod_base"],
            true,
        ),
        // Both are there, and not of one item.
        (
            "price_id=price_base&product_id=prod_1",
            &["--price", "price_base", "--product", "prod_1"],
            false,
        ),
        ("price_id=price", &["--price", "price"], false),
    ] {
        let list = server.read(&format!("/v1/subscriptions?{query}")).await;
        assert_eq!(list["data"].as_array().unwrap().len(), usize::from(found), "{query}");
        for holder in ["users/user_1", "customers/cus_of_user_1"] {
            let answer = server.read(&format!("/v1/{holder}?{query}")).await;
            assert_eq!(answer["active"], found, "{holder} {query}");
        }
        let arguments = [&["current", "--format", "jsonl"], flags].concat();
        let shown = ran(&subledger(folder, &arguments).output().unwrap());
        assert_eq!((shown.status, shown.out.lines().count()), (0, usize::from(found)), "{query}");
    }
    server.stop().await;
}
