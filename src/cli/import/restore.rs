//! Restore of an export: into an empty log, or on with one that was interrupted.
//!
//! A log that holds nothing but restored events, and whose events are the first of the export leaf by leaf, is
//! the beginning of that export. The rest of the export may follow it. Nothing else may: whoever can choose the
//! lines could otherwise choose what the log says.

use std::collections::VecDeque;

use crate::ids::Position;
use crate::store::{Log, NewEvent, StoreError};
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Leaf hashes of the log that are read at once.
const LEAVES_AT_ONCE: i64 = 1_000;

/// Progress of a restore.
pub(super) struct Restore {
    /// The end of the log when the import began.
    size: Position,
    /// The last event of the log that the export has confirmed.
    confirmed: Position,
    /// Leaf hashes that follow it.
    leaves: VecDeque<Hash>,
    /// The time of the last record that was taken.
    last_received_at: Option<ReceivedAt>,
}

/// Next step of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestoreStep {
    /// The log holds this very event here.
    Confirmed(Position),
    /// The event follows the end of the log.
    Restored,
    /// The event is another one than the log's, or out of order.
    Mismatch,
}

impl Restore {
    /// A restore into this log, if it is empty or holds nothing but restored events.
    pub(super) async fn begin(log: &Log) -> Result<Option<Self>, StoreError> {
        let head = log.head().await?;
        Ok((head.restored == head.size).then(|| Self {
            size: head.size,
            confirmed: Position::ZERO,
            leaves: VecDeque::new(),
            last_received_at: None,
        }))
    }

    /// The step that an exported event is.
    pub(super) async fn step(
        &mut self,
        log: &Log,
        event: &NewEvent,
    ) -> Result<RestoreStep, StoreError> {
        let Some(received_at) = event.received_at() else { return Ok(RestoreStep::Mismatch) };
        if self.confirmed < self.size {
            if self.leaves.is_empty() {
                self.leaves = log.leaf_hashes(self.confirmed, LEAVES_AT_ONCE).await?.into();
            }
            if self.leaves.front() != Some(&event.leaf_hash(received_at)) {
                return Ok(RestoreStep::Mismatch);
            }
            self.leaves.pop_front();
            self.confirmed = self.confirmed.next();
            self.last_received_at = Some(received_at);
            return Ok(RestoreStep::Confirmed(self.confirmed));
        }
        if self.last_received_at.is_some_and(|last| received_at <= last) {
            return Ok(RestoreStep::Mismatch);
        }
        self.last_received_at = Some(received_at);
        Ok(RestoreStep::Restored)
    }
}
