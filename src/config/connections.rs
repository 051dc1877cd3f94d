//! Limits on connections that an operator can set.

use std::time::Duration;

use clap::Args;

/// Limits on the connections of each listener.
#[derive(Args, Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Limit on open connections, for each address that is listened on
    ///
    /// At the limit, a new connection closes the oldest one that has not yet sent a valid signature or token, else
    /// the one that has been idle longest.
    #[arg(
        id = "connections",
        long = "connections",
        value_name = "N",
        env = "SUBLEDGER_CONNECTIONS",
        default_value_t = Self::default().total,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    pub total: u32,

    /// Limit on open connections from one public address (IPv6: one /64 network); 0 for no limit
    ///
    /// Loopback and private addresses have no such limit, because proxies use them. If your proxy has a public
    /// address, set this to 0.
    #[arg(
        id = "connections_per_address",
        long = "connections-per-address",
        value_name = "N",
        env = "SUBLEDGER_CONNECTIONS_PER_ADDRESS",
        default_value_t = Self::default().per_address
    )]
    pub per_address: u32,

    /// Idle timeout of a connection between two requests. Set it higher than that of your proxy
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
        // Common proxies close idle connections after 60 seconds, and must close them first.
        Self { total: 1_024, per_address: 256, idle_seconds: 75 }
    }
}

impl ConnectionLimits {
    /// Idle timeout of a connection between two requests.
    pub fn idle_timeout(&self) -> Duration {
        Duration::from_secs(self.idle_seconds.into())
    }
}
