//! Events that only Stripe's API knew, as histories and reads show them.

use serde_json::Value;
use subledger::ids::Scope;
use subledger::projection::Logic;
use subledger::simulate::SimulatedEvent;
use subledger::time::{DAY_SECONDS, StripeTime};

use super::lost::Ledger;
use crate::app::commands::run;
use crate::backfill::world::World;
use crate::ledger::{append_bodies, follow_to_the_end};

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_only_the_api_knew_is_never_delivered_until_a_webhook_delivers_it() {
    let ledger = Ledger::with_losses(World::start(39, 60).await, 20 * DAY_SECONDS, 30).await;
    let scope = Scope { livemode: true, ..Scope::default() };
    ledger.sync(&scope).await.unwrap();
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    let lost = lost_update(&ledger);
    let subscription = serde_json::from_str::<Value>(&lost.body).unwrap();
    let id = subscription["data"]["object"]["id"].as_str().unwrap().to_owned();
    let folder = ledger.folder.path();
    let shown = || {
        let history = run(folder, &["history", &id, "--format", "json"]);
        let history: Value = serde_json::from_str(&history.out).unwrap();
        let events = history["events"].as_array().unwrap();
        let event = events.iter().find(|it| it["event_id"] == lost.id.as_str()).unwrap();
        let table = run(folder, &["history", &id]).out;
        let single: Value = serde_json::from_str(&run(folder, &["event", &lost.id]).out).unwrap();
        (event["never_delivered"] == true, table, single["never_delivered"] == true)
    };
    let (is_marked, table, is_said) = shown();
    assert!(is_marked && is_said, "{table}");
    assert!(table.contains("never delivered"), "{table}");
    let marks = |table: &str| table.matches("never delivered").count();

    let missed = ledger.missed(&scope).await;
    append_bodies(&ledger.store, &[&lost.body]).await;
    let (is_marked, after, is_said) = shown();
    assert!(!is_marked && !is_said, "{after}");
    assert_eq!(marks(&after), marks(&table) - 1, "{after}");
    assert!(after.contains("again ×1"), "{after}");
    // What was missed at its time stays so.
    let stripe = &ledger.world.stripe;
    stripe.set_now(StripeTime(stripe.now().0 + 300));
    ledger.sync(&scope).await.unwrap();
    assert_eq!(ledger.missed(&scope).await, missed);
}

/// Lost update of a subscription of the own account.
fn lost_update(ledger: &Ledger) -> SimulatedEvent {
    let is_lost = |it: &&SimulatedEvent| {
        it.livemode
            && it.account.is_empty()
            && it.event_type == "customer.subscription.updated"
            && ledger.is_lost(it)
    };
    ledger.world.events.iter().find(is_lost).unwrap().clone()
}
