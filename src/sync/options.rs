//! Options of the syncs of a service.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::scope_sync::SyncError;
use crate::ids::Scope;
use crate::stripe_api::ApiClient;

/// Job that is done once a day for each account and mode, under the same lease as the syncs. It is due again a day
/// after [`SyncState::reconciled_at`](crate::store::SyncState::reconciled_at), which it records itself.
#[derive(Clone)]
pub struct DailyJob(Arc<DailyFn>);

type DailyFn = dyn Fn(Scope) -> BoxFuture<'static, Result<(), SyncError>> + Send + Sync;

impl DailyJob {
    /// Creates a job.
    pub fn new(
        job: impl Fn(Scope) -> BoxFuture<'static, Result<(), SyncError>> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(job))
    }

    /// Does the job for an account and mode.
    pub(super) async fn run(&self, scope: Scope) -> Result<(), SyncError> {
        (self.0)(scope).await
    }
}

impl fmt::Debug for DailyJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DailyJob")
    }
}

/// Options of the syncs of a service.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// Client, whose key tells the mode.
    pub client: ApiClient,
    /// Interval between two syncs.
    pub every: Duration,
    /// Job that is done once a day.
    pub daily: Option<DailyJob>,
}

impl SyncOptions {
    /// Default of the interval, in seconds.
    pub const DEFAULT_EVERY_SECONDS: u32 = 300;

    /// Options with the default interval and no daily job.
    pub fn new(client: ApiClient) -> Self {
        let every = Duration::from_secs(Self::DEFAULT_EVERY_SECONDS.into());
        Self { client, every, daily: None }
    }
}
