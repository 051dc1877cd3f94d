//! State of one connection, shared by its socket, its requests and its listener.
//!
//! The socket and the requests set deadlines with single atomic stores, and the listener checks them
//! once a second. So a request needs no timer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use axum::http::Extensions;
use tokio::sync::Notify;

use super::limits::{
    HEAD_TIMEOUT, LAST_REQUEST_TIMEOUT, LIFETIME, LINGER_BYTES_MAX, LINGER_TIMEOUT, WRITE_TIMEOUT,
};
use crate::clock::Stopwatch;

/// No deadline.
const NEVER: u64 = u64::MAX;

/// State of one connection.
#[derive(Debug)]
pub struct ConnectionState {
    /// Running since the listener started. All times below are milliseconds of it.
    time: Stopwatch,
    opened: u64,
    idle_timeout: Duration,
    phase: AtomicU8,
    read_deadline: AtomicU64,
    write_deadline: AtomicU64,
    idle_since: AtomicU64,
    requests: AtomicU32,
    /// True if a request had a valid signature or token.
    verified: AtomicBool,
    /// True if the client may still be sending when the connection closes.
    unread: AtomicBool,
    /// Greatest [`Shutdown`] that was requested; 0 for none.
    shutdown: AtomicU8,
    shutdown_changed: Notify,
}

/// Phase of a connection's current request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Between two requests, or before the first.
    Idle,
    /// A part of a request head was received.
    Head,
    /// A request is being answered.
    Request,
    /// The answer was sent. What the client still sends is discarded.
    Closing,
}

/// Shutdown of a connection, as the listener requests it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Shutdown {
    /// Finish the current request and take no further one.
    Graceful = 1,
    /// Close at once.
    Immediate = 2,
}

/// Reason for which the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CloseReason {
    Idle,
    SlowHead,
    NotReading,
    Lifetime,
    GaveWay,
    Refused,
}

impl CloseReason {
    /// All reasons, in the order of their discriminants.
    pub(super) const ALL: [Self; 6] = [
        Self::Idle,
        Self::SlowHead,
        Self::NotReading,
        Self::Lifetime,
        Self::GaveWay,
        Self::Refused,
    ];

    /// Label in the metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::SlowHead => "slow-head",
            Self::NotReading => "not-reading",
            Self::Lifetime => "lifetime",
            Self::GaveWay => "gave-way",
            Self::Refused => "refused",
        }
    }
}

impl ConnectionState {
    /// State of a connection that was just accepted.
    pub(super) fn new(time: Stopwatch, idle_timeout: Duration) -> Self {
        let now = millis(time.elapsed());
        Self {
            time,
            opened: now,
            idle_timeout,
            phase: AtomicU8::new(Phase::Idle as u8),
            // A client connects in order to send a request.
            read_deadline: AtomicU64::new(now + millis(HEAD_TIMEOUT)),
            write_deadline: AtomicU64::new(NEVER),
            idle_since: AtomicU64::new(now),
            requests: AtomicU32::new(0),
            verified: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            shutdown: AtomicU8::new(0),
            shutdown_changed: Notify::new(),
        }
    }

    /// Marks the connection of a request that had a valid signature or token.
    pub fn mark_verified(extensions: &Extensions) {
        // Absent if a router runs without a listener.
        if let Some(connection) = extensions.get::<Arc<Self>>() {
            connection.verified.store(true, Relaxed);
        }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified.load(Relaxed)
    }

    /// Start of the idle time, if the connection is idle.
    pub(super) fn idle_since(&self) -> Option<u64> {
        self.is(Phase::Idle).then(|| self.idle_since.load(Relaxed))
    }

    /// Records that the head of a request was read. Returns the number of the request, from 1.
    pub(super) fn begin_request(&self, has_body: bool) -> u32 {
        self.set(Phase::Request);
        self.unread.store(has_body, Relaxed);
        self.read_deadline.store(NEVER, Relaxed);
        self.requests.fetch_add(1, Relaxed) + 1
    }

    /// Records that the request is answered; the answer may not be written yet.
    pub(super) fn end_request(&self) {
        let now = self.now();
        self.idle_since.store(now, Relaxed);
        self.read_deadline.store(now + millis(self.idle_timeout), Relaxed);
        self.set(Phase::Idle);
    }

    /// Records that bytes were received.
    pub(super) fn record_read(&self) {
        if self.is(Phase::Idle) {
            self.read_deadline.store(self.now() + millis(HEAD_TIMEOUT), Relaxed);
            self.unread.store(true, Relaxed);
            self.set(Phase::Head);
        }
    }

    /// Records that the client takes no bytes at the moment.
    pub(super) fn record_write_stalled(&self) {
        if self.write_deadline.load(Relaxed) == NEVER {
            self.write_deadline.store(self.now() + millis(WRITE_TIMEOUT), Relaxed);
        }
    }

    /// Records that the client has taken bytes.
    pub(super) fn record_written(&self) {
        self.write_deadline.store(NEVER, Relaxed);
    }

    /// Begins to close after the last answer. Returns the number of bytes to discard first.
    pub(super) fn begin_close(&self) -> usize {
        self.set(Phase::Closing);
        self.read_deadline.store(self.now() + millis(LINGER_TIMEOUT), Relaxed);
        if self.unread.load(Relaxed) { LINGER_BYTES_MAX } else { 0 }
    }

    /// Prepares a graceful shutdown. An idle client sends nothing that would have to be discarded.
    pub(super) fn begin_shutdown(&self) {
        if self.is(Phase::Idle) {
            self.unread.store(false, Relaxed);
        }
    }

    /// Requests a shutdown if a deadline has passed. Returns the reason if the request is new.
    pub(super) fn check_deadlines(&self) -> Option<CloseReason> {
        let now = self.now();
        let age = now.saturating_sub(self.opened);
        let read_deadline = self.read_deadline.load(Relaxed);
        let (shutdown, reason) = if self.write_deadline.load(Relaxed) < now {
            (Shutdown::Immediate, CloseReason::NotReading)
        } else if read_deadline < now && self.is(Phase::Head) {
            (Shutdown::Immediate, CloseReason::SlowHead)
        } else if read_deadline < now {
            let finished = now - read_deadline > millis(LINGER_TIMEOUT) || !self.is(Phase::Idle);
            (if finished { Shutdown::Immediate } else { Shutdown::Graceful }, CloseReason::Idle)
        } else if age > millis(LIFETIME + LAST_REQUEST_TIMEOUT) {
            (Shutdown::Immediate, CloseReason::Lifetime)
        } else if age > millis(LIFETIME) {
            (Shutdown::Graceful, CloseReason::Lifetime)
        } else {
            return None;
        };
        let closing = self.is(Phase::Closing);
        (self.request_shutdown(shutdown) && !closing).then_some(reason)
    }

    /// Requests a shutdown. Returns true if no such one, or a stronger one, was requested before.
    pub(super) fn request_shutdown(&self, shutdown: Shutdown) -> bool {
        let is_new = self.shutdown.fetch_max(shutdown as u8, Relaxed) < shutdown as u8;
        if is_new {
            self.shutdown_changed.notify_one();
        }
        is_new
    }

    /// Waits for the next request to shut down. Only one task may wait.
    pub(super) async fn shutdown_requested(&self) -> Shutdown {
        self.shutdown_changed.notified().await;
        if self.shutdown.load(Relaxed) == Shutdown::Immediate as u8 {
            Shutdown::Immediate
        } else {
            Shutdown::Graceful
        }
    }

    fn now(&self) -> u64 {
        millis(self.time.elapsed())
    }

    fn is(&self, phase: Phase) -> bool {
        self.phase.load(Relaxed) == phase as u8
    }

    fn set(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
