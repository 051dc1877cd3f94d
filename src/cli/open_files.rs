//! Limit on open files of `serve`: raised as far as the system allows, with a warning if it is too low.

use crate::config::ConnectionLimits;

/// Number of files for everything but connections: databases, listeners, logs, and a reserve.
const OTHER_FILES: u64 = 256;

/// Raises the limit so that all connections can be open at once. Warns if that is not possible.
pub(super) fn raise(limits: ConnectionLimits, listeners: u64) {
    let needed = u64::from(limits.total) * listeners + OTHER_FILES;
    if let Some(allowed) = raised(needed).filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "the limit of {allowed} open files is too low, {needed} are needed for all connections: raise it \
             (`ulimit -n`, LimitNOFILE= of systemd) or lower --connections"
        );
    }
}

/// Raises the limit if it is too low. Returns it, or none if it is high enough or there is no limit.
#[cfg(unix)]
fn raised(needed: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.filter(|current| *current < needed)?;
    let wanted = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    Some(if raised.is_ok() { wanted } else { current })
}

/// Other systems limit sockets only by memory.
#[cfg(not(unix))]
fn raised(_: u64) -> Option<u64> {
    None
}
