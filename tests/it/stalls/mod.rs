//! What must not bring a ledger to a standstill, or must be said where it does: a log line that cannot be written, a
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
