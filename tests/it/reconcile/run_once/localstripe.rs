//! Reconciliation with a fake of Stripe that others wrote, which sends no event when a subscription is changed.

use std::time::Duration;

use subledger::backfill::{FoldWait, Step};
use subledger::clock::Clock;
use subledger::ids::{EventId, Mode};
use subledger::reconcile::{Class, Options, Report, reconcile};
use subledger::store::Store;

use crate::app::server::{SECRET, TestServer};
use crate::backfill::run_once::localstripe::Localstripe;

/// Lists that it has.
const STEPS: [Step; 4] = [Step::Events, Step::Customers, Step::Subscriptions, Step::Remaining];

async fn reconciled(stripe: &Localstripe, store: &Store, apply: bool) -> Report {
    let options = Options {
        apply,
        settle: Duration::ZERO,
        steps: STEPS.to_vec(),
        ..Options::new(Localstripe::scope())
    };
    let fold = FoldWait::beside_service(store);
    let client = stripe.client();
    let report = reconcile(store, &client, &fold, &options, &Clock::System, &mut |_| ()).await;
    report.unwrap()
}

/// Waits until the ledger has all events that the fake has made.
async fn all_delivered(server: &TestServer, stripe: &Localstripe) {
    let made = stripe.get("events?limit=1000").await;
    let made = made["data"].as_array().unwrap().iter();
    let made: Vec<EventId> = made.map(|it| EventId::new(it["id"].as_str().unwrap())).collect();
    let scope = Localstripe::scope();
    while server.store().log.known_events(&scope, &made).await.unwrap().len() < made.len() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.caught_up().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exactly_the_changes_are_found_of_which_no_event_was_sent() {
    let stripe = Localstripe::start();
    let server = TestServer::with(|options| {
        options.clock = Clock::System;
        // Its events are an hour old.
        options.tolerance_seconds = 7_200;
        options.mode = Mode::Test;
    })
    .await;
    stripe.deliver_to(&server.webhook(), SECRET).await;
    stripe.post("products", "id=prod_pro&name=Pro&type=service").await;
    for (plan, interval) in [("monthly", "month"), ("yearly", "year")] {
        let form = format!("id={plan}&amount=0&currency=eur&interval={interval}&product=prod_pro");
        stripe.post("plans", &form).await;
    }
    let mut subscriptions = Vec::new();
    for number in 0..8 {
        let customer = stripe.customer(&format!("user_{number}")).await;
        subscriptions.push(stripe.subscription(&customer, "monthly", "").await);
    }
    all_delivered(&server, &stripe).await;
    assert_eq!(server.read("/v1/drift").await["data"], serde_json::json!([]));
    let store = server.store();
    // What it sends of an invoice and of a new subscription is not always their last state.
    reconciled(&stripe, store, true).await;
    assert_eq!(reconciled(&stripe, store, false).await.differences, []);

    let change = "items[0][plan]=yearly&items[0][quantity]=5";
    stripe.post(&format!("subscriptions/{}", subscriptions[1]), change).await;
    stripe.post(&format!("subscriptions/{}", subscriptions[4]), "cancel_at_period_end=true").await;
    // It sends an event of this one.
    stripe.cancel(&subscriptions[6]).await;
    all_delivered(&server, &stripe).await;
    let report = reconciled(&stripe, store, false).await;
    let mut found: Vec<&str> =
        report.differences.iter().map(|it| it.subscription_id.as_str()).collect();
    found.sort_unstable();
    let mut expected = [subscriptions[1].as_str(), subscriptions[4].as_str()];
    expected.sort_unstable();
    assert_eq!(found, expected, "{report:#?}");
    assert_eq!(report.compared, 8);
    for it in &report.differences {
        assert_eq!((it.class, it.event_count), (Class::MissedDelivery, 0), "{it:#?}");
        let field = if it.subscription_id.as_str() == subscriptions[1] {
            "quantity"
        } else {
            "cancel_at_period_end"
        };
        assert!(it.fields.iter().any(|it| it.field == field), "{it:#?}");
    }
    let drift = server.read("/v1/drift").await;
    assert_eq!(drift["data"][0]["report"]["drift"], 2);
    assert_eq!(drift["data"][0]["livemode"], false);

    let healed = reconciled(&stripe, store, true).await;
    assert!(healed.differences.iter().all(|it| it.is_healed == Some(true)), "{healed:#?}");
    assert_eq!(reconciled(&stripe, store, true).await.differences, []);
    server.stop().await;
}
