//! Metrics of this process, by the names that Prometheus' own clients use.
//!
//! They are read from `/proc`, and left out where there is none.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;

use super::ingest::{counter, gauge};

/// Metrics of this process.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut encoder = encoder;
        let Some(it) = Figures::read() else { return Ok(()) };
        counter(&mut encoder, "cpu_seconds", "Processor time, user and system", &it.cpu_seconds)?;
        let bytes = it.resident_bytes;
        gauge(&mut encoder, "resident_memory_bytes", "Memory that is in use", &bytes)?;
        let started = it.started_seconds;
        gauge(&mut encoder, "start_time_seconds", "Start of the process, since 1970", &started)?;
        gauge(&mut encoder, "open_fds", "Open file descriptors", &it.open_files)?;
        match it.open_files_max {
            Some(most) => gauge(&mut encoder, "max_fds", "Limit on open file descriptors", &most),
            None => Ok(()),
        }
    }
}

struct Figures {
    cpu_seconds: f64,
    resident_bytes: u64,
    started_seconds: f64,
    open_files: u64,
    open_files_max: Option<u64>,
}

#[cfg(target_os = "linux")]
impl Figures {
    /// Reads them; none where `/proc` is not mounted.
    fn read() -> Option<Self> {
        use rustix::param::{clock_ticks_per_second, page_size};
        use rustix::process::{Resource, getrlimit};

        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name of the program, in parentheses, may hold spaces. The state behind it is field 3.
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
impl Figures {
    /// None: there is no `/proc`.
    fn read() -> Option<Self> {
        None
    }
}
