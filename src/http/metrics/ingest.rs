//! Metrics of the queue, of the commits and of the program's log, read when they are requested.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use crate::ingest::{BATCH_SIZE_BOUNDS, Ingest};
use crate::log_output::lost_lines;

/// Collector of the counters that [`Ingest`] and the program's log keep.
#[derive(Debug)]
pub(super) struct IngestCollector(pub(super) Ingest);

impl Collector for IngestCollector {
    #[expect(clippy::cast_precision_loss, reason = "sizes of batches, for people and graphs")]
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self(ingest) = self;
        let (stats, lost) = (ingest.stats(), lost_lines());
        let mut metrics = Encoder(encoder);
        let (new, duplicate) = (stats.events_new(), stats.events_duplicate());
        metrics.counter("events_appended", "Events appended to the log", &new)?;
        metrics.counter(
            "events_duplicate",
            "Deliveries of events that the log already had",
            &duplicate,
        )?;
        metrics.gauge("queue_events", "Events that wait for a commit", &ingest.queued_events())?;
        metrics.gauge("queue_bytes", "Bytes of those events", &ingest.queued_bytes())?;
        metrics.gauge(
            "queue_oldest_seconds",
            "Waiting time of the oldest event that is neither stored nor refused",
            &ingest.oldest_wait().as_secs_f64(),
        )?;
        metrics.gauge(
            "seconds_since_last_event",
            "Seconds since this process stored an event of a webhook; since its start before the first one",
            &ingest.since_last_event().as_secs_f64(),
        )?;
        metrics.counter(
            "log_lines_unwritten",
            "Log lines that could not be written to stderr",
            &lost.unwritten,
        )?;
        metrics.counter(
            "log_lines_repeated",
            "Warnings and errors left out because the same one was written within a second",
            &lost.repeated,
        )?;
        metrics.counter("commits", "Transactions that appended events", &stats.commits())?;
        metrics.counter(
            "commits_failed",
            "Transactions that failed to append events",
            &stats.commits_failed(),
        )?;
        metrics.counter(
            "commit_seconds",
            "Time spent in all of these transactions",
            &stats.commit_time().as_secs_f64(),
        )?;

        let bounds = BATCH_SIZE_BOUNDS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(stats.commits_by_size()).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        metrics
            .0
            .encode_descriptor(
                "commit_events",
                "Events in a transaction",
                None,
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>((new + duplicate) as f64, count, &buckets, None)
    }
}

/// Encoder of single values.
pub(super) struct Encoder<'e>(pub(super) DescriptorEncoder<'e>);

impl Encoder<'_> {
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        value: &impl EncodeGaugeValue,
    ) -> Result<(), fmt::Error> {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
    }

    /// Encodes a counter; its sample has the suffix `_total`.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        value: &impl EncodeCounterValue,
    ) -> Result<(), fmt::Error> {
        self.0
            .encode_descriptor(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, u64>(value, None)
    }
}
