//! Erasing what events said, for the person who asks to be forgotten, while the log stays provable.
//!
//! An event's place, time, type and hashes stay; its body and the salt of its hash go, and so do the bodies of its
//! redeliveries. Without the salt nothing about the body can be guessed from its hash, and every proof holds as
//! before. A record of what was erased, when, by whom and why is appended in the same transaction: it is
//! an event of the log like any other, of the source `subledger`.
//!
//! What the events said is in the read models too. Making the live one anew from what the log still holds is the
//! second half of an erasure, and dropping the others the third; whoever erases does all of it.
//!
//! *Invariant: nothing else touches a stored body.*

mod find;
mod record;

pub use find::{FindError, Found, find};
pub use record::{ErasedEvent, Erasure, Subject};

use crate::clock::Clock;
use crate::projection::Logic;
use crate::projector::{self, Listing, Mode, RebuildError, Told};
use crate::store::{Appended, GenerationStatus, InvalidEvent, NewEvent, Store, StoreError};
use crate::time::StripeTime;
use tokio_util::sync::CancellationToken;

/// Events in one record, at most.
const EVENTS_PER_RECORD: usize = 1_000;

/// Who erases, and why.
#[derive(Clone, Debug)]
pub struct Order {
    /// A person or an office.
    pub by: String,
    /// As the number of a request.
    pub reason: Option<String>,
}

/// Why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The record cannot stand in the log.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Erases what was found and appends the records of it, in one transaction; says where they stand.
pub async fn erase(
    store: &Store,
    found: &Found,
    order: &Order,
    clock: &Clock,
) -> Result<Vec<Appended>, EraseError> {
    let now = StripeTime(clock.now().0.div_euclid(1_000_000));
    let record = |events: &[ErasedEvent]| {
        let Order { by, reason } = order.clone();
        Erasure { by, reason, events: events.to_vec() }.into_event(&found.scope, now)
    };
    let records: Vec<NewEvent> =
        found.events.chunks(EVENTS_PER_RECORD).map(record).collect::<Result<_, _>>()?;
    Ok(store.log.erase(&found.positions, &records).await?)
}

/// Makes the live generation anew from what the log still holds, with the logic it has, and drops every
/// other: they were made while it held more. Nothing where none is live.
pub async fn renew(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    stop: &CancellationToken,
    tell: impl FnMut(Told<'_>),
) -> Result<(), RebuildError> {
    let Some(live) = store.read_model.live().await? else { return Ok(()) };
    let of_live = projector::logic_of(&live);
    let logic = of_live.as_ref().unwrap_or(logic);
    let mode = (Mode::Swap, Listing::Nothing);
    let made = projector::rebuild(store, logic, clock, stop, mode, tell).await?;
    for generation in store.read_model.generations().await? {
        let is_other = !matches!(generation.status, GenerationStatus::Building)
            && generation.id < made.generation;
        if is_other {
            store.read_model.generation_drop(generation.id).await?;
        }
    }
    Ok(())
}
