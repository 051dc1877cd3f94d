//! Holders of leases: the names of processes, and whether they are alive.
//!
//! A lease is fenced by its token, so taking one from a living process is safe and costs only that process's work.
//! Stored times do not say when a lease is over: they were written by a clock that may have been ahead by hours.
//! So a lease that is not renewed while this process watches it is over, whatever time is stored in it.

use std::collections::HashMap;
use std::time::Duration;

use super::LEASE_SECONDS;
use crate::clock::{Clock, Stopwatch};
use crate::ids::Position;
use crate::store::{Generation, GenerationId, Lease, Store, StoreError};
use crate::time::ReceivedAt;

/// Time between two renewals of a lease.
pub(super) const RENEW_EVERY: Duration = Duration::from_secs(1);
/// Time without a renewal after which a lease that is watched is over.
pub(super) const SILENCE: Duration = Duration::from_secs(5);
/// Seconds by which the clocks of two machines may differ.
const SKEW_SECONDS: i64 = 60;
/// Interval between checks of a watched lease.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// Unique name of this process: its number, its start, its machine, and random digits.
pub(super) fn holder_name() -> String {
    let mut random = [0; 8];
    // Without randomness the rest is enough: leases are fenced by token, not by name.
    let _ = getrandom::fill(&mut random);
    let process = std::process::id();
    let place = machine().unwrap_or_default();
    let started = started(process).unwrap_or_default();
    format!("{process}-{started}-{place}-{}", hex::encode(random))
}

/// True if the process of this name has certainly ended: it ran on this machine and is not there now.
///
/// False if that cannot be known: on another machine, in another container, on another system than Linux.
pub(super) fn is_gone(holder: &str) -> bool {
    let mut parts = holder.split('-');
    let (Some(process), Some(began), Some(place)) = (parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let Ok(process) = process.parse() else { return false };
    if began.is_empty() || machine().is_none_or(|here| here != place) {
        return false;
    }
    started(process).is_none_or(|it| it != began)
}

/// This boot of this machine, and the namespace in which its processes are numbered.
fn machine() -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::read_link("/proc/self/ns/pid").ok()?;
    let number: String = namespace.to_str()?.chars().filter(char::is_ascii_digit).collect();
    let boot: String = boot.chars().filter(char::is_ascii_hexdigit).take(12).collect();
    Some(format!("{boot}.{number}"))
}

/// Start of a process, in ticks since the boot: field 22 of its `stat`, of which only the second, the
/// program's name in brackets, can hold spaces.
fn started(process: u32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(19).map(str::to_owned)
}

/// True if a process may hold the lease of a generation, by the stored time. A time later than any lease may end was
/// written by a clock that was far ahead, and does not count.
pub(super) fn seems_held(generation: &Generation, now: ReceivedAt) -> bool {
    let longest = ReceivedAt(now.0 + (i64::from(LEASE_SECONDS) + SKEW_SECONDS) * 1_000_000);
    generation.lease_holder.as_deref().is_some_and(|it| !is_gone(it))
        && generation.lease_until > now
        && generation.lease_until <= longest
}

/// Watch over leases: the changes that this process has seen.
#[derive(Debug, Default)]
pub(super) struct LeaseWatch(HashMap<GenerationId, (Sign, Stopwatch)>);

/// Values that change while a process works on a generation.
#[derive(Debug, PartialEq, Eq)]
struct Sign {
    holder: Option<String>,
    until: ReceivedAt,
    position: Position,
    built: i64,
}

impl LeaseWatch {
    /// Time for which the lease has not changed while this process watched; the maximum if its holder has certainly
    /// ended.
    pub(super) fn silent_for(&mut self, generation: &Generation) -> Duration {
        if generation.lease_holder.as_deref().is_some_and(is_gone) {
            return Duration::MAX;
        }
        let sign = Sign {
            holder: generation.lease_holder.clone(),
            until: generation.lease_until,
            position: generation.position,
            built: generation.built,
        };
        match self.0.get(&generation.id) {
            Some((seen, since)) if *seen == sign => since.elapsed(),
            _ => {
                self.0.insert(generation.id, (sign, Clock::stopwatch()));
                Duration::ZERO
            }
        }
    }
}

/// Takes the lease of a generation whose holder has ended, after watching it as long as necessary. None if the holder
/// is alive or the generation does not exist.
pub(super) async fn claim(
    store: &Store,
    id: GenerationId,
    clock: &Clock,
) -> Result<Option<Lease>, StoreError> {
    let (model, holder) = (&store.read_model, holder_name());
    let mut watch = LeaseWatch::default();
    let mut first = None;
    loop {
        let generations = model.generations().await?;
        let Some(generation) = generations.into_iter().find(|it| it.id == id) else {
            return Ok(None);
        };
        let silent = watch.silent_for(&generation) >= SILENCE;
        let until = generation.lease_until;
        let over = silent.then_some(until);
        let taken = model.lease_take_over(id, &holder, clock.now(), LEASE_SECONDS, over).await?;
        if taken.is_some() {
            return Ok(taken);
        }
        if *first.get_or_insert(until) != until {
            return Ok(None);
        }
        tokio::time::sleep(CHECK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_is_gone_only_where_that_is_certain() {
        let own = holder_name();
        assert!(!is_gone(&own), "{own}");
        let place = machine().unwrap();
        let started = started(std::process::id()).unwrap();
        let process = std::process::id();
        assert!(is_gone(&format!("{process}-1-{place}-0")), "another process had this number");
        assert!(is_gone(&format!("4194305-{started}-{place}-0")), "no process has this number");
        assert!(!is_gone(&format!("4194305-{started}-elsewhere-0")));
        assert!(!is_gone("4194305-00aa11bb22cc33dd"), "a name of an older version");
        assert!(!is_gone("another"));
    }
}
