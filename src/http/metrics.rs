//! Metrics of the service, as Prometheus text.
//!
//! Every series exists from the start, so that a rate is defined before the first event. Counting is one atomic
//! addition. No label holds the id of an event, a customer or a user.

mod coverage;
mod histogram;
mod ingest;
mod process;
mod sync;

use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use histogram::Histogram;

use super::connection_state::CloseReason;
use super::coverage_watch::CoverageWatch;
use super::problem::ProblemType;
use super::warnings::Warnings;
use crate::ids::Mode;
use crate::ingest::Ingest;
use crate::sync::SyncHandle;
use crate::time::StripeTime;

/// Metrics, in a registry of their own, so that two services in one process share none.
pub struct Metrics {
    registry: Registry,
    problems: Vec<Counter>,
    closed: Vec<Counter>,
    /// Warnings about refused requests and closed connections.
    pub(super) warnings: Warnings,
    /// Time from a webhook's request to its answer after the commit.
    pub webhook_seconds: Histogram,
    /// Open connections.
    pub connections: Gauge,
    /// Connections that ended without a readable request: too slow, too long a head, or not HTTP.
    pub connections_broken: Counter,
    /// 1 if the log could be read for these metrics, otherwise 0.
    pub log_readable: Gauge,
    /// Last position of the log.
    pub log_position: Gauge,
    /// Seconds since the last event was received; NaN while the log is empty.
    pub last_event_age_seconds: Gauge<f64, AtomicU64>,
    /// Last position that the live read model has folded.
    pub projection_position: Gauge,
    /// Events that the live read model has not folded yet.
    pub projection_lag_events: Gauge,
    /// Age of the oldest event that the live read model has not folded yet.
    pub projection_lag_seconds: Gauge<f64, AtomicU64>,
    /// Events that could not be folded.
    pub projection_parked: Gauge,
    /// Customers whose rows could not be made, once for each read model.
    pub projection_parked_customers: Gauge,
    /// Thin events that wait to be fetched, by mode.
    thin_events_waiting: Family<[(&'static str, &'static str); 1], Gauge>,
}

impl Metrics {
    /// Metrics with every value at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("subledger");
        let problems = Family::<[(&'static str, &'static str); 1], Counter>::default();
        registry.register("problems", "Requests refused, by problem type", problems.clone());
        let closed = Family::<[(&'static str, &'static str); 1], Counter>::default();
        let help = "Connections closed by the server, by reason";
        registry.register("connections_closed", help, closed.clone());
        let commit = option_env!("SUBLEDGER_COMMIT").unwrap_or("unknown");
        let build = Info::new([("version", env!("CARGO_PKG_VERSION")), ("commit", commit)]);
        registry.register("build", "Version and commit of this program", build);
        macro_rules! register {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        Self {
            problems: ProblemType::ALL
                .iter()
                .map(|kind| problems.get_or_create_owned(&[("type", kind.name())]))
                .collect(),
            closed: CloseReason::ALL
                .iter()
                .map(|reason| closed.get_or_create_owned(&[("reason", reason.name())]))
                .collect(),
            warnings: Warnings::default(),
            webhook_seconds: register!(
                "webhook_duration_seconds",
                "Time from a webhook's request to its answer after the commit",
                Histogram::default()
            ),
            connections: register!("connections", "Open connections", Gauge::default()),
            connections_broken: register!(
                "connections_broken",
                "Connections that ended without a readable request",
                Counter::default()
            ),
            log_readable: register!(
                "log_readable",
                "1 if the log could be read for these metrics; otherwise they are older",
                Gauge::default()
            ),
            last_event_age_seconds: register!(
                "last_event_age_seconds",
                "Seconds since the last event was received; NaN while the log is empty",
                Gauge::<f64, AtomicU64>::default()
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
            projection_parked_customers: register!(
                "projection_parked_customers",
                "Customers whose rows could not be made, once for each read model",
                Gauge::default()
            ),
            thin_events_waiting: register!(
                "thin_events_waiting",
                "Thin events whose content was not fetched from Stripe's API yet, by mode",
                Family::default()
            ),
            registry,
        }
    }

    /// Counts a refused request.
    pub fn problem(&self, kind: ProblemType) {
        // The counters are in the order of `ProblemType::ALL`.
        self.problems[kind as usize].inc();
    }

    /// Sets the number of thin events of a mode that wait to be fetched.
    pub(super) fn set_thin_events_waiting(&self, mode: Mode, waiting: u64) {
        let gauge = self.thin_events_waiting.get_or_create_owned(&[("mode", mode.as_str())]);
        gauge.set(i64::try_from(waiting).unwrap_or(i64::MAX));
    }

    /// Counts a connection that the server closes.
    pub(super) fn closed(&self, reason: CloseReason) {
        self.closed[reason as usize].inc();
    }

    /// All metrics in the text format of `OpenMetrics`, with those that are collected on request.
    pub fn encode(
        &self,
        ingest: &Ingest,
        sync: Option<&SyncHandle>,
        coverage: &CoverageWatch,
        now: StripeTime,
    ) -> Result<String, fmt::Error> {
        let mut collected = Registry::with_prefix("subledger");
        collected.register_collector(Box::new(ingest::IngestCollector(ingest.clone())));
        let coverage = coverage::CoverageCollector { coverage: coverage.latest(), now };
        collected.register_collector(Box::new(coverage));
        collected.register_collector(Box::new(sync::SyncCollector(sync.cloned())));
        let mut process = Registry::with_prefix("process");
        process.register_collector(Box::new(process::ProcessCollector));
        let mut text = String::new();
        for registry in [&self.registry, &collected, &process] {
            encode_registry(&mut text, registry)?;
        }
        encode_eof(&mut text)?;
        Ok(text)
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}
