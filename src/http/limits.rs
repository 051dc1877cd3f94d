//! Limits on connections: how many, how long, how large a head.

use std::time::Duration;

use clap::Args;

/// Longest head of a request in bytes: request line and header lines. A longer one is answered 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Time from the first byte of a head to its last.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests on a connection that has never sent a valid signature or token, at most.
pub(super) const UNVERIFIED_REQUESTS_MAX: u32 = 100;
/// Time for which a client may leave an answer unread.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time after which a connection takes no further request.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);
/// Time that its last request then has.
pub(super) const LAST_REQUEST_TIMEOUT: Duration = Duration::from_mins(5);
/// Time for which a closing connection reads on, so that its client can read the answer.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes that it then reads and discards, at most.
pub(super) const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Interval between two checks of all connections.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Limits on the connections of each address that is listened on.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Connections at a time, for each address that is listened on
    ///
    /// Beyond it the oldest connection gives way that has not yet sent a valid signature or token,
    /// then the one that has been idle longest.
    #[arg(
        id = "connections",
        long = "connections",
        value_name = "N",
        env = "SUBLEDGER_CONNECTIONS",
        default_value_t = Self::default().total,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub total: u32,

    /// Connections at a time from one public address (IPv6: one /64 network); 0 for no limit
    ///
    /// Loopback and private addresses, where proxies are, have no such limit. If your proxy has a
    /// public address, set this to 0.
    #[arg(
        id = "connections_per_address",
        long = "connections-per-address",
        value_name = "N",
        env = "SUBLEDGER_CONNECTIONS_PER_ADDRESS",
        default_value_t = Self::default().per_address
    )]
    pub per_address: u32,

    /// Time for which a connection may be idle between requests; longer than your proxy's
    #[arg(
        id = "idle_seconds",
        long = "idle-seconds",
        value_name = "SECONDS",
        env = "SUBLEDGER_IDLE_SECONDS",
        default_value_t = Self::default().idle_seconds,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub idle_seconds: u32,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        // Common proxies keep idle connections for 60 seconds, and must be the first to close them.
        Self { total: 1_024, per_address: 256, idle_seconds: 75 }
    }
}

impl ConnectionLimits {
    /// Time for which a connection may be idle between requests.
    pub(super) fn idle(&self) -> Duration {
        Duration::from_secs(self.idle_seconds.into())
    }
}
