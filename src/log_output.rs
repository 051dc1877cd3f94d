//! Output of the program's log to stderr, on a thread of its own.
//!
//! *Invariant: writing a log line never fails, blocks or ends the work that it reports.* If stderr is a pipe that nobody
//! reads, or a file on a full disk, lines are dropped and counted ([`LostLines`]).

mod repeats;

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use repeats::RepeatFilter;

/// Greatest number of lines that wait to be written; further lines are dropped.
const LINES_WAITING_MAX: usize = 8_192;

/// True if every line on stderr has to be JSON.
static IS_JSON: AtomicBool = AtomicBool::new(false);
/// Lines that could not be written to stderr.
static UNWRITTEN: AtomicU64 = AtomicU64::new(0);
/// Lines that were left out because the same line was written within a second.
static REPEATED: AtomicU64 = AtomicU64::new(0);
/// Counter of the lines that were dropped because too many waited; set once logging has started.
static FULL: OnceLock<ErrorCounter> = OnceLock::new();

/// Format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    Text {
        /// True if levels are coloured.
        colours: bool,
    },
    /// One JSON object a line.
    Json,
}

/// Log lines of this process that were not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostLines {
    /// Lines that stderr did not take, or that were dropped because too many waited.
    pub unwritten: u64,
    /// Warnings and errors left out because the same one was written within a second.
    pub repeated: u64,
}

/// Counts the log lines that were not written since the start.
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

/// Starts logging to stderr. Keep the guard until the end: dropping it writes the waiting lines, for at most about a
/// second.
///
/// A second start in one process, as in a test, has no effect. Panics are logged as errors.
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
            registry.with(lines.with_ansi(colours)).with(RepeatFilter::default()).try_init()
        }
        LogFormat::Json => {
            registry.with(lines.json().flatten_event(true)).with(RepeatFilter::default()).try_init()
        }
    };
    if started.is_ok() {
        let _ = FULL.set(counter);
        // The default hook writes to stderr itself, and blocks if nobody reads it.
        std::panic::set_hook(Box::new(|panic| tracing::error!("a task panicked: {panic}")));
    }
    guard
}

/// Stderr that counts a line which cannot be written, instead of failing.
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
