//! Metrics of the syncs with Stripe's API, read when they are requested.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::ingest::Encoder;
use crate::sync::SyncHandle;

/// Collector of the status of the syncs; none if no key is configured.
#[derive(Debug)]
pub(super) struct SyncCollector(pub(super) Option<SyncHandle>);

impl Collector for SyncCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let status = self.0.as_ref().map(SyncHandle::status);
        let mut metrics = Encoder(encoder);
        let age = status.and_then(|it| it.since_success);
        metrics.gauge(
            "sync_age_seconds",
            "Seconds since the last sync with Stripe's API of all accounts; NaN before the first one",
            &age.map_or(f64::NAN, |it| it.as_secs_f64()),
        )
    }
}
