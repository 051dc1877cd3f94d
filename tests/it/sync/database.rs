//! Syncs during which the database goes away, and comes back.

use subledger::ids::{EventId, Scope};
use subledger::lease::{HeldLease, Taken, Task};
use subledger::simulate::SimulatedEvent;
use subledger::sync::{ScopeSync, SyncError};
use subledger::time::DAY_SECONDS;

use super::lost::Ledger;
use crate::backfill::world::World;
use crate::database_outage::DatabaseOutage;
use crate::order::Dice;
use crate::raw;

/// Greatest number of steps of a sync after which the database goes away: more than a window takes.
const STEPS_MAX: usize = 120;

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_at_any_moment_of_a_sync_costs_no_event_and_no_true_word() {
    let ledger = Ledger::with_losses(World::start(38, 40).await, 29 * DAY_SECONDS, 60).await;
    let outage = DatabaseOutage::of(ledger.folder.path()).await;
    let store = outage.open().await;
    let dice = &mut Dice::new(3);
    let mut failures = 0;
    for scope in &ledger.world.scopes() {
        let Taken::Held(lease) = HeldLease::take(&store.log, scope, Task::Sync).await.unwrap()
        else {
            panic!("nobody else has it")
        };
        let (client, clock) = (&ledger.world.client(scope.livemode), &ledger.world.clock());
        loop {
            let sync = ScopeSync { log: &store.log, client, scope, clock, lease: &lease };
            let synced = outage.hit(dice, STEPS_MAX, sync.run()).await;
            assert_claims_are_true(&ledger, scope).await;
            match synced {
                Ok(_) => break,
                Err(SyncError::Store(error)) => assert!(error.is_unavailable(), "{error:?}"),
                Err(error) => panic!("{error:?}"),
            }
            failures += 1;
        }
    }
    assert!(failures > 10, "{failures}");
    ledger.assert_whole().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_with_an_event_that_cannot_be_appended_is_not_called_complete() {
    let ledger = Ledger::with_losses(World::start(47, 20).await, 20 * DAY_SECONDS, 60).await;
    let scope = Scope { livemode: true, ..Scope::default() };
    let is_lost = |it: &&SimulatedEvent| it.livemode && it.account.is_empty() && ledger.is_lost(it);
    let events: Vec<_> = ledger.world.events.iter().filter(is_lost).collect();
    let middle = events[events.len() / 2];
    let mut sql = raw::log(&crate::database(ledger.folder.path())).await;
    let dialect = sql.dialect();
    sql.run(&dialect.fault_at_evt_20.replace("evt_20", &middle.id)).await;
    assert!(matches!(ledger.sync(&scope).await, Err(SyncError::Store(_))));
    let to = ledger.coverage(&scope).await.complete_to().unwrap();
    assert!(to.0 <= middle.created && to.0 > middle.created - 6 * 3_600, "{to} {middle:?}");
    assert_claims_are_true(&ledger, &scope).await;
    sql.run(dialect.no_fault).await;
    ledger.sync_all().await;
    ledger.assert_whole().await;
}

/// Fails if an event of the complete spans is not in the log.
async fn assert_claims_are_true(ledger: &Ledger, scope: &Scope) {
    let to = ledger.coverage(scope).await.complete_to().unwrap();
    let events = ledger.world.events.iter().filter(|it| {
        it.account == scope.account.as_str() && it.livemode == scope.livemode && it.created < to.0
    });
    let lost: Vec<EventId> =
        events.filter(|it| ledger.is_lost(it)).map(|it| EventId::new(&it.id)).collect();
    let known = ledger.store.log.known_events(scope, &lost).await.unwrap();
    assert_eq!(known.len(), lost.len(), "{scope:?} to {to}");
}
