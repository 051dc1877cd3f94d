//! Backfill against a simulated Stripe whose truth is known.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use subledger::backfill::BackfillError;
use subledger::ids::Scope;
use subledger::projection::row::{ItemRow, SubscriptionRow};

use subledger::simulate::serve::Faults;
use subledger::store::BackfillProgress;
use tokio::sync::Notify;

use crate::ledger::{append_bodies, open, rows};
use crate::order::{Dice, rows_of, tell_all};
use world::{Losses, World};

/// Fields of the truth that tell what led to a state. An observation does not show them.
const OF_EVENTS: [&str; 5] =
    ["api_version", "last_event_at", "last_event_id", "order_ambiguous", "payment_failed_at"];

/// Rows of the ledger that are not the truth, and what differs. Access is compared with the rows of a ledger that heard
/// every event, because Stripe knows no access.
async fn wrong(known: &[SubscriptionRow], world: &World) -> Vec<String> {
    let shown: BTreeSet<String> = world.shown_customers().await;
    let heard = rows_of(&tell_all(world.events.iter().map(|event| event.body.as_str())));
    let heard: BTreeMap<_, _> = heard.iter().map(|row| (&row.subscription_id, row)).collect();
    let mut known: BTreeMap<&str, &SubscriptionRow> =
        known.iter().map(|row| (row.subscription_id.as_str(), row)).collect();
    let mut wrong = Vec::new();
    for truth in world.stripe.truth() {
        let id = truth.subscription_id.as_str();
        let Some(row) = known.remove(id) else {
            wrong.push(format!("{id} is missing ({})", truth.status));
            continue;
        };
        let (truth, json) =
            (serde_json::to_value(truth).unwrap(), serde_json::to_value(row).unwrap());
        for (field, expected) in truth.as_object().unwrap() {
            // The API shows nothing of a deleted customer, and all features instead of ten.
            let is_shown = match field.as_str() {
                "email" => shown.contains(row.customer_id.as_str()),
                "features" | "features_truncated" => false,
                field => !OF_EVENTS.contains(&field),
            };
            if json[field] != *expected && is_shown {
                wrong.push(format!("{id} {field}: {} is not {expected}", json[field]));
            }
        }
        let heard = heard[&row.subscription_id];
        let access = |row: &SubscriptionRow| (row.entitled, row.entitled_until);
        if access(row) != access(heard) {
            wrong.push(format!("{id} access: {:?} is not {:?}", access(row), access(heard)));
        }
        let items = |row: &SubscriptionRow| {
            let item = |it: &ItemRow| (it.item_id.clone(), it.price_id.clone(), it.quantity);
            row.items.0.iter().map(item).collect::<Vec<_>>()
        };
        if items(row) != items(heard) {
            wrong.push(format!("{id} items: {:?} are not {:?}", items(row), items(heard)));
        }
    }
    wrong.extend(known.keys().map(|id| format!("{id} is not at Stripe")));
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn after_lost_deliveries_and_an_outage_every_subscription_is_as_at_stripe() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let world = World::start(7, 120).await;
    world.hear(&store, &Losses::default()).await;
    world.backfill_all(&store).await;
    let wrong = wrong(&rows(&store).await, &world).await;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    let size = store.log.head().await.unwrap().size;
    world.backfill_all(&store).await;
    assert_eq!(store.log.head().await.unwrap().size, size, "a second backfill appends nothing");
    let report = subledger::audit::verify(&store, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    let before = rows(&store).await;
    crate::ledger::rebuild(&store, &subledger::projection::Logic::default()).await;
    assert_eq!(rows(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill_that_is_killed_again_and_again_goes_on_and_ends_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let world = World::start(8, 80).await;
    world.hear(&store, &Losses::default()).await;
    let dice = &mut Dice::new(3);
    let mut kills = 0;
    for scope in world.scopes() {
        loop {
            // Dropping a future ends it where it waits: in a request, an append, or a wait for the fold.
            let pages = dice.between(1, 3);
            let (reached, mut pages_read) = (Arc::new(Notify::new()), 0);
            let notify = Arc::clone(&reached);
            let mut report = move |_: &BackfillProgress| {
                pages_read += 1;
                if pages_read == pages {
                    notify.notify_one();
                }
            };
            tokio::select! {
                done = world.backfill(&store, &scope, &mut report) => break drop(done.unwrap()),
                () = reached.notified() => kills += 1,
            }
        }
    }
    assert!(kills > 30, "{kills}");
    let wrong = wrong(&rows(&store).await, &world).await;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    // Every observation says something that the one before it did not.
    let observed = world.observed(&store).await;
    let mut counts: BTreeMap<_, usize> = BTreeMap::new();
    for it in &observed {
        *counts.entry(it).or_default() += 1;
    }
    let twice: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "{} objects were appended twice: {twice:#?}", twice.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_failures_and_cut_answers_change_nothing_about_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let world = World::start(9, 60).await;
    world.hear(&store, &Losses::default()).await;
    world.stripe.set_faults(Faults {
        seed: 1,
        refusals: 0.1,
        server_errors: 0.1,
        conflicts: 0.05,
        cuts: 0.1,
        ..Faults::default()
    });
    world.backfill_all(&store).await;
    world.stripe.set_faults(Faults::default());
    let wrong = wrong(&rows(&store).await, &world).await;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_stripe_no_longer_has_is_observed_as_gone() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let world = World::start(10, 5).await;
    let event = r#"{"id":"evt_1","object":"event","type":"customer.subscription.updated","created":1767300000,
        "livemode":true,"data":{"object":{"id":"sub_lost","object":"subscription","customer":"cus_lost",
        "status":"active","metadata":{"user_id":"u1"}}}}"#;
    append_bodies(&store, &[event]).await;
    world.hear(&store, &Losses { days_before: 0, outage: 0..0, percent: 0 }).await;
    world.backfill_all(&store).await;
    let rows = rows(&store).await;
    let lost = rows.iter().find(|row| row.subscription_id.as_str() == "sub_lost").unwrap();
    assert_eq!((lost.status.as_str(), lost.entitled), ("canceled", false));
    assert_eq!(lost.user_id.as_deref(), Some("u1"));
    assert!(lost.observed_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_account_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let (world, other) = (World::start(11, 20).await, World::start(12, 20).await);
    world.hear(&store, &Losses { days_before: 0, outage: 0..0, percent: 0 }).await;
    let size = store.log.head().await.unwrap().size;
    let scope = Scope { livemode: true, ..Scope::default() };
    let failed = other.backfill(&store, &scope, &mut |_| ()).await;
    assert!(matches!(failed, Err(BackfillError::OtherAccount(_))), "{failed:?}");
    assert_eq!(store.log.head().await.unwrap().size, size);
}
