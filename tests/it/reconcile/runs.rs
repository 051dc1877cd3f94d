//! Runs of a reconciliation.

use std::time::Duration;

use subledger::backfill::FoldWait;
use subledger::clock::Clock;
use subledger::ids::Scope;
use subledger::projection::Logic;
use subledger::reconcile::{Options, Report, reconcile};
use subledger::store::Store;

use crate::backfill::world::World;

/// Reconciles all accounts and modes.
pub(super) async fn reconcile_all(world: &World, store: &Store, apply: bool) -> Vec<Report> {
    let fold = FoldWait::start(store, Logic::default(), Clock::System).await.unwrap();
    let mut reports = Vec::new();
    for scope in world.scopes() {
        reports.push(reconcile_scope(world, store, &fold, scope, apply).await);
    }
    fold.stop().await;
    reports
}

async fn reconcile_scope(
    world: &World,
    store: &Store,
    fold: &FoldWait,
    scope: Scope,
    apply: bool,
) -> Report {
    let client = world.client(scope.livemode);
    let options = Options { apply, settle: Duration::ZERO, ..Options::new(scope) };
    reconcile(store, &client, fold, &options, &world.clock(), &mut |_| ()).await.unwrap()
}
