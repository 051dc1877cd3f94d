//! The two databases of a ledger: the log, and the read models that are built from it.
//!
//! Each operation is one transaction. No SQL and no error of a database leaves this module.
//!
//! Architecture invariant: the log and the read models are two SQLite files, or two PostgreSQL schemas, and share no
//! lock. No operation here touches both. The store knows the columns of a row, and no rule about subscriptions.

mod append;
mod backfill_progress;
mod backup;
mod coverage;
mod damage;
mod db;
mod erase;
mod error;
mod event;
mod event_row;
mod failure;
mod head;
mod inspect;
mod leases;
mod log;
mod log_chunk;
mod lookup;
mod nodes;
mod open_mode;
mod open_read_only;
mod read_model;
mod redelivery;
mod scan;
#[cfg(test)]
mod statements_test;
mod sync_state;
mod thin_events;
mod unfetched_thin;
mod url;
mod wal_checkpoint;

pub use crate::projection::effects::{Parked, TimelineEntry};
pub use append::Appended;
pub use backfill_progress::BackfillProgress;
pub use damage::{Damage, DamageCause};
pub use db::RewriteOutcome;
pub use erase::SERVER_CLEANUP_COMMANDS;
pub use error::StoreError;
pub use event::signature::{signature_hash, signature_salt};
pub use event::{
    EventFacts, EventHeader, EventSource, ExportedFields, InvalidEvent, LoggedEvent, NewEvent,
    payload_hash,
};
pub(crate) use event::{random_bytes, reject_nul};
pub use event_row::LogEntry;
pub use head::LogHead;
pub use inspect::Inspection;
pub use leases::{SeenLease, TaskLease};
pub use log::Log;
pub use log_chunk::{ChunkEvent, EventChunk, RecordChunk};
pub use lookup::KnownEvent;
pub use open_mode::OpenMode;
pub use read_model::{
    AccessAnswer, AccessCounts, AccessEffect, AccessGroups, AccessHolder, AccessKey,
    AccessQuestion, BeginOutcome, ChangeKind, ChangedSubscription, Comparison, DiffCounts,
    FieldChange, FieldCount, FoldBatch, FoldLayer, FoldOutcome, Foundation, Generation,
    GenerationId, GenerationLogic, GenerationStamp, GenerationStatus, GenerationTables, Grant,
    ItemFilter, JoinedGroups, Joining, LayerId, Lease, ParkedCustomer, ReadModel, ReadModelDiff,
    ReadModelVersion, SubscriptionFilter, SubscriptionKey, SubscriptionPages, SwapOutcome,
    TimelineKey, layer_fingerprint, tables_schema,
};
pub use redelivery::{Redelivery, RedeliveryCount};
pub use sync_state::SyncState;
pub use thin_events::{
    FetchedEvent, FoundThinEvent, NewThinEvent, THIN_BODY_BYTES_MAX, ThinEvent, ThinMark,
    ThinState, ThinWaiting,
};
pub use unfetched_thin::UnfetchedThinEvent;
pub use url::{DatabaseUrl, Server, UrlError};

use std::path::{Path, PathBuf};

use crate::clock::Clock;
use crate::projection::read_model::{PROJECTIONS, Projections};

/// Databases of a ledger. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    /// The log: every event as Stripe sent it.
    pub log: Log,
    /// The read models, which can be rebuilt from the log.
    pub read_model: ReadModel,
}

impl Store {
    /// Opens both databases, and migrates their schemas unless they are opened read-only.
    pub async fn open(url: &DatabaseUrl, mode: OpenMode, clock: Clock) -> Result<Self, StoreError> {
        Self::open_with(url, mode, PROJECTIONS, clock).await
    }

    /// Opens both databases with these read models instead of those of this program.
    #[tracing::instrument(skip_all)]
    pub async fn open_with(
        url: &DatabaseUrl,
        mode: OpenMode,
        projections: Projections,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        if mode == OpenMode::ReadOnly {
            let log = Log::open_existing_read_only(url, clock.clone()).await?;
            let read_model = ReadModel::open_existing_read_only(url, projections, clock).await?;
            return Ok(Self { log, read_model });
        }
        let log = Log::open(url, mode, clock.clone()).await?;
        let read_model = ReadModel::open(url, projections, clock).await?;
        Ok(Self { log, read_model })
    }

    /// Files of the ledger that every user of this machine can read. New files are created readable by their owner
    /// only; the mode of an existing file is not changed.
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
