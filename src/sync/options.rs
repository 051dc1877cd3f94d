//! Options of the syncs of a service.

use std::time::Duration;

use crate::stripe_api::ApiClient;

/// Options of the syncs of a service.
#[derive(Clone, Debug)]
pub struct SyncOptions {
    /// Client, whose key tells the mode.
    pub client: ApiClient,
    /// Interval between two syncs.
    pub every: Duration,
}

impl SyncOptions {
    /// Default of the interval, in seconds.
    pub const DEFAULT_EVERY_SECONDS: u32 = 300;

    /// Options with the default interval.
    pub fn new(client: ApiClient) -> Self {
        let every = Duration::from_secs(Self::DEFAULT_EVERY_SECONDS.into());
        Self { client, every }
    }
}
