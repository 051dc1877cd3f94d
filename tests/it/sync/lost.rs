//! Ledger that heard everything up to a time, and lost some deliveries after it.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;
use subledger::coverage::{Coverage, CoveredBy, MissedDeliveries, Span};
use subledger::ids::Scope;
use subledger::lease::{HeldLease, Taken, Task};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::simulate::SimulatedEvent;
use subledger::store::{NewEvent, Store};
use subledger::stripe::is_used;
use subledger::sync::{ScopeSync, SyncError, Synced};
use subledger::time::StripeTime;
use tempfile::TempDir;

use crate::backfill::world::World;
use crate::ledger::{follow_to_the_end, new_event, open, rows};
use crate::order::{Dice, rows_of, tell_all};

/// Seconds between the last event and the time of the server.
const QUIET: i64 = 300;

/// Ledger of a world.
pub(super) struct Ledger {
    pub(super) world: World,
    pub(super) store: Store,
    pub(super) folder: TempDir,
    /// Ids of the events whose delivery was lost, and that Stripe lists.
    lost: HashSet<String>,
}

impl Ledger {
    /// Sets the time of a world to shortly after its last event. The ledger is covered up to `seconds` before that, and
    /// lost this share of the deliveries since then.
    pub(super) async fn with_losses(world: World, seconds: i64, percent: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await;
        let end = world.events.iter().map(|it| it.created).max().unwrap() + QUIET;
        world.stripe.set_now(StripeTime(end));
        let mut ledger = Self { world, store, folder, lost: HashSet::new() };
        let dice = &mut Dice::new(23);
        let is_lost = |it: &SimulatedEvent, dice: &mut Dice| {
            it.created >= end - seconds && dice.below(100) < percent
        };
        ledger.hear(i64::MIN, end, |it| !is_lost(it, dice)).await;
        ledger.cover_to(end - seconds).await;
        ledger
    }

    /// Appends the events of a span that were not lost, as webhooks deliver them.
    pub(super) async fn hear(
        &mut self,
        from: i64,
        to: i64,
        mut is_heard: impl FnMut(&SimulatedEvent) -> bool,
    ) {
        let mut heard: Vec<NewEvent> = Vec::new();
        for event in self.world.events.iter().filter(|it| (from..to).contains(&it.created)) {
            if is_heard(event) {
                heard.push(new_event(&event.body));
            } else if !event.body.contains("v2.core.event") && is_used(&event.event_type) {
                self.lost.insert(event.id.clone());
            }
        }
        for some in heard.chunks(500) {
            self.store.log.append(some).await.unwrap();
        }
    }

    /// Records a backfill of all accounts that ended at a time.
    pub(super) async fn cover_to(&self, to: i64) {
        for scope in self.world.scopes() {
            let span = Span { from: Span::BEGINNING, to: StripeTime(to), by: CoveredBy::Backfill };
            self.store.log.record_coverage(&scope, span, None).await.unwrap();
        }
    }

    pub(super) async fn lease(&self, scope: &Scope) -> HeldLease {
        match HeldLease::take(&self.store.log, scope, Task::Sync).await.unwrap() {
            Taken::Held(lease) => lease,
            Taken::Busy { task } => panic!("{task:?} is running"),
        }
    }

    pub(super) async fn sync(&self, scope: &Scope) -> Result<Synced, SyncError> {
        let lease = self.lease(scope).await;
        let synced = self.sync_under(scope, &lease).await;
        lease.release().await.unwrap();
        synced
    }

    pub(super) async fn sync_under(
        &self,
        scope: &Scope,
        lease: &HeldLease,
    ) -> Result<Synced, SyncError> {
        let (client, clock) = (&self.world.client(scope.livemode), &self.world.clock());
        ScopeSync { log: &self.store.log, client, scope, clock, lease }.run().await
    }

    pub(super) async fn sync_all(&self) {
        for scope in self.world.scopes() {
            self.sync(&scope).await.unwrap();
        }
    }

    pub(super) async fn coverage(&self, scope: &Scope) -> Coverage {
        let coverage = self.store.log.coverage().await.unwrap();
        coverage.into_iter().find(|it| it.scope == *scope).unwrap()
    }

    /// True if the delivery of this event was lost.
    pub(super) fn is_lost(&self, event: &SimulatedEvent) -> bool {
        self.lost.contains(&event.id)
    }

    /// Number of lost deliveries of an account and mode.
    pub(super) fn lost(&self, scope: &Scope) -> u64 {
        let is_lost = |it: &&SimulatedEvent| {
            it.account == scope.account.as_str()
                && it.livemode == scope.livemode
                && self.is_lost(it)
        };
        self.world.events.iter().filter(is_lost).count() as u64
    }

    /// Number of missed deliveries that the coverage states.
    pub(super) async fn missed(&self, scope: &Scope) -> u64 {
        let missed: Vec<MissedDeliveries> = self.coverage(scope).await.missed;
        missed.iter().map(|it| it.events).sum()
    }

    /// Fails unless every row equals the row of a ledger that heard everything, and the coverage is whole and states
    /// exactly what was missed.
    pub(super) async fn assert_whole(&self) {
        follow_to_the_end(&self.store, &Logic::default()).await;
        let bodies = self.world.events.iter().map(|event| event.body.as_str());
        let (heard, rows) = (by_id(&rows_of(&tell_all(bodies))), by_id(&rows(&self.store).await));
        assert_eq!(rows.len(), heard.len());
        for (key, row) in &rows {
            assert_eq!(row, &heard[key], "{key:?}");
        }
        for scope in self.world.scopes() {
            let coverage = self.coverage(&scope).await;
            let end = StripeTime(self.world.stripe.now().0 - 30);
            assert_eq!(coverage.gaps(end), [], "{scope:?} {coverage:?}");
            assert_eq!(self.missed(&scope).await, self.lost(&scope), "{scope:?}");
        }
        let report = subledger::audit::verify(&self.store, None, |_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.findings);
    }
}

fn by_id(rows: &[SubscriptionRow]) -> BTreeMap<(String, bool, String), Value> {
    let keyed = rows.iter().map(|row| {
        let key = (row.account.to_string(), row.livemode, row.subscription_id.to_string());
        let mut row = serde_json::to_value(row).unwrap();
        remove_joined(&mut row);
        (key, row)
    });
    keyed.collect()
}

/// Removes what a read adds to a row: names of products, and the number of events.
fn remove_joined(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| name != "product_name" && name != "event_count");
            fields.values_mut().for_each(remove_joined);
        }
        Value::Array(list) => list.iter_mut().for_each(remove_joined),
        _ => {}
    }
}
