//! Daily reconciliation of a running service. It changes nothing but the stored report.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::report::Report;
use super::run::{Options, reconcile};
use crate::backfill::{BackfillError, FoldWait};
use crate::clock::{Clock, Stopwatch};
use crate::ids::Scope;
use crate::lease::{HeldLease, Taken, Task};
use crate::store::{Store, StoreError, SyncState};
use crate::stripe_api::ApiClient;
use crate::time::{DAY_SECONDS, ReceivedAt};

/// Interval between two checks whether a reconciliation is due.
pub const CHECK_EVERY: Duration = Duration::from_mins(1);
/// Time after a reconciliation that failed until it is tried again.
const RETRY_AFTER: Duration = Duration::from_hours(1);

/// Starts to reconcile each account of the key's mode once a day, until `stop` is cancelled. Accounts that were never
/// backfilled are left out: of those it is known that most is missing. One process of several does it.
pub fn start_daily(
    store: Store,
    client: ApiClient,
    clock: Clock,
    check_every: Duration,
    stop: CancellationToken,
) -> JoinHandle<()> {
    let mut daily = Daily { store, client, clock, failed: BTreeMap::new() };
    let task = async move {
        loop {
            daily.round().await;
            tokio::time::sleep(check_every).await;
        }
    };
    tokio::spawn(async move {
        tokio::select! {
            () = task => {}
            () = stop.cancelled() => {}
        }
    })
}

struct Daily {
    store: Store,
    client: ApiClient,
    clock: Clock,
    /// Accounts whose last reconciliation failed.
    failed: BTreeMap<Scope, Stopwatch>,
}

impl Daily {
    /// Reconciles the accounts for which it is due.
    async fn round(&mut self) {
        let due = match self.due().await {
            Ok(due) => due,
            Err(error) => {
                tracing::debug!(%error, "it is not known whether a reconciliation is due: {error}");
                return;
            }
        };
        for scope in due {
            if self.failed.get(&scope).is_some_and(|it| it.elapsed() < RETRY_AFTER) {
                continue;
            }
            match self.reconcile(&scope).await {
                Ok(report) => {
                    self.failed.remove(&scope);
                    if let Some(report) = report {
                        log(&scope, &report);
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        account = %scope.account,
                        "the daily reconciliation failed and is tried again in an hour: {error}"
                    );
                    self.failed.insert(scope, Clock::stopwatch());
                }
            }
        }
    }

    /// Backfilled accounts of the key's mode whose last reconciliation was a day ago.
    async fn due(&self) -> Result<Vec<Scope>, StoreError> {
        let livemode = self.client.key().mode().livemode();
        let states = self.store.log.sync_states().await?;
        let coverage = self.store.log.coverage().await?.into_iter();
        let backfilled = coverage.filter(|it| it.is_backfilled() && it.scope.livemode == livemode);
        let now = self.clock.now();
        let due = backfilled.map(|it| it.scope).filter(|scope| {
            let state = states.iter().find(|it| it.scope == *scope);
            is_day_over(state, now)
        });
        Ok(due.collect())
    }

    /// Reconciles an account; none if another process does, or has just done so.
    async fn reconcile(&self, scope: &Scope) -> Result<Option<Report>, BackfillError> {
        let Self { store, client, clock, .. } = self;
        let lease = match HeldLease::take(&store.log, scope, Task::Reconciliation).await? {
            Taken::Held(lease) => lease,
            Taken::Busy { .. } => return Ok(None),
        };
        let report = if self.due().await?.contains(scope) {
            let (fold, options) = (FoldWait::beside_service(store), Options::new(scope.clone()));
            reconcile(store, client, &fold, &options, clock, &mut |_| ()).await.map(Some)
        } else {
            Ok(None)
        };
        lease.release().await?;
        report
    }
}

fn log(scope: &Scope, report: &Report) {
    let Report { compared, drift, .. } = report;
    if report.agrees() {
        tracing::info!(account = %scope.account, compared, "reconciliation: Stripe and the ledger agree");
    } else {
        tracing::warn!(
            account = %scope.account,
            compared,
            drift,
            "reconciliation: {drift} of {compared} subscriptions differ from Stripe: run `subledger reconcile`"
        );
    }
}

/// True if no reconciliation was recorded within a day. A time in the future is not trusted.
fn is_day_over(state: Option<&SyncState>, now: ReceivedAt) -> bool {
    let last = state.and_then(|it| it.reconciled_at);
    last.is_none_or(|last| !(0..DAY_SECONDS * 1_000_000).contains(&(now.0 - last.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reconciliation_is_due_a_day_after_the_last_one() {
        let day = DAY_SECONDS * 1_000_000;
        let is_over = |last: Option<i64>, now| {
            let reconciled_at = last.map(ReceivedAt);
            let state = SyncState { reconciled_at, ..SyncState::default() };
            is_day_over(Some(&state), ReceivedAt(now))
        };
        assert!(is_day_over(None, ReceivedAt(5)) && is_over(None, 5));
        assert!(!is_over(Some(5), 5 + day - 1) && is_over(Some(5), 5 + day));
        assert!(is_over(Some(day), 5), "the clock was ahead");
    }
}
