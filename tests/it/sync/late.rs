//! Stripe's list is eventually consistent: what becomes visible late is not lost.

use std::collections::BTreeSet;

use subledger::ids::Scope;
use subledger::simulate::Plan;
use subledger::simulate::serve::Options;
use subledger::time::{DAY_SECONDS, StripeTime};

use super::lost::Ledger;
use crate::backfill::world::World;
use crate::order::Dice;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_is_up_to_a_minute_late_loses_nothing_and_each_event_is_counted_once() {
    let options = Options { events_late_seconds_max: 60, ..Options::default() };
    let plan = Plan { seed: 35, subscriptions: 60, ..Plan::default() };
    let world = World::with(plan, options).await;
    let mut ledger = Ledger::with_losses(world, 0, 0).await;
    let end = ledger.world.stripe.now();
    // Again, with another ledger that has heard nothing for two days.
    let folder = tempfile::tempdir().unwrap();
    ledger.store = crate::ledger::open(folder.path()).await;
    let began = end.0 - 2 * DAY_SECONDS;
    ledger.hear(i64::MIN, began, |_| true).await;
    ledger.hear(began, end.0, |_| false).await;
    ledger.cover_to(began).await;
    let scope = Scope { livemode: true, ..Scope::default() };
    let dice = &mut Dice::new(5);
    let mut times: BTreeSet<i64> = BTreeSet::from([end.0]);
    // Syncs shortly after events, and so early that many are not visible yet.
    for event in ledger.world.events.iter().filter(|it| it.created >= began) {
        for _ in 0..2 {
            times.insert(event.created + i64::try_from(dice.between(20, 170)).unwrap());
        }
    }
    for now in times.range(..=end.0) {
        ledger.world.stripe.set_now(StripeTime(*now));
        ledger.sync(&scope).await.unwrap();
    }
    assert!(ledger.lost(&scope) > 20, "{}", ledger.lost(&scope));
    assert_eq!(ledger.missed(&scope).await, ledger.lost(&scope));
    for other in ledger.world.scopes() {
        ledger.sync(&other).await.unwrap();
    }
    ledger.assert_whole().await;
}
