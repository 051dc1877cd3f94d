//! Causes that must not stop a ledger, or must be reported if they do: a log line that cannot be written, a
//! task that ends, a clock that was ahead, a log that is gone.

mod clocks;
#[cfg(target_os = "linux")]
mod sqlite_only {
    mod frozen;
}
#[cfg(unix)]
mod log_lines;
mod lost_log;
mod tasks;
