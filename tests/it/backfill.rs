//! Backfill against a simulated Stripe whose truth is known.

pub(crate) mod comparison;
mod coverage;
pub(crate) mod run_once;
mod thin;
pub(crate) mod world;

use std::collections::BTreeMap;
use std::sync::Arc;

use subledger::backfill::BackfillError;
use subledger::ids::{AccountId, Scope};
use subledger::projection::row::SubscriptionRow;
use subledger::simulate::serve::{Faults, PLATFORM_ACCOUNT};
use subledger::store::BackfillProgress;
use tokio::sync::Notify;

use crate::ledger::{append_bodies, open, rows};
use crate::order::{Dice, rows_of, tell_all};
use comparison::Known;
use world::{Losses, World};

/// Differences between the rows of a ledger and Stripe's truth.
async fn wrong(rows: &[SubscriptionRow], world: &World) -> Vec<String> {
    let heard = rows_of(&tell_all(world.events.iter().map(|event| event.body.as_str())));
    let shown = world.shown_customers().await;
    Known { truth: world.stripe.truth(), heard: &heard, shown: &shown }.wrong(rows)
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

#[tokio::test(flavor = "multi_thread")]
async fn ones_own_account_by_its_id_appends_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let world = World::start(11, 20).await;
    world.hear(&store, &Losses { days_before: 0, outage: 0..0, percent: 0 }).await;
    let size = store.log.head().await.unwrap().size;
    let scope = Scope { account: AccountId::new(PLATFORM_ACCOUNT), livemode: true };
    let failed = world.backfill(&store, &scope, &mut |_| ()).await;
    assert!(matches!(failed, Err(BackfillError::OwnAccount(_))), "{failed:?}");
    assert_eq!(store.log.head().await.unwrap().size, size);
}
