//! Events that enter the log in one transaction.

use super::record::SourceLine;
use crate::store::{Appended, Log, NewEvent, Redelivery, StoreError};

/// Greatest number of events in one transaction.
const EVENTS_MAX: usize = 500;
/// Approximate size of the payloads in one transaction, in bytes.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Event to import, with the line that it comes from.
pub(super) struct ImportEntry {
    pub(super) line: SourceLine,
    pub(super) event: NewEvent,
    pub(super) redeliveries: Vec<Redelivery>,
    /// True if its line has a source that no signature proves.
    pub(super) unproven: bool,
}

impl ImportEntry {
    /// Creates an entry without redeliveries.
    pub(super) fn without_redeliveries(line: SourceLine, event: NewEvent, unproven: bool) -> Self {
        Self { line, event, redeliveries: Vec::new(), unproven }
    }
}

/// Batch of events for one transaction.
#[derive(Default)]
pub(super) struct ImportBatch {
    lines: Vec<SourceLine>,
    events: Vec<NewEvent>,
    /// Redeliveries, each with the index of its event.
    redeliveries: Vec<(usize, Redelivery)>,
    unproven: Vec<bool>,
    bytes: usize,
}

impl ImportBatch {
    pub(super) fn push(&mut self, entry: ImportEntry) {
        let ImportEntry { line, event, redeliveries, unproven } = entry;
        let index = self.events.len();
        self.redeliveries.extend(redeliveries.into_iter().map(|it| (index, it)));
        self.bytes += event.stored_bytes();
        self.lines.push(line);
        self.events.push(event);
        self.unproven.push(unproven);
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX || self.bytes >= BYTES_MAX
    }

    /// Appends the events, with the current time as time of receipt.
    pub(super) async fn append(&self, log: &Log) -> Result<Vec<Appended>, StoreError> {
        log.append(&self.events).await
    }

    /// Appends the events with their original times of receipt, and their redeliveries.
    pub(super) async fn restore(&self, log: &Log) -> Result<Vec<Appended>, StoreError> {
        let restored = log.restore(&self.events).await?;
        let redeliveries = self.redeliveries.iter();
        let placed = redeliveries
            .map(|(index, it)| Redelivery { position: restored[*index].position, ..it.clone() });
        if !self.redeliveries.is_empty() {
            log.restore_redeliveries(&placed.collect::<Vec<_>>()).await?;
        }
        Ok(restored)
    }

    /// Number of new events whose source differs from the one in their line.
    pub(super) fn unproven(&self, appended: &[Appended]) -> usize {
        let new = appended.iter().zip(&self.unproven).filter(|(it, _)| !it.duplicate);
        new.filter(|(_, unproven)| **unproven).count()
    }

    /// Takes the entries, without the redeliveries that only a restore accepts.
    pub(super) fn into_entries(self) -> impl Iterator<Item = ImportEntry> {
        let entries = self.lines.into_iter().zip(self.events);
        entries.map(|(line, event)| ImportEntry::without_redeliveries(line, event, false))
    }
}
