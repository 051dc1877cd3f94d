//! Erasure: removes the bodies of events, for a person who asks to be forgotten, while the log stays provable.
//!
//! The position, time, type and hashes of an event stay. Its body, its signature and the salt of their hashes are
//! deleted, and so are the bodies of its redeliveries. Without the salt, a guess at the body cannot be checked against
//! its hash, and every proof stays valid. A record of the erased events, the time, the author and the reason is appended
//! in the same transaction, as an event of the source `subledger`.
//!
//! The read models hold the content of the events too, and the files hold their bytes until they are rewritten. So an
//! erasure has a second half, [`finish`]: it rebuilds the live read model from the log, drops the others, and rewrites
//! the files. It can be repeated until it succeeds.
//!
//! One commitment stays. The leaf of an event that was logged before signatures were salted contains `SHA-256` of the
//! signature header. With the endpoint's secret, a guess at the whole body and the second of the signature can be
//! checked against it.
//!
//! *Invariant: nothing else changes a stored body.*

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

/// Number of events in one record, at most.
const EVENTS_PER_RECORD: usize = 1_000;

/// Request for an erasure.
#[derive(Clone, Debug)]
pub struct ErasureRequest {
    /// Person or office that erases.
    pub by: String,
    /// Reason, such as the number of a case.
    pub reason: Option<String>,
}

/// Reason why nothing was erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The record is no valid event.
    #[error(transparent)]
    Invalid(#[from] InvalidEvent),
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Erases the targets and appends the records in one transaction. Returns the positions of the records.
#[tracing::instrument(level = "debug", skip_all)]
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
