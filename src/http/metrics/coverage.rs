//! Metrics of the coverage, read from memory when they are requested.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;

use crate::coverage::Coverage;
use crate::http::coverage_watch::{OpenGaps, in_mode};
use crate::ids::Mode;
use crate::time::StripeTime;

/// Collector of the coverage. Its labels are the own account and all accounts together, in both modes.
#[derive(Debug)]
pub(super) struct CoverageCollector {
    /// Coverage as it was read last; none before the first reading.
    pub(super) coverage: Option<Arc<Vec<Coverage>>>,
    pub(super) now: StripeTime,
}

const MODES: [Mode; 2] = [Mode::Live, Mode::Test];

impl Collector for CoverageCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let gaps =
            "Gaps in which the ledger is not known to be complete; NaN before the first reading";
        self.family(&mut encoder, "coverage_gaps", gaps, |accounts, now| {
            count(OpenGaps::of(accounts.iter().copied(), now).gaps as u64)
        })?;
        let to = "End of what is known to be complete, in seconds since 1970, of the account that ends first; NaN for \
                  nothing";
        self.family(&mut encoder, "coverage_complete_to_seconds", to, |accounts, _| {
            let ends = accounts.iter().map(|it| it.complete_to());
            let first: Option<StripeTime> = ends.min().flatten();
            first.map_or(f64::NAN, |end| count(end.0.unsigned_abs()))
        })?;
        let missed =
            "Events that Stripe listed and no webhook had delivered; NaN before the first reading";
        self.family(&mut encoder, "events_never_delivered", missed, |accounts, _| {
            let runs = accounts.iter().flat_map(|it| &it.missed);
            count(runs.map(|run| run.events).sum())
        })
    }
}

impl CoverageCollector {
    /// Encodes a gauge for the own account and for all accounts, in each mode.
    fn family(
        &self,
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        value: impl Fn(&[&Coverage], StripeTime) -> f64,
    ) -> Result<(), fmt::Error> {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for mode in MODES {
            let all: Vec<&Coverage> =
                self.coverage.iter().flat_map(|it| in_mode(it, mode)).collect();
            let is_own = |it: &&Coverage| it.scope.account.as_str().is_empty();
            let own: Vec<&Coverage> = all.iter().copied().filter(is_own).collect();
            for (account, accounts) in [("own", &own), ("all", &all)] {
                let value = self.coverage.as_ref().map_or(f64::NAN, |_| value(accounts, self.now));
                let labels = [("account", account), ("mode", mode.as_str())];
                ConstGauge::new(value).encode(family.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts and seconds, for people and graphs")]
fn count(count: u64) -> f64 {
    count as f64
}
