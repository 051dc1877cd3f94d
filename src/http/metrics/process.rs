//! Metrics of this process, by the names that Prometheus' own clients use.
//!
//! They are read from `/proc`, and left out if that does not exist.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::ingest::Encoder;

/// Collector of the metrics of this process.
#[derive(Debug)]
pub(super) struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut metrics = Encoder(encoder);
        let Some(it) = ProcessStats::read() else { return Ok(()) };
        metrics.counter("cpu_seconds", "Processor time, user and system", &it.cpu_seconds)?;
        metrics.gauge("resident_memory_bytes", "Memory in use", &it.resident_bytes)?;
        metrics.gauge(
            "start_time_seconds",
            "Start of the process, in seconds since 1970",
            &it.started_seconds,
        )?;
        metrics.gauge("open_fds", "Open file descriptors", &it.open_files)?;
        match it.open_files_max {
            Some(most) => metrics.gauge("max_fds", "Limit on open file descriptors", &most),
            None => Ok(()),
        }
    }
}

struct ProcessStats {
    cpu_seconds: f64,
    resident_bytes: u64,
    started_seconds: f64,
    open_files: u64,
    open_files_max: Option<u64>,
}

#[cfg(target_os = "linux")]
impl ProcessStats {
    /// Reads `/proc`; none if it is not mounted.
    fn read() -> Option<Self> {
        use rustix::param::{clock_ticks_per_second, page_size};
        use rustix::process::{Resource, getrlimit};

        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The program's name, in parentheses, may contain spaces. The field after it has the number 3.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let system = std::fs::read_to_string("/proc/stat").ok()?;
        let booted = system.lines().find_map(|line| line.strip_prefix("btime "))?;
        let seconds = |ticks: u64| {
            #[expect(clippy::cast_precision_loss, reason = "seconds for people and graphs")]
            let seconds = ticks as f64 / clock_ticks_per_second() as f64;
            seconds
        };
        Some(Self {
            cpu_seconds: seconds(field(14)? + field(15)?),
            resident_bytes: field(24)? * page_size() as u64,
            started_seconds: booted.trim().parse::<f64>().ok()? + seconds(field(22)?),
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
            open_files_max: getrlimit(Resource::Nofile).current,
        })
    }
}

#[cfg(not(target_os = "linux"))]
impl ProcessStats {
    /// None: this system has no `/proc`.
    fn read() -> Option<Self> {
        None
    }
}
