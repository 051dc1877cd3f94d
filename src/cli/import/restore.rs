//! Restore of an export into an empty log, or continuation of an interrupted restore.
//!
//! A log that has only restored events, whose leaf hashes are those of the first events of the export, is the beginning
//! of that export: the rest may follow. Nothing else may follow, because anybody who can write the lines could
//! otherwise choose the content of the log.

use std::collections::VecDeque;

use crate::ids::Position;
use crate::store::{Log, NewEvent, StoreError};
use crate::time::ReceivedAt;
use crate::tree::Hash;

/// Number of leaf hashes to read at a time.
const LEAVES_AT_ONCE: i64 = 1_000;

/// Progress of a restore.
pub(super) struct Restore {
    /// Size of the log when the import began.
    size: Position,
    /// Last position of the log that the export has confirmed.
    confirmed: Position,
    /// Leaf hashes after that position.
    leaves: VecDeque<Hash>,
    /// Time of receipt of the last record.
    last_received_at: Option<ReceivedAt>,
}

/// Step of a restore.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestoreStep {
    /// The log has the same event at this position.
    Confirmed(Position),
    /// The event follows the end of the log.
    Restored,
    /// The event differs from that of the log, or is out of order.
    Mismatch,
}

impl Restore {
    /// Begins a restore, if the log is empty or has only restored events.
    pub(super) async fn begin(log: &Log) -> Result<Option<Self>, StoreError> {
        let head = log.head().await?;
        Ok((head.restored == head.size).then(|| Self {
            size: head.size,
            confirmed: Position::ZERO,
            leaves: VecDeque::new(),
            last_received_at: None,
        }))
    }

    /// Compares an exported event with the log.
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
