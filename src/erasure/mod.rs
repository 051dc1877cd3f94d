//! Erasing what events said, for the person who asks to be forgotten, while the log stays provable.
//!
//! An event's place, time, type and hashes stay; its body, its signature and the salt of their hashes go, and so do
//! the bodies of its redeliveries. Without the salt nothing about the body can be guessed from its hash, and every
//! proof holds as before. A record of what was erased, when, by whom and why is appended in the same transaction: it
//! is an event of the log like any other, of the source `subledger`.
//!
//! What the events said is in the read models too, and its bytes are in the files until those are rewritten. So
//! an erasure has a second half, [`finish`]: the live read model is rebuilt from what the log still holds, the others are
//! dropped, and the files are rewritten. It can be repeated until it succeeds.
//!
//! One thing cannot be taken back. The leaf of an event that was logged before signatures were salted commits to
//! `SHA-256` of the signature header. Whoever holds the endpoint's secret, and guesses the whole body and the second of
//! the signature, can confirm the guess with it.
//!
//! *Invariant: nothing else touches a stored body.*

mod find;
mod finish;
mod names;
mod record;

pub use crate::projection::erasure_record::{ErasedEvent, ErasedSubject, ErasureRecord};
pub use find::{ErasureTarget, ErasureTargets, FindError, find};
pub use finish::{ErasedBytes, finish};

use crate::clock::Clock;
use crate::store::{Appended, InvalidEvent, NewEvent, Store, StoreError};
use crate::time::StripeTime;

/// Events in one record, at most.
const EVENTS_PER_RECORD: usize = 1_000;

/// Who erases, and why.
#[derive(Clone, Debug)]
pub struct ErasureRequest {
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
    found: &ErasureTargets,
    request: &ErasureRequest,
    clock: &Clock,
) -> Result<Vec<Appended>, EraseError> {
    let now = StripeTime(clock.now().0.div_euclid(1_000_000));
    let record = |events: &[ErasureTarget]| {
        let ErasureRequest { by, reason } = request.clone();
        let events = events.iter().map(|it| it.entry.clone()).collect();
        ErasureRecord { by, reason, events }.into_event(ErasureRecord::draw_id(), &found.scope, now)
    };
    let records: Vec<NewEvent> =
        found.events.chunks(EVENTS_PER_RECORD).map(record).collect::<Result<_, _>>()?;
    let positions: Vec<_> = found.events.iter().map(|it| it.position).collect();
    Ok(store.log.erase(&positions, &records).await?)
}
