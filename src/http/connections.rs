//! Connections of a listener, and which of them gives way when there is no room.
//!
//! A connection is *verified* once one of its requests had a valid signature or token. Unverified
//! ones give way first, silent ones before others and the oldest first: a genuine request is verified within moments of its connection,
//! and a hostile one never is. So clients that only hold connections cannot keep the webhook shut.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::limits::ConnectionLimits;
use super::peer::{Closed, Order, Peer};
use crate::clock::{Clock, Stopwatch};

/// Open connections of a listener.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    time: Stopwatch,
    table: Mutex<Table>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// By the order of their arrival.
    open: BTreeMap<u64, (Origin, Arc<Peer>)>,
    counts: HashMap<Origin, u32>,
}

/// Address whose connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Origin(IpAddr);

/// Outcome of a connection's arrival.
#[derive(Debug)]
pub(super) enum Admission {
    /// It is in the table; another one gives way for it where a limit is reached, which is named.
    Admitted { ticket: Ticket, gave_way: Option<&'static str> },
    /// All connections are verified and busy.
    NoRoom,
    /// Its address has too many connections, all of them verified.
    Refused,
}

/// Place of a connection in the table; given back on drop.
#[derive(Debug)]
pub(super) struct Ticket {
    connections: Arc<Connections>,
    number: u64,
    pub(super) peer: Arc<Peer>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        let (table, left) = (Mutex::default(), Notify::new());
        Arc::new(Self { limits, time: Clock::stopwatch(), table, left })
    }

    /// Takes a connection in, if there is room or another one gives way.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Admission {
        let origin = Origin::of(address);
        let mut table = self.lock();
        let mut gave_way = None;
        let of_origin = table.counts.get(&origin).copied().unwrap_or(0);
        if origin.is_public()
            && self.limits.per_address != 0
            && of_origin >= self.limits.per_address
        {
            let Some(number) = table.oldest_unverified(|it| it == origin) else {
                return Admission::Refused;
            };
            table.evict(number, Order::Cut);
            gave_way = Some("connections-per-address");
        }
        if table.open.len() >= self.limits.total as usize {
            if let Some(number) = table.oldest_unverified(|_| true) {
                table.evict(number, Order::Cut);
            } else if let Some(number) = table.longest_idle() {
                table.evict(number, Order::Finish);
            } else {
                return Admission::NoRoom;
            }
            gave_way = Some("connections");
        }
        let peer = Arc::new(Peer::new(self.time, self.limits.idle()));
        let number = table.enter(origin, Arc::clone(&peer));
        drop(table);
        let ticket = Ticket { connections: Arc::clone(self), number, peer };
        Admission::Admitted { ticket, gave_way }
    }

    /// Waits until a connection has left.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    /// Closes a connection that can give way, as when the system has no free file descriptor.
    pub(super) fn make_room(&self) -> bool {
        let mut table = self.lock();
        let number = table.oldest_unverified(|_| true).or_else(|| table.longest_idle());
        if let Some(number) = number {
            table.evict(number, Order::Cut);
        }
        number.is_some()
    }

    /// Checks the deadlines of all connections.
    pub(super) fn sweep(&self, mut closed: impl FnMut(Closed)) {
        for (_, peer) in self.lock().open.values() {
            if let Some(reason) = peer.check() {
                closed(reason);
            }
        }
    }

    /// No code that holds the lock can panic half-way through a change.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn enter(&mut self, origin: Origin, peer: Arc<Peer>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, (origin, peer));
        *self.counts.entry(origin).or_default() += 1;
        number
    }

    fn leave(&mut self, number: u64) -> Option<Arc<Peer>> {
        let (origin, peer) = self.open.remove(&number)?;
        if let Some(count) = self.counts.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&origin);
            }
        }
        Some(peer)
    }

    fn evict(&mut self, number: u64, order: Order) {
        if let Some(peer) = self.leave(number) {
            peer.order(order);
        }
    }

    /// The oldest unverified connection; one that sends nothing rather than one that has a request.
    fn oldest_unverified(&self, among: impl Fn(Origin) -> bool) -> Option<u64> {
        let mut oldest = None;
        for (number, (origin, peer)) in &self.open {
            if among(*origin) && !peer.is_verified() {
                if peer.idle_since().is_some() {
                    return Some(*number);
                }
                oldest = oldest.or(Some(*number));
            }
        }
        oldest
    }

    fn longest_idle(&self) -> Option<u64> {
        let idle = self
            .open
            .iter()
            .filter_map(|(number, (_, peer))| peer.idle_since().map(|since| (since, *number)));
        idle.min().map(|(_, number)| number)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.connections.lock().leave(self.number).is_some() {
            self.connections.left.notify_one();
        }
    }
}

impl Origin {
    /// One customer of a network has a whole /64 of IPv6.
    fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            address @ IpAddr::V4(_) => address,
        })
    }

    /// True if it is neither this machine nor a private network. The host part of an IPv6 address
    /// is zero here, so `::1` reads as `::`.
    fn is_public(self) -> bool {
        match self.0 {
            IpAddr::V4(it) => !(it.is_loopback() || it.is_private() || it.is_link_local()),
            IpAddr::V6(it) => {
                !(it.is_unspecified() || it.is_unique_local() || it.is_unicast_link_local())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Extensions;

    use super::*;

    const HERE: &str = "127.0.0.1";
    const PUBLIC: &str = "203.0.113.1";

    fn limits(total: u32, per_address: u32) -> Arc<Connections> {
        Connections::new(ConnectionLimits { total, per_address, ..ConnectionLimits::default() })
    }

    fn admit(connections: &Arc<Connections>, address: &str) -> (Ticket, bool) {
        match connections.admit(address.parse().unwrap()) {
            Admission::Admitted { ticket, gave_way } => (ticket, gave_way.is_some()),
            other => panic!("{other:?}"),
        }
    }

    fn verify(ticket: &Ticket) {
        let mut extensions = Extensions::new();
        extensions.insert(Arc::clone(&ticket.peer));
        Peer::verify(&extensions);
    }

    fn is_open(connections: &Connections, ticket: &Ticket) -> bool {
        connections.lock().open.contains_key(&ticket.number)
    }

    #[test]
    fn the_oldest_unverified_connection_gives_way_first() {
        let connections = limits(3, 0);
        let [first, second, third] = [0; 3].map(|_| admit(&connections, HERE).0);
        verify(&first);
        let (fourth, gave_way) = admit(&connections, HERE);
        assert!(gave_way);
        let open = [&first, &second, &third, &fourth].map(|it| is_open(&connections, it));
        assert_eq!(open, [true, false, true, true]);
        assert!(!second.peer.order(Order::Cut), "it was told to close");
    }

    #[test]
    fn a_silent_connection_gives_way_before_an_older_one_with_a_request() {
        let connections = limits(2, 0);
        let [busy, silent] = [0; 2].map(|_| admit(&connections, HERE).0);
        busy.peer.received();
        let (third, _) = admit(&connections, HERE);
        assert!(is_open(&connections, &busy) && !is_open(&connections, &silent));
        third.peer.begin_request(true);
        let (_fourth, _) = admit(&connections, HERE);
        assert!(!is_open(&connections, &busy) && is_open(&connections, &third));
    }

    #[test]
    fn a_verified_connection_gives_way_only_while_it_is_idle() {
        let connections = limits(2, 0);
        let [first, second] = [0; 2].map(|_| admit(&connections, HERE).0);
        for ticket in [&first, &second] {
            verify(ticket);
            ticket.peer.begin_request(false);
        }
        assert!(matches!(connections.admit(HERE.parse().unwrap()), Admission::NoRoom));
        second.peer.end_request();
        let (third, gave_way) = admit(&connections, HERE);
        assert!(gave_way && is_open(&connections, &first) && is_open(&connections, &third));
        assert!(!second.peer.order(Order::Finish) && second.peer.order(Order::Cut));
    }

    #[test]
    fn the_limit_of_an_address_spares_proxies_and_other_addresses() {
        let connections = limits(100, 2);
        let [first, _second] = [0; 2].map(|_| admit(&connections, PUBLIC).0);
        let (third, gave_way) = admit(&connections, PUBLIC);
        assert!(gave_way && !is_open(&connections, &first) && is_open(&connections, &third));
        for address in [HERE, "10.1.2.3", "::1", "fd00::1", "::ffff:192.168.0.1", "203.0.113.2"] {
            for count in 0..3 {
                let (ticket, gave_way) = admit(&connections, address);
                // Only the public one has a third connection that is too many.
                assert_eq!(gave_way, count == 2 && address == "203.0.113.2", "{address}");
                std::mem::forget(ticket);
            }
        }
    }

    #[test]
    fn an_address_whose_connections_are_all_verified_is_refused_one_more() {
        let connections = limits(100, 2);
        // Two addresses of one IPv6 network.
        let tickets = ["2001:db8::1", "2001:db8::2"].map(|it| admit(&connections, it).0);
        tickets.iter().for_each(verify);
        let third = connections.admit("2001:db8::3".parse().unwrap());
        assert!(matches!(third, Admission::Refused));
        let [first, _second] = tickets;
        drop(first);
        admit(&connections, "2001:db8::3");
    }

    #[test]
    fn whoever_leaves_makes_room() {
        let connections = limits(1, 1);
        for _ in 0..3 {
            let (ticket, gave_way) = admit(&connections, PUBLIC);
            assert!(!gave_way);
            drop(ticket);
        }
        assert!(connections.lock().open.is_empty() && connections.lock().counts.is_empty());
        assert!(!connections.make_room());
        let _ticket = admit(&connections, PUBLIC);
        assert!(connections.make_room());
    }
}
