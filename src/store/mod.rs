//! The two databases of a ledger: the log, and the read models that are made from it.
//!
//! Each verb is one transaction. Nothing outside this room sees SQL or a database's error.
//!
//! Architecture invariant: the log and the read model are two files of SQLite's, or two schemas of
//! PostgreSQL's, and share no lock; no verb here touches both. The store knows the columns of a row, and no rule about
//! subscriptions.

mod append;
mod backup;
mod damage;
mod db;
mod erase;
mod error;
mod event;
mod event_row;
mod failure;
mod inspect;
mod log;
mod log_chunk;
mod nodes;
mod open_read_only;
mod read_model;
mod record;
mod redelivery;
mod scan;
mod signature;
#[cfg(test)]
mod statements_test;
mod url;
mod wal_checkpoint;

pub use damage::{Damage, DamageCause};
pub use db::RewriteOutcome;
pub use erase::SERVER_CLEANUP_COMMANDS;
pub use error::StoreError;
pub use event::{
    Appended, EventFacts, EventHeader, EventSource, ExportedFields, InvalidEvent, LogHead,
    LoggedEvent, NewEvent, Redelivery,
};
pub(crate) use event::{random_bytes, reject_nul};
pub use inspect::Inspection;
pub use log::Log;
pub use log_chunk::{ChunkEvent, EventChunk, RecordChunk};
pub use read_model::{
    AccessAnswer, AccessCounts, AccessEffect, AccessHolder, AccessKey, AccessQuestion,
    BeginOutcome, ChangeKind, ChangedSubscription, Comparison, DiffCounts, FieldChange, FieldCount,
    FoldBatch, Generation, GenerationId, GenerationLogic, GenerationStamp, GenerationStatus, Grant,
    ItemFilter, Lease, Parked, ReadModel, SubscriptionFilter, SubscriptionKey, SubscriptionPages,
    SwapOutcome, TimelineEntry, TimelineKey,
};
pub use record::payload_hash;
pub use redelivery::RedeliveryCount;
pub use scan::LogEntry;
pub use signature::{signature_hash, signature_salt};
pub use url::{DatabaseUrl, Server, UrlError};

use std::path::{Path, PathBuf};

use crate::clock::Clock;

/// A ledger's databases. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// What Stripe said, kept.
    pub log: Log,
    /// What the projections made of it; disposable.
    pub read_model: ReadModel,
}

/// Rights with which a ledger is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Made where it is missing.
    Create,
    /// [`StoreError::NoLedger`] where it is missing.
    Existing,
    /// The same, and nothing is made, migrated or written.
    ReadOnly,
}

impl Store {
    /// Opens both databases, bringing their schemas up to date unless they are only to be read.
    pub async fn open(url: &DatabaseUrl, mode: OpenMode, clock: Clock) -> Result<Self, StoreError> {
        if mode == OpenMode::ReadOnly {
            let log = Log::open_existing_read_only(url, clock.clone()).await?;
            return Ok(Self {
                log,
                read_model: ReadModel::open_existing_read_only(url, clock).await?,
            });
        }
        let log = Log::open(url, mode, clock.clone()).await?;
        let read_model = ReadModel::open(url, clock).await?;
        Ok(Self { log, read_model })
    }

    /// Files of the ledger that every user of this machine can read. New ones are made readable by their owner
    /// alone; a mode that somebody gave a file stays.
    pub fn files_readable_by_all(&self) -> Vec<PathBuf> {
        let url = &self.log.0.url;
        let files = url.log_path().map(Path::to_owned).into_iter().chain(url.read_path());
        db::private::readable_by_all(files)
    }

    /// Closes every connection, so that the files are complete without their `-wal`.
    pub async fn close(&self) {
        self.read_model.close().await;
        self.log.close().await;
    }
}
