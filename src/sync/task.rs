//! Task of the service that syncs all accounts at an interval. One process of several does it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::endpoints::SeenEndpoint;
use super::options::SyncOptions;
use super::scope_sync::{ScopeSync, SyncError};
use super::status::SyncHandle;
use super::window::fresh_for_seconds;
use crate::clock::{Clock, Stopwatch};
use crate::coverage::{Coverage, backfill_command};
use crate::ids::{AccountId, Scope};
use crate::lease::{HeldLease, Taken, Task};
use crate::store::{Log, StoreError};
use crate::stripe_api::ApiError;
use crate::time::StripeTime;

/// Interval between two reads of the webhook endpoints.
const ENDPOINTS_EVERY: Duration = Duration::from_hours(1);
/// Greatest time until a sync is tried again that found another process at work.
const BUSY_PAUSE: Duration = Duration::from_secs(30);
/// Least pause between two rounds.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// Starts the task, which runs until `stop` is cancelled. Its failures, even a defect, never end it.
pub fn start(
    log: Log,
    options: SyncOptions,
    clock: Clock,
    stop: CancellationToken,
) -> (SyncHandle, JoinHandle<()>) {
    let handle = SyncHandle::new(options.every);
    let syncs = Arc::new(Syncs {
        log,
        options,
        clock,
        handle: handle.clone(),
        endpoints_read: Mutex::default(),
        stop,
    });
    let task = tokio::spawn(async move {
        loop {
            match tokio::spawn(Arc::clone(&syncs).run()).await {
                Ok(()) => return,
                Err(error) => {
                    tracing::error!(%error, "the sync failed, which is a defect: {error}");
                    syncs.pause(syncs.options.every).await;
                }
            }
        }
    });
    (handle, task)
}

/// Syncs of a service.
struct Syncs {
    log: Log,
    options: SyncOptions,
    clock: Clock,
    handle: SyncHandle,
    endpoints_read: Mutex<Option<Stopwatch>>,
    stop: CancellationToken,
}

/// Work that is due for an account and mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Due {
    sync: bool,
    endpoints: bool,
}

impl Syncs {
    async fn run(self: Arc<Self>) {
        while !self.stop.is_cancelled() {
            let pause = self.round().await;
            self.pause(pause).await;
        }
    }

    async fn pause(&self, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.stop.cancelled() => {}
        }
    }

    /// Does what is due for all accounts, and returns the time until the next round.
    async fn round(&self) -> Duration {
        let every = self.options.every;
        let scopes = match self.scopes().await {
            Ok(scopes) => scopes,
            Err(error) => {
                self.failed(&self.own_scope(), &error.into()).await;
                return every;
            }
        };
        let mut pause = every;
        for (scope, coverage) in scopes {
            if self.stop.is_cancelled() {
                break;
            }
            match self.visit(&scope, coverage).await {
                Ok(until_due) => pause = pause.min(until_due),
                Err(error) => self.failed(&scope, &error).await,
            }
        }
        pause.clamp(PAUSE_MIN.min(every), every)
    }

    fn own_scope(&self) -> Scope {
        let livemode = self.options.client.key().mode().livemode();
        Scope { account: AccountId::default(), livemode }
    }

    /// The key's own account, and the connected accounts that were ever backfilled or synced.
    async fn scopes(&self) -> Result<Vec<(Scope, Option<Coverage>)>, StoreError> {
        let own = self.own_scope();
        let mut scopes = vec![(own.clone(), None)];
        for coverage in self.log.coverage().await? {
            if coverage.scope == own {
                scopes[0].1 = Some(coverage);
            } else if coverage.scope.livemode == own.livemode {
                scopes.push((coverage.scope.clone(), Some(coverage)));
            }
        }
        Ok(scopes)
    }

    /// Does what is due for an account, and returns the time until something is due again.
    async fn visit(
        &self,
        scope: &Scope,
        coverage: Option<Coverage>,
    ) -> Result<Duration, SyncError> {
        let every = self.options.every;
        let fresh_for = self.fresh_for(coverage.as_ref());
        let due = Due { sync: fresh_for.is_none(), endpoints: self.are_endpoints_due(scope) };
        if !due.sync {
            // By another process, or before this one was started.
            self.handle.succeeded(scope);
            self.note_gaps(scope, coverage.as_ref());
        }
        if due == Due::default() {
            return Ok(fresh_for.unwrap_or(every));
        }
        let take = HeldLease::take(&self.log, scope, Task::Sync);
        let taken = tokio::select! {
            taken = take => taken?,
            () = self.stop.cancelled() => return Ok(every),
        };
        let lease = match taken {
            Taken::Held(lease) => lease,
            Taken::Busy { task } => {
                let task = task.map_or("another task", Task::as_str);
                tracing::debug!(account = %scope.account, "a {task} of another process is running");
                return Ok(BUSY_PAUSE);
            }
        };
        let done = tokio::select! {
            done = self.work(scope, due, &lease) => done,
            () = self.stop.cancelled() => Ok(()),
        };
        if let Err(error) = lease.release().await {
            tracing::debug!(%error, "the lease of a sync is not released: {error}");
        }
        done.map(|()| fresh_for.unwrap_or(every))
    }

    /// Does the jobs that are due, under the lease.
    async fn work(&self, scope: &Scope, due: Due, lease: &HeldLease) -> Result<(), SyncError> {
        if due.sync {
            self.sync(scope, lease).await?;
        }
        if due.endpoints {
            self.read_endpoints(scope).await?;
        }
        Ok(())
    }

    async fn sync(&self, scope: &Scope, lease: &HeldLease) -> Result<(), SyncError> {
        let Self { log, clock, .. } = self;
        // Another process may have synced while this one waited for the lease.
        if self.fresh_for(self.coverage(scope).await?.as_ref()).is_none() {
            let sync = ScopeSync { log, client: &self.options.client, scope, clock, lease };
            let synced = sync.run().await?;
            self.handle.add_never_delivered(synced.never_delivered);
            let (appended, never_delivered) = (synced.appended, synced.never_delivered);
            if appended > 0 || never_delivered > 0 {
                tracing::info!(
                    account = %scope.account,
                    appended,
                    never_delivered,
                    "sync: {appended} events appended that no webhook has delivered yet; {never_delivered} are overdue"
                );
            }
            log.record_sync(scope, clock.now()).await?;
        }
        self.handle.succeeded(scope);
        self.note_gaps(scope, self.coverage(scope).await?.as_ref());
        Ok(())
    }

    async fn coverage(&self, scope: &Scope) -> Result<Option<Coverage>, StoreError> {
        Ok(self.log.coverage().await?.into_iter().find(|it| it.scope == *scope))
    }

    /// Time until a sync is due; none if it is due now.
    fn fresh_for(&self, coverage: Option<&Coverage>) -> Option<Duration> {
        let every = i64::try_from(self.options.every.as_secs()).unwrap_or(i64::MAX);
        let covered_to = coverage.and_then(Coverage::complete_to);
        let seconds = fresh_for_seconds(covered_to, self.clock.now().to_stripe_time(), every)?;
        Some(Duration::from_secs(seconds.unsigned_abs()))
    }

    /// Notes whether a backfill is needed, and says it once.
    fn note_gaps(&self, scope: &Scope, coverage: Option<&Coverage>) {
        let needs = coverage.is_none_or(|it| needs_backfill(it, self.clock.now().to_stripe_time()));
        if self.handle.set_needs_backfill(scope, needs) {
            let of = match scope.account.as_str() {
                "" => "your own account",
                account => account,
            };
            let command = backfill_command(scope);
            tracing::warn!(
                account = %scope.account,
                "the ledger lacks events of {of} that Stripe no longer lists: run `{command}`"
            );
        }
    }

    fn are_endpoints_due(&self, scope: &Scope) -> bool {
        let read = *self.endpoints_read.lock().unwrap_or_else(PoisonError::into_inner);
        // Endpoints belong to the account of the key.
        *scope == self.own_scope() && read.is_none_or(|it| it.elapsed() >= ENDPOINTS_EVERY)
    }

    /// Records the webhook endpoints, if the key may read them.
    async fn read_endpoints(&self, scope: &Scope) -> Result<(), SyncError> {
        let endpoints = match self.options.client.endpoints().await {
            Ok(endpoints) => Some(endpoints),
            Err(
                ApiError::PermissionMissing { .. }
                | ApiError::Refused { .. }
                | ApiError::NotFound { .. },
            ) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(endpoints) = endpoints {
            let seen = SeenEndpoint::of_ledger(&endpoints);
            let json =
                serde_json::to_string(&seen).map_err(|error| StoreError::Internal(error.into()))?;
            self.log.record_endpoints(scope, &json).await?;
        }
        let mut read = self.endpoints_read.lock().unwrap_or_else(PoisonError::into_inner);
        *read = Some(Clock::stopwatch());
        Ok(())
    }

    /// Notes and records a failure. It is logged once.
    async fn failed(&self, scope: &Scope, error: &SyncError) {
        let text = error.to_string();
        if self.handle.failed(scope, &text) {
            let hint = match error {
                SyncError::Api(error) => error.hint(),
                SyncError::Store(error) => error.hint(),
                SyncError::LeaseLost => None,
            };
            let hint = hint.map_or_else(String::new, |it| format!(" ({it})"));
            tracing::warn!(
                account = %scope.account,
                "the sync with Stripe's API failed and is tried again: {text}{hint}"
            );
        }
        if let Err(error) = self.log.record_sync_error(scope, &text).await {
            tracing::debug!(%error, "the error of a sync is not recorded: {error}");
        }
    }
}

/// True if events are missing that Stripe no longer lists.
fn needs_backfill(coverage: &Coverage, now: StripeTime) -> bool {
    coverage.gaps(now).iter().any(|gap| gap.reason.needs_backfill())
}
