//! Second half of an erasure: the read model is rebuilt without the erased bodies, and the files are rewritten.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::projector::{self, RebuildError, RebuildEvent, RebuildOptions};
use crate::store::{Generation, GenerationId, GenerationStatus, RewriteOutcome, Store};

/// Places that may still hold the bytes of erased bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasedBytes {
    /// No file of the ledger.
    Gone,
    /// The write-ahead log of a file, because another process reads an older state of it.
    HeldByReader,
    /// The files of a server, until its owner runs [`SERVER_CLEANUP_COMMANDS`](crate::store::SERVER_CLEANUP_COMMANDS).
    OnServer,
}

/// Finishes an erasure: rebuilds the live read model from the log, with its own logic, and drops every other one. Then
/// rewrites the files, and waits up to `patience` for other processes that use them.
///
/// It may be repeated.
pub async fn finish(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    patience: Duration,
    stop: &CancellationToken,
    on_event: impl FnMut(RebuildEvent<'_>),
) -> Result<ErasedBytes, RebuildError> {
    store.log.erase_remaining_signatures().await?;
    // The log first, also if the read model cannot be rebuilt now: each is done as soon as possible.
    let log = store.log.rewrite(patience).await;
    rebuild(store, logic, clock, stop, on_event).await?;
    let read_model = store.read_model.rewrite(patience).await?;
    Ok(match (log?, read_model) {
        (RewriteOutcome::BlockedByReader, _) | (_, RewriteOutcome::BlockedByReader) => {
            ErasedBytes::HeldByReader
        }
        (RewriteOutcome::NoFile, _) | (_, RewriteOutcome::NoFile) => ErasedBytes::OnServer,
        (RewriteOutcome::Complete, RewriteOutcome::Complete) => ErasedBytes::Gone,
    })
}

/// Rebuilds the live generation, and drops every other: they were built while the log held the bodies.
async fn rebuild(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    stop: &CancellationToken,
    on_event: impl FnMut(RebuildEvent<'_>),
) -> Result<(), RebuildError> {
    let model = &store.read_model;
    let newest = match model.live().await? {
        Some(live) => {
            let of_live = projector::logic_of(&live);
            let logic = of_live.as_ref().unwrap_or(logic);
            let options = RebuildOptions::SWAP_FROM_LOG;
            projector::rebuild(store, logic, clock, stop, options, on_event).await?.generation
        }
        None => GenerationId::MAX,
    };
    model.abandoned_drop(clock.now()).await?;
    for generation in model.generations().await?.into_iter().filter(|it| it.id < newest) {
        if generation.status == GenerationStatus::Building {
            // The process that builds it may have read the log before the erasure.
            let Generation { id, position, built, .. } = generation;
            let total = store.log.head().await?.size;
            let position = position.max(Position(built));
            return Err(RebuildError::AlreadyRunning { generation: id, position, total });
        }
        model.generation_drop(generation.id).await?;
    }
    Ok(())
}
