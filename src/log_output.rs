//! Output of the program's log: lines go to stderr on a thread of their own.
//!
//! *Invariant: a log line never fails, delays or ends what it is about.* Where stderr is a pipe that nobody
//! reads, or a file on a full disk, lines are dropped and counted ([`LostLines`]).

mod repeats;

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use repeats::Repeats;

/// Lines that wait to be written, at most; more are dropped.
const LINES_WAITING_MAX: usize = 8_192;

/// True if every line on stderr has to be JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);
/// Lines that could not be written to stderr.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);
/// Lines that were left out because the same line was written less than a second ago.
static REPEATED: AtomicU64 = AtomicU64::new(0);
/// The lines that found no room to wait in, where logging has started.
static FULL: OnceLock<ErrorCounter> = OnceLock::new();

/// Format of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text {
        /// True if levels are coloured.
        colours: bool,
    },
    /// One object of JSON a line.
    Json,
}

/// Log lines of this process that were not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostLines {
    /// Lines that stderr refused, or that found too many others waiting for it.
    pub unwritten: u64,
    /// Warnings and errors left out because the same one was written less than a second before.
    pub repeated: u64,
}

/// Number of log lines that were not written since the start.
pub fn lost_lines() -> LostLines {
    let full = FULL.get().map_or(0, |counter| counter.dropped_lines() as u64);
    LostLines {
        unwritten: UNWRITTEN.load(Ordering::Relaxed) + full,
        repeated: REPEATED.load(Ordering::Relaxed),
    }
}

/// True if the log was started as JSON, so that whatever else goes to stderr must be JSON too.
pub fn is_json() -> bool {
    IS_JSON.load(Ordering::Relaxed)
}

/// Starts logging to stderr. Keep the guard until the end: dropping it writes what waits, for at most about a
/// second.
///
/// A second start in one process, as in a test, leaves the first as it is. Panics are logged like errors.
pub fn start(filter: EnvFilter, format: LogFormat) -> WorkerGuard {
    IS_JSON.store(format == LogFormat::Json, Ordering::Relaxed);
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_WAITING_MAX)
        .lossy(true)
        .thread_name("subledger-log")
        .finish(Stderr);
    let counter = writer.error_counter();
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(writer)
        .log_internal_errors(false)
        .with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text { colours } => {
            registry.with(lines.with_ansi(colours)).with(Repeats::default()).try_init()
        }
        LogFormat::Json => {
            registry.with(lines.json().flatten_event(true)).with(Repeats::default()).try_init()
        }
    };
    if started.is_ok() {
        let _ = FULL.set(counter);
        // The hook that is there by default writes to stderr itself, and waits where nobody reads it.
        std::panic::set_hook(Box::new(|panic| tracing::error!("a task panicked: {panic}")));
    }
    guard
}

/// Stderr, where a line that cannot be written is counted and no error.
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().write_all(line).is_err() {
            UNWRITTEN.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = io::stderr().flush();
        Ok(())
    }
}
