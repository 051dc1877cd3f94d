//! Syncs that are killed at random moments, and go on.

use std::time::Duration;

use subledger::simulate::serve::Faults;
use subledger::time::DAY_SECONDS;

use super::lost::Ledger;
use crate::backfill::world::World;
use crate::order::Dice;

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_killed_again_and_again_goes_on_and_ends_the_same() {
    let ledger = Ledger::with_losses(World::start(36, 60).await, 29 * DAY_SECONDS, 60).await;
    let dice = &mut Dice::new(7);
    let mut kills = 0;
    for scope in ledger.world.scopes() {
        let lease = ledger.lease(&scope).await;
        loop {
            // Dropping a future ends it where it waits: in a request, a lookup or an append.
            let life = Duration::from_millis(dice.between(1, 60) as u64);
            match tokio::time::timeout(life, ledger.sync_under(&scope, &lease)).await {
                Ok(synced) => {
                    synced.unwrap();
                    break;
                }
                Err(_) => kills += 1,
            }
        }
        lease.release().await.unwrap();
    }
    assert!(kills > 5, "{kills}");
    ledger.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_failures_and_cut_answers_change_nothing_about_the_end() {
    let ledger = Ledger::with_losses(World::start(37, 60).await, 3 * DAY_SECONDS, 60).await;
    let faults = Faults {
        seed: 1,
        refusals: 0.1,
        server_errors: 0.1,
        conflicts: 0.05,
        cuts: 0.1,
        ..Faults::default()
    };
    ledger.world.stripe.set_faults(faults);
    ledger.sync_all().await;
    ledger.world.stripe.set_faults(Faults::default());
    ledger.assert_whole().await;
}
