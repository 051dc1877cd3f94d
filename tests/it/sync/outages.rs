//! Lost deliveries and outages: the next sync heals them, and the coverage states what was missed.

use subledger::coverage::GapReason;
use subledger::ids::{Position, Scope};
use subledger::time::{DAY_SECONDS, StripeTime};

use super::lost::Ledger;
use crate::backfill::world::World;

fn live() -> Scope {
    Scope { livemode: true, ..Scope::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_lost_deliveries_the_next_sync_makes_every_row_true_and_says_what_was_missed() {
    for percent in [1, 10, 50] {
        // Enough events that one in a hundred is lost.
        let subscriptions = if percent == 1 { 150 } else { 50 };
        let world = World::start(31, subscriptions).await;
        let ledger = Ledger::with_losses(world, 20 * DAY_SECONDS, percent).await;
        assert!(ledger.world.scopes().iter().any(|it| ledger.lost(it) > 0), "{percent} %");
        ledger.sync_all().await;
        ledger.assert_whole().await;
        let size = ledger.store.log.head().await.unwrap().size;
        let stripe = &ledger.world.stripe;
        stripe.set_now(StripeTime(stripe.now().0 + 300));
        ledger.sync_all().await;
        assert_eq!(ledger.store.log.head().await.unwrap().size, size, "nothing is appended twice");
        for scope in ledger.world.scopes() {
            assert_eq!(ledger.missed(&scope).await, ledger.lost(&scope), "{scope:?}");
        }
        let redelivered = ledger.store.log.redeliveries(Position(1), size).await;
        assert_eq!(redelivered.unwrap(), [], "listing an event again is no redelivery");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_an_hour_two_days_or_29_days_is_caught_up_with_by_the_next_sync() {
    for seconds in [3_600, 2 * DAY_SECONDS, 29 * DAY_SECONDS] {
        let world = World::start(32, 50).await;
        let ledger = Ledger::with_losses(world, seconds, 100).await;
        ledger.sync_all().await;
        ledger.assert_whole().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_of_40_days_leaves_a_gap_that_stripe_no_longer_lists() {
    let ledger = Ledger::with_losses(World::start(33, 40).await, 40 * DAY_SECONDS, 100).await;
    ledger.sync(&live()).await.unwrap();
    let now = ledger.world.stripe.now();
    let gaps = ledger.coverage(&live()).await.gaps(StripeTime(now.0 - 30));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!(gaps[0].reason, GapReason::OlderThanListed);
    assert_eq!(gaps[0].from.0, now.0 - 40 * DAY_SECONDS);
    assert_eq!(gaps[0].to.0, now.0 - 30 * DAY_SECONDS + 600);
    assert!(ledger.missed(&live()).await < ledger.lost(&live()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_sync_of_a_ledger_that_was_never_backfilled_begins_30_days_ago() {
    let ledger = Ledger::with_losses(World::start(34, 40).await, 0, 0).await;
    let scope = Scope { account: "acct_new".into(), livemode: true };
    let other = live();
    let folder = tempfile::tempdir().unwrap();
    let mut empty = ledger;
    empty.store = crate::ledger::open(folder.path()).await;
    let synced = empty.sync(&other).await.unwrap();
    assert!(synced.appended > 0, "{synced:?}");
    let now = empty.world.stripe.now();
    let coverage = empty.coverage(&other).await;
    assert_eq!(coverage.complete_to().unwrap().0, now.0 - 30);
    let gaps = coverage.gaps(StripeTime(now.0 - 30));
    assert_eq!(gaps.len(), 1, "{gaps:?}");
    assert_eq!((gaps[0].from.0, gaps[0].reason), (0, GapReason::NeverBackfilled));
    assert!(empty.sync(&scope).await.is_err(), "the key has no access to this account");
}
