//! Fixed limits on connections and request heads.

use std::time::Duration;

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
