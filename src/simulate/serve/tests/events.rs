//! The list of events: thirty days, visible late, in their own version.

use super::*;
use crate::simulate::{simulate, thin_twin};

const DAY: i64 = 86_400;

#[tokio::test]
async fn only_the_last_thirty_days_are_listed_as_they_were_rendered() {
    let stripe = world();
    let client = live(stripe);
    let listed = client.walk("/v1/events", 100).await;
    let simulation = simulate(&plan());
    let now = stripe.now().0;
    let since = now - 30 * DAY;
    let known = |id: &Value| simulation.events.iter().find(|it| *id == it.id.as_str()).unwrap();
    let expected = simulation
        .events
        .iter()
        .filter(|it| it.account.is_empty() && it.livemode && !it.is_thin())
        .filter(|it| (since..=now).contains(&it.created));
    assert_eq!(listed.len(), expected.count());
    for event in &listed {
        let sent: Value = known(&event["id"]).body.parse().unwrap();
        assert_eq!(event["api_version"], sent["api_version"], "not the version asked for");
        assert_eq!(event["data"], sent["data"]);
        assert_eq!(event["pending_webhooks"], 0);
    }
}

#[tokio::test]
async fn events_are_found_by_type_and_by_id() {
    let client = live(world());
    let all = client.walk("/v1/events", 100).await;
    let of = |wanted: fn(&str) -> bool| {
        all.iter().filter(move |it| wanted(it["type"].as_str().unwrap())).count()
    };
    let count = async |url: &str| client.walk(url, 100).await.len();
    assert_eq!(count("/v1/events?type=invoice.paid").await, of(|it| it == "invoice.paid"));
    let wild = count("/v1/events?type=customer.subscription.*").await;
    assert_eq!(wild, of(|it| it.starts_with("customer.subscription.")));
    let two = count("/v1/events?types[]=invoice.paid&types[]=invoice.created").await;
    assert_eq!(two, of(|it| it == "invoice.paid" || it == "invoice.created"));
    let both = client.get("/v1/events?type=invoice.paid&types[]=invoice.paid").await;
    assert_eq!(both.status, 400);
    let id = all[3]["id"].as_str().unwrap();
    assert_eq!(client.get(&format!("/v1/events/{id}")).await.body, all[3]);
}

#[tokio::test]
async fn a_thin_event_leads_to_its_snapshot_and_to_its_object() {
    let client = live(world());
    let simulation = simulate(&plan());
    let since = world().now().0 - 30 * DAY;
    let recent = simulation.events.iter().filter(|it| it.created >= since);
    let own = recent.filter(|it| it.account.is_empty() && it.livemode);
    let mut objects = 0;
    for event in own.filter(|it| it.event_type.starts_with("customer.subscription.")) {
        let thin: Value = thin_twin(event).unwrap().body.parse().unwrap();
        let snapshot = thin["snapshot_event"].as_str().unwrap();
        let snapshot = client.get(&format!("/v1/events/{snapshot}")).await.body;
        let object = client.get(thin["related_object"]["url"].as_str().unwrap()).await.body;
        assert_eq!(object["id"], snapshot["data"]["object"]["id"]);
        objects += 1;
    }
    assert!(objects > 5, "{objects}");
}

#[tokio::test]
async fn a_cursor_that_aged_out_is_refused() {
    let stripe = new(Options::default());
    let client = live(&stripe);
    let all = client.walk("/v1/events", 100).await;
    let oldest = all.last().unwrap();
    let id = oldest["id"].as_str().unwrap();
    let url = format!("/v1/events?starting_after={id}");
    assert_eq!(client.get(&url).await.status, 200);
    stripe.set_now(StripeTime(oldest["created"].as_i64().unwrap() + 30 * DAY + 1));
    let refused = client.get(&url).await;
    assert_eq!((refused.status, refused.error("param")), (400, "starting_after"));
    assert!(refused.error("message").contains("aged out of our retention policy"));
    let single = client.get(&format!("/v1/events/{id}")).await;
    assert_eq!((single.status, single.error("code")), (404, "resource_missing"));
}

#[tokio::test]
async fn young_events_are_visible_late() {
    let stripe = new(Options { events_visible_after_seconds: 5, ..Options::default() });
    let client = live(&stripe);
    let all = live(world()).walk("/v1/events", 100).await;
    let last = all[0]["created"].as_i64().unwrap();
    stripe.set_now(StripeTime(last + 4));
    let early = client.walk("/v1/events", 100).await;
    assert!(!ids(&early).contains(&ids(&all)[0]));
    stripe.set_now(StripeTime(last + 5));
    assert_eq!(client.get("/v1/events?limit=1").await.body["data"][0], all[0]);
}

#[tokio::test]
async fn a_lean_server_lists_the_same_events_and_objects() {
    let lean = new(Options { lean: true, ..Options::default() });
    for url in ["/v1/events", "/v1/subscriptions?status=all"] {
        let (a, b) = (live(&lean).walk(url, 100).await, live(world()).walk(url, 100).await);
        assert!(!a.is_empty() && a == b);
    }
    assert!(lean.truth().is_empty());
}
