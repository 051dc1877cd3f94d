//! Limit on open files of `serve`: raised as far as the system allows, and told where it is too low.

use crate::config::ConnectionLimits;

/// Files that are open beside the connections: databases, listeners, logs, with room to spare.
const OTHER_FILES: u64 = 256;

/// Makes sure that all connections can be open at once, or says that they cannot.
pub(super) fn raise(limits: ConnectionLimits, listeners: u64) {
    let needed = u64::from(limits.total) * listeners + OTHER_FILES;
    if let Some(allowed) = raised(needed).filter(|allowed| *allowed < needed) {
        tracing::warn!(
            allowed,
            needed,
            "this process may open {allowed} files and needs {needed} for all of its connections: raise the \
             limit (`ulimit -n`, LimitNOFILE= of systemd) or lower --connections"
        );
    }
}

/// Raises the limit where it is below what is needed; returns it. None: there is no limit.
#[cfg(unix)]
fn raised(needed: u64) -> Option<u64> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current.filter(|current| *current < needed)?;
    let wanted = maximum.map_or(needed, |maximum| maximum.min(needed));
    let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum });
    Some(if raised.is_ok() { wanted } else { current })
}

/// Other systems limit sockets by memory alone.
#[cfg(not(unix))]
fn raised(_: u64) -> Option<u64> {
    None
}
