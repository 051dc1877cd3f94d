//! State of one connection, shared by its socket, its requests and its listener.
//!
//! The socket and the requests set deadlines with single atomic stores; the listener looks at them
//! once a second. So a request costs no timer.

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
pub struct Peer {
    /// Runs since the listener started; all times below are milliseconds of it.
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
    order: AtomicU8,
    ordered: Notify,
}

/// Phase of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Between two requests, or before the first.
    Idle,
    /// A part of a head was received.
    Head,
    /// A request is being answered.
    Request,
    /// The answer was sent, and what the client still sends is discarded.
    Closing,
}

/// Order of the listener to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Order {
    /// Take no further request.
    Finish = 1,
    /// Close at once.
    Cut = 2,
}

/// Reason for which the server closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    Idle,
    SlowHead,
    NotReading,
    Lifetime,
    GaveWay,
    Refused,
}

impl Closed {
    /// All of them, in the order of their numbers.
    pub(super) const ALL: [Self; 6] = [
        Self::Idle,
        Self::SlowHead,
        Self::NotReading,
        Self::Lifetime,
        Self::GaveWay,
        Self::Refused,
    ];

    /// Name in the metrics.
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

impl Peer {
    /// State of a connection that was just accepted.
    pub(super) fn new(time: Stopwatch, idle_timeout: Duration) -> Self {
        let now = millis(time.elapsed());
        Self {
            time,
            opened: now,
            idle_timeout,
            phase: AtomicU8::new(Phase::Idle as u8),
            // Who connects has something to say.
            read_deadline: AtomicU64::new(now + millis(HEAD_TIMEOUT)),
            write_deadline: AtomicU64::new(NEVER),
            idle_since: AtomicU64::new(now),
            requests: AtomicU32::new(0),
            verified: AtomicBool::new(false),
            unread: AtomicBool::new(false),
            order: AtomicU8::new(0),
            ordered: Notify::new(),
        }
    }

    /// Notes that a request of this connection had a valid signature or token.
    pub fn verify(extensions: &Extensions) {
        // Absent where a router is driven without a listener.
        if let Some(peer) = extensions.get::<Arc<Self>>() {
            peer.verified.store(true, Relaxed);
        }
    }

    pub(super) fn is_verified(&self) -> bool {
        self.verified.load(Relaxed)
    }

    /// Time since which the connection has been idle, if it is.
    pub(super) fn idle_since(&self) -> Option<u64> {
        self.is(Phase::Idle).then(|| self.idle_since.load(Relaxed))
    }

    /// A request was read, up to its body. Returns its number, from 1.
    pub(super) fn begin_request(&self, has_body: bool) -> u32 {
        self.set(Phase::Request);
        self.unread.store(has_body, Relaxed);
        self.read_deadline.store(NEVER, Relaxed);
        self.requests.fetch_add(1, Relaxed) + 1
    }

    /// The request is answered; the answer may not be written yet.
    pub(super) fn end_request(&self) {
        let now = self.now();
        self.idle_since.store(now, Relaxed);
        self.read_deadline.store(now + millis(self.idle_timeout), Relaxed);
        self.set(Phase::Idle);
    }

    /// Bytes were received.
    pub(super) fn received(&self) {
        if self.is(Phase::Idle) {
            self.read_deadline.store(self.now() + millis(HEAD_TIMEOUT), Relaxed);
            self.unread.store(true, Relaxed);
            self.set(Phase::Head);
        }
    }

    /// The client takes no more bytes at the moment.
    pub(super) fn write_stalled(&self) {
        if self.write_deadline.load(Relaxed) == NEVER {
            self.write_deadline.store(self.now() + millis(WRITE_TIMEOUT), Relaxed);
        }
    }

    /// The client has taken bytes.
    pub(super) fn written(&self) {
        self.write_deadline.store(NEVER, Relaxed);
    }

    /// The answer is sent and the connection closes. Returns how many bytes are to be discarded first.
    pub(super) fn close(&self) -> usize {
        self.set(Phase::Closing);
        self.read_deadline.store(self.now() + millis(LINGER_TIMEOUT), Relaxed);
        if self.unread.load(Relaxed) { LINGER_BYTES_MAX } else { 0 }
    }

    /// No further request is wanted. An idle client sends nothing that would have to be discarded.
    pub(super) fn finish(&self) {
        if self.is(Phase::Idle) {
            self.unread.store(false, Relaxed);
        }
    }

    /// Checks all deadlines, and gives the order that follows from a missed one.
    pub(super) fn check(&self) -> Option<Closed> {
        let now = self.now();
        let age = now.saturating_sub(self.opened);
        let read_deadline = self.read_deadline.load(Relaxed);
        let (order, reason) = if self.write_deadline.load(Relaxed) < now {
            (Order::Cut, Closed::NotReading)
        } else if read_deadline < now && self.is(Phase::Head) {
            (Order::Cut, Closed::SlowHead)
        } else if read_deadline < now {
            let finished = now - read_deadline > millis(LINGER_TIMEOUT) || !self.is(Phase::Idle);
            (if finished { Order::Cut } else { Order::Finish }, Closed::Idle)
        } else if age > millis(LIFETIME + LAST_REQUEST_TIMEOUT) {
            (Order::Cut, Closed::Lifetime)
        } else if age > millis(LIFETIME) {
            (Order::Finish, Closed::Lifetime)
        } else {
            return None;
        };
        let closing = self.is(Phase::Closing);
        (self.order(order) && !closing).then_some(reason)
    }

    /// Gives an order; returns whether it is a new one.
    pub(super) fn order(&self, order: Order) -> bool {
        let is_new = self.order.fetch_max(order as u8, Relaxed) < order as u8;
        if is_new {
            self.ordered.notify_one();
        }
        is_new
    }

    /// Waits for the next order. For one task only.
    pub(super) async fn ordered(&self) -> Order {
        self.ordered.notified().await;
        if self.order.load(Relaxed) == Order::Cut as u8 { Order::Cut } else { Order::Finish }
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
