//! Open connections of a listener, and the choice of the one to close when a limit is reached.
//!
//! A connection is *verified* once one of its requests had a valid signature or token. Unverified connections
//! are closed first: idle ones before others, then the oldest. A genuine request is verified moments after its
//! connection is opened, and a hostile one never is. So clients that only hold connections cannot block the webhook.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::connection_state::{CloseReason, ConnectionState, Shutdown};
use crate::clock::{Clock, Stopwatch};
use crate::config::ConnectionLimits;

/// Open connections of a listener.
#[derive(Debug)]
pub(super) struct Connections {
    limits: ConnectionLimits,
    time: Stopwatch,
    table: Mutex<Table>,
    /// Notified when a connection has ended.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    /// Connections by arrival.
    open: BTreeMap<u64, (Origin, Arc<ConnectionState>)>,
    counts: HashMap<Origin, u32>,
}

/// Address, or network, whose connections are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Origin(IpAddr);

/// Outcome of [`Connections::admit`].
#[derive(Debug)]
pub(super) enum Admission {
    /// The connection has a slot. `evicted_by` names the limit for which another connection is closed.
    Admitted { slot: Slot, evicted_by: Option<&'static str> },
    /// All connections are verified and busy.
    Full,
    /// The address has too many connections, and all of them are verified.
    Refused,
}

/// Slot of a connection in the table; freed on drop.
#[derive(Debug)]
pub(super) struct Slot {
    connections: Arc<Connections>,
    number: u64,
    pub(super) state: Arc<ConnectionState>,
}

impl Connections {
    pub(super) fn new(limits: ConnectionLimits) -> Arc<Self> {
        let (table, freed) = (Mutex::default(), Notify::new());
        Arc::new(Self { limits, time: Clock::stopwatch(), table, freed })
    }

    /// Gives a new connection a slot, if need be by closing another connection.
    pub(super) fn admit(self: &Arc<Self>, address: IpAddr) -> Admission {
        let origin = Origin::from_address(address);
        let mut table = self.lock();
        let mut evicted_by = None;
        let from_origin = table.counts.get(&origin).copied().unwrap_or(0);
        if origin.is_public()
            && self.limits.per_address != 0
            && from_origin >= self.limits.per_address
        {
            let Some(number) = table.oldest_unverified(|it| it == origin) else {
                return Admission::Refused;
            };
            table.evict(number, Shutdown::Immediate);
            evicted_by = Some("connections-per-address");
        }
        if table.open.len() >= self.limits.total as usize {
            if let Some(number) = table.oldest_unverified(|_| true) {
                table.evict(number, Shutdown::Immediate);
            } else if let Some(number) = table.longest_idle() {
                table.evict(number, Shutdown::Graceful);
            } else {
                return Admission::Full;
            }
            evicted_by = Some("connections");
        }
        let state = Arc::new(ConnectionState::new(self.time, self.limits.idle_timeout()));
        let number = table.insert(origin, Arc::clone(&state));
        drop(table);
        let slot = Slot { connections: Arc::clone(self), number, state };
        Admission::Admitted { slot, evicted_by }
    }

    /// Waits until a slot is freed.
    pub(super) async fn slot_freed(&self) {
        self.freed.notified().await;
    }

    /// Closes an unverified or idle connection, as when the system has no free file descriptor.
    pub(super) fn evict_one(&self) -> bool {
        let mut table = self.lock();
        let number = table.oldest_unverified(|_| true).or_else(|| table.longest_idle());
        if let Some(number) = number {
            table.evict(number, Shutdown::Immediate);
        }
        number.is_some()
    }

    /// Checks the deadlines of all connections, and reports those that are closed.
    pub(super) fn sweep(&self, mut on_close: impl FnMut(CloseReason)) {
        for (_, state) in self.lock().open.values() {
            if let Some(reason) = state.check_deadlines() {
                on_close(reason);
            }
        }
    }

    /// Locks the table. No code that holds the lock can panic half-way through a change, so poison is ignored.
    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn insert(&mut self, origin: Origin, state: Arc<ConnectionState>) -> u64 {
        let number = self.next;
        self.next += 1;
        self.open.insert(number, (origin, state));
        *self.counts.entry(origin).or_default() += 1;
        number
    }

    fn remove(&mut self, number: u64) -> Option<Arc<ConnectionState>> {
        let (origin, state) = self.open.remove(&number)?;
        if let Some(count) = self.counts.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.counts.remove(&origin);
            }
        }
        Some(state)
    }

    fn evict(&mut self, number: u64, shutdown: Shutdown) {
        if let Some(state) = self.remove(number) {
            state.request_shutdown(shutdown);
        }
    }

    /// Oldest unverified connection; an idle one before one that has a request.
    fn oldest_unverified(&self, among: impl Fn(Origin) -> bool) -> Option<u64> {
        let mut oldest = None;
        for (number, (origin, state)) in &self.open {
            if among(*origin) && !state.is_verified() {
                if state.idle_since().is_some() {
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
            .filter_map(|(number, (_, state))| state.idle_since().map(|since| (since, *number)));
        idle.min().map(|(_, number)| number)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.connections.lock().remove(self.number).is_some() {
            self.connections.freed.notify_one();
        }
    }
}

impl Origin {
    /// An IPv6 address stands for its /64 network, because one client has the whole of it.
    fn from_address(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)))
            }
            address @ IpAddr::V4(_) => address,
        })
    }

    /// True if the address is neither this machine's nor that of a private network. The host part of an IPv6
    /// address is zero here, so `::1` reads as `::`.
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

    fn admit(connections: &Arc<Connections>, address: &str) -> (Slot, bool) {
        match connections.admit(address.parse().unwrap()) {
            Admission::Admitted { slot, evicted_by } => (slot, evicted_by.is_some()),
            other => panic!("{other:?}"),
        }
    }

    fn verify(slot: &Slot) {
        let mut extensions = Extensions::new();
        extensions.insert(Arc::clone(&slot.state));
        ConnectionState::mark_verified(&extensions);
    }

    fn is_open(connections: &Connections, slot: &Slot) -> bool {
        connections.lock().open.contains_key(&slot.number)
    }

    #[test]
    fn the_oldest_unverified_connection_gives_way_first() {
        let connections = limits(3, 0);
        let [first, second, third] = [0; 3].map(|_| admit(&connections, HERE).0);
        verify(&first);
        let (fourth, evicted) = admit(&connections, HERE);
        assert!(evicted);
        let open = [&first, &second, &third, &fourth].map(|it| is_open(&connections, it));
        assert_eq!(open, [true, false, true, true]);
        assert!(!second.state.request_shutdown(Shutdown::Immediate), "it was told to close");
    }

    #[test]
    fn a_silent_connection_gives_way_before_an_older_one_with_a_request() {
        let connections = limits(2, 0);
        let [busy, silent] = [0; 2].map(|_| admit(&connections, HERE).0);
        busy.state.record_read();
        let (third, _) = admit(&connections, HERE);
        assert!(is_open(&connections, &busy) && !is_open(&connections, &silent));
        third.state.begin_request(true);
        let (_fourth, _) = admit(&connections, HERE);
        assert!(!is_open(&connections, &busy) && is_open(&connections, &third));
    }

    #[test]
    fn a_verified_connection_gives_way_only_while_it_is_idle() {
        let connections = limits(2, 0);
        let [first, second] = [0; 2].map(|_| admit(&connections, HERE).0);
        for slot in [&first, &second] {
            verify(slot);
            slot.state.begin_request(false);
        }
        assert!(matches!(connections.admit(HERE.parse().unwrap()), Admission::Full));
        second.state.end_request();
        let (third, evicted) = admit(&connections, HERE);
        assert!(evicted && is_open(&connections, &first) && is_open(&connections, &third));
        assert!(
            !second.state.request_shutdown(Shutdown::Graceful)
                && second.state.request_shutdown(Shutdown::Immediate)
        );
    }

    #[test]
    fn the_limit_of_an_address_spares_proxies_and_other_addresses() {
        let connections = limits(100, 2);
        let [first, _second] = [0; 2].map(|_| admit(&connections, PUBLIC).0);
        let (third, evicted) = admit(&connections, PUBLIC);
        assert!(evicted && !is_open(&connections, &first) && is_open(&connections, &third));
        for address in [HERE, "10.1.2.3", "::1", "fd00::1", "::ffff:192.168.0.1", "203.0.113.2"] {
            for count in 0..3 {
                let (slot, evicted) = admit(&connections, address);
                // Only the public one has a third connection that is too many.
                assert_eq!(evicted, count == 2 && address == "203.0.113.2", "{address}");
                std::mem::forget(slot);
            }
        }
    }

    #[test]
    fn an_address_whose_connections_are_all_verified_is_refused_one_more() {
        let connections = limits(100, 2);
        // Two addresses of one IPv6 network.
        let slots = ["2001:db8::1", "2001:db8::2"].map(|it| admit(&connections, it).0);
        slots.iter().for_each(verify);
        let third = connections.admit("2001:db8::3".parse().unwrap());
        assert!(matches!(third, Admission::Refused));
        let [first, _second] = slots;
        drop(first);
        admit(&connections, "2001:db8::3");
    }

    #[test]
    fn whoever_leaves_makes_room() {
        let connections = limits(1, 1);
        for _ in 0..3 {
            let (slot, evicted) = admit(&connections, PUBLIC);
            assert!(!evicted);
            drop(slot);
        }
        assert!(connections.lock().open.is_empty() && connections.lock().counts.is_empty());
        assert!(!connections.evict_one());
        let _slot = admit(&connections, PUBLIC);
        assert!(connections.evict_one());
    }
}
