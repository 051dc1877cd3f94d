//! Records that enter the log in one transaction.

use super::record::SourceLine;
use crate::store::{Appended, Log, NewEvent, Redelivery, StoreError};

/// Events in one transaction, at most.
const EVENTS_MAX: usize = 500;
/// Bytes of payload in one transaction, about.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// An event on its way, with the place that it came from.
pub(super) struct ImportEntry {
    pub(super) place: SourceLine,
    pub(super) event: NewEvent,
    pub(super) redeliveries: Vec<Redelivery>,
    /// True if its line named a source that no signature proves.
    pub(super) unproven: bool,
}

impl ImportEntry {
    /// An event without redeliveries.
    pub(super) fn without_redeliveries(place: SourceLine, event: NewEvent, unproven: bool) -> Self {
        Self { place, event, redeliveries: Vec::new(), unproven }
    }
}

/// Entries that wait for their transaction.
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
        let ImportEntry { place, event, redeliveries, unproven } = entry;
        let index = self.events.len();
        self.redeliveries.extend(redeliveries.into_iter().map(|it| (index, it)));
        self.bytes += event.stored_bytes();
        self.lines.push(place);
        self.events.push(event);
        self.unproven.push(unproven);
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX || self.bytes >= BYTES_MAX
    }

    /// Appends the events as received now.
    pub(super) async fn append(&self, log: &Log) -> Result<Vec<Appended>, StoreError> {
        log.append(&self.events).await
    }

    /// Appends the events with the times that they were received at, and their redeliveries.
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

    /// Number of new events whose source is not the one that their line named.
    pub(super) fn unproven(&self, appended: &[Appended]) -> usize {
        let new = appended.iter().zip(&self.unproven).filter(|(it, _)| !it.duplicate);
        new.filter(|(_, unproven)| **unproven).count()
    }

    /// The entries, without the redeliveries that only a restore takes.
    pub(super) fn into_entries(self) -> impl Iterator<Item = ImportEntry> {
        let entries = self.lines.into_iter().zip(self.events);
        entries.map(|(place, event)| ImportEntry::without_redeliveries(place, event, false))
    }
}
