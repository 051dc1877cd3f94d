//! What the service counts, as Prometheus text.
//!
//! Every series stands here from the start, so that a rate is defined before the first event, and
//! counting is one atomic addition. Nothing here names an event, a customer or a user.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::problem::Kind;

/// The counters, with a registry of their own, so that two services in one process share none.
pub struct Metrics {
    registry: Registry,
    problems: Vec<Counter>,
    /// Events that were appended to the log.
    pub events_appended: Counter,
    /// Deliveries of events that the log knew already.
    pub events_duplicate: Counter,
    /// From the first byte of a webhook's body to its answer, where the event was stored.
    pub webhook_seconds: Histogram,
    /// Connections that are open now.
    pub connections: Gauge,
    /// Connections that ended without a readable request: slow, too long a header, not HTTP.
    pub connections_broken: Counter,
    /// The last position of the log.
    pub log_position: Gauge,
    /// How far the live read model has folded.
    pub projection_position: Gauge,
    /// Events in the log that the live read model has not folded.
    pub projection_lag_events: Gauge,
    /// The age of the oldest of them.
    pub projection_lag_seconds: Gauge<f64, AtomicU64>,
    /// Events that could not be folded.
    pub projection_parked: Gauge,
}

impl Metrics {
    /// Everything at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("subledger");
        let problems = Family::<[(&'static str, &'static str); 1], Counter>::default();
        registry.register("problems", "Requests refused, by problem type", problems.clone());
        macro_rules! register {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        Self {
            problems: Kind::ALL
                .iter()
                .map(|kind| problems.get_or_create_owned(&[("type", kind.name())]))
                .collect(),
            events_appended: register!(
                "events_appended",
                "Events appended to the log",
                Counter::default()
            ),
            events_duplicate: register!(
                "events_duplicate",
                "Deliveries of events that the log knew already",
                Counter::default()
            ),
            webhook_seconds: register!(
                "webhook_duration_seconds",
                "From a webhook's request to its answer after the commit",
                Histogram::default()
            ),
            connections: register!("connections", "Open connections", Gauge::default()),
            connections_broken: register!(
                "connections_broken",
                "Connections that ended without a readable request",
                Counter::default()
            ),
            log_position: register!("log_position", "Last position of the log", Gauge::default()),
            projection_position: register!(
                "projection_position",
                "Last position that the live read model has folded",
                Gauge::default()
            ),
            projection_lag_events: register!(
                "projection_lag_events",
                "Events that the live read model has not folded yet",
                Gauge::default()
            ),
            projection_lag_seconds: register!(
                "projection_lag_seconds",
                "Age of the oldest event that the live read model has not folded yet",
                Gauge::<f64, AtomicU64>::default()
            ),
            projection_parked: register!(
                "projection_parked",
                "Events that could not be folded",
                Gauge::default()
            ),
            registry,
        }
    }

    /// Counts a refused request.
    pub fn problem(&self, kind: Kind) {
        // The counters stand in the order of the kinds.
        self.problems[kind as usize].inc();
    }

    /// Everything, in the text format of `OpenMetrics`.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The upper bounds of the buckets, in microseconds.
const BUCKETS_MICROS: [u64; 10] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 1_000_000, 10_000_000];

/// How long something took; unlike the crate's own, without a lock.
#[derive(Clone, Debug, Default)]
pub struct Histogram(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    /// One a bucket, and one for what is beyond the last.
    counts: [AtomicU64; BUCKETS_MICROS.len() + 1],
    sum_micros: AtomicU64,
}

impl Histogram {
    /// Counts one.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_MICROS.partition_point(|bound| *bound < micros);
        self.0.counts[bucket].fetch_add(1, Ordering::Relaxed);
        self.0.sum_micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl EncodeMetric for Histogram {
    #[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.0.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        let bounds = BUCKETS_MICROS.iter().map(|micros| *micros as f64 / 1e6);
        let buckets: Vec<(f64, u64)> = bounds.chain([f64::MAX]).zip(counts).collect();
        let sum = self.0.sum_micros.load(Ordering::Relaxed) as f64 / 1e6;
        encoder.encode_histogram::<NoLabelSet>(sum, counts.iter().sum(), &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}
