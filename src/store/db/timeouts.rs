//! Time limits of both kinds of connection pools.

use std::time::Duration;

/// Idle time after which a connection is pinged before it is used. A ping costs a round trip, and no server restarts
/// within less time.
pub(super) const PING_AFTER_IDLE: Duration = Duration::from_millis(20);
/// Maximum time that a read waits for a free connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);
