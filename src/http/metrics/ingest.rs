//! Metrics of the queue, of the commits and of the program's log, read when they are asked for.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use crate::ingest::{BATCH_SIZE_BOUNDS, Ingest};
use crate::log_output::lost_lines;

/// Metrics of the way into the log.
#[derive(Debug)]
pub(super) struct Collected(pub(super) Ingest);

impl Collector for Collected {
    #[expect(clippy::cast_precision_loss, reason = "sizes of batches, for people and graphs")]
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Self(ingest) = self;
        let stats = ingest.stats();
        gauge(
            &mut encoder,
            "queue_events",
            "Events that wait for a commit",
            &ingest.queued_events(),
        )?;
        gauge(&mut encoder, "queue_bytes", "Bytes of those events", &ingest.queued_bytes())?;
        let oldest = ingest.oldest_wait().as_secs_f64();
        gauge(
            &mut encoder,
            "queue_oldest_seconds",
            "Time that the oldest event has been waiting that is neither stored nor refused",
            &oldest,
        )?;
        let lost = lost_lines();
        let (help, unwritten) = ("Log lines that could not be written to stderr", lost.unwritten);
        counter(&mut encoder, "log_lines_unwritten", help, &unwritten)?;
        let help = "Warnings and errors left out because the same one was written within a second";
        counter(&mut encoder, "log_lines_repeated", help, &lost.repeated)?;
        counter(&mut encoder, "commits", "Transactions that appended events", &stats.commits())?;
        let failed = stats.commits_failed();
        counter(
            &mut encoder,
            "commits_failed",
            "Transactions that failed to append events",
            &failed,
        )?;
        let seconds = stats.commit_time().as_secs_f64();
        counter(
            &mut encoder,
            "commit_seconds",
            "Time spent in all of these transactions",
            &seconds,
        )?;

        let bounds = BATCH_SIZE_BOUNDS.iter().map(|bound| *bound as f64).chain([f64::INFINITY]);
        let buckets: Vec<(f64, u64)> = bounds.zip(stats.commits_by_size()).collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        let events = (stats.events_new() + stats.events_duplicate()) as f64;
        encoder
            .encode_descriptor(
                "commit_events",
                "Events in a transaction",
                None,
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(events, count, &buckets, None)
    }
}

/// Writes a gauge.
pub(super) fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &impl EncodeGaugeValue,
) -> Result<(), fmt::Error> {
    encoder.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(value)
}

/// Writes a counter; its sample has the suffix `_total`.
pub(super) fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    value: &impl EncodeCounterValue,
) -> Result<(), fmt::Error> {
    encoder
        .encode_descriptor(name, help, None, MetricType::Counter)?
        .encode_counter::<NoLabelSet, _, u64>(value, None)
}
