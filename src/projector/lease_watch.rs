//! Watch over the leases of generations.
//!
//! A lease is fenced by its token, so taking one from a living process is safe and costs only that process's work.
//! Stored times do not say when a lease is over: they were written by a clock that may have been ahead by hours.
//! So a lease that is not renewed while this process watches it is over, whatever time is stored in it.

use std::collections::HashMap;
use std::time::Duration;

use super::LEASE_SECONDS;
use crate::clock::{Clock, Stopwatch};
use crate::ids::Position;
use crate::lease::holder::{CHECK_EVERY, SILENCE, holder_name, is_gone};
use crate::store::{Generation, GenerationId, Lease, Store, StoreError};
use crate::time::ReceivedAt;

/// Seconds by which the clocks of two machines may differ.
const SKEW_SECONDS: i64 = 60;

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
