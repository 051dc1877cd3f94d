//! Fixed limits on connections and request heads.

use std::time::Duration;

/// Longest head of a request in bytes: request line and header lines. A longer head is answered with 431.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Time limit from the first byte of a request head to its last.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Greatest number of requests on a connection that has never sent a valid signature or token.
pub(super) const UNVERIFIED_REQUESTS_MAX: u32 = 100;
/// Time limit for a client that does not read an answer.
pub(super) const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// Age after which a connection takes no further request.
pub(super) const LIFETIME: Duration = Duration::from_hours(1);
/// Time limit of the last request on such a connection.
pub(super) const LAST_REQUEST_TIMEOUT: Duration = Duration::from_mins(5);
/// Time for which a closing connection still reads, so that its client can read the answer.
pub(super) const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
/// Greatest number of bytes that a closing connection reads and discards.
pub(super) const LINGER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Interval between two checks of all connections.
pub(super) const SWEEP_EVERY: Duration = Duration::from_secs(1);
