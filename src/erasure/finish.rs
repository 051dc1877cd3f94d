//! The second half of an erasure: read models without the erased bodies, and files without their bytes.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::projector::{self, RebuildError, RebuildEvent, RebuildOptions};
use crate::store::{Generation, GenerationId, GenerationStatus, RewriteOutcome, Store};

/// Places where the bytes of erased bodies may still be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErasedBytes {
    /// In no file of the ledger.
    Gone,
    /// In the write-ahead log of a file, because another process reads an older state of it.
    HeldByReader,
    /// In a server's files, until its owner runs [`SERVER_CLEANUP_COMMANDS`](crate::store::SERVER_CLEANUP_COMMANDS).
    OnServer,
}

/// Rebuilds the live read model from what the log still holds, with the logic it has, and drops every other one. Then
/// rewrites the files, waiting so long for other processes that use them.
///
/// It may be repeated; what was done already is done again.
pub async fn finish(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    patience: Duration,
    stop: &CancellationToken,
    tell: impl FnMut(RebuildEvent<'_>),
) -> Result<ErasedBytes, RebuildError> {
    store.log.erase_remaining_signatures().await?;
    // The log first, and also where the read model cannot be rebuilt now: each is done as soon as possible.
    let log = store.log.rewrite(patience).await;
    renew(store, logic, clock, stop, tell).await?;
    let read_model = store.read_model.rewrite(patience).await?;
    Ok(match (log?, read_model) {
        (RewriteOutcome::BlockedByReader, _) | (_, RewriteOutcome::BlockedByReader) => {
            ErasedBytes::HeldByReader
        }
        (RewriteOutcome::NoFile, _) | (_, RewriteOutcome::NoFile) => ErasedBytes::OnServer,
        (RewriteOutcome::Complete, RewriteOutcome::Complete) => ErasedBytes::Gone,
    })
}

/// Makes the live generation anew, and drops every other: they were made while the log held more.
async fn renew(
    store: &Store,
    logic: &Logic,
    clock: &Clock,
    stop: &CancellationToken,
    tell: impl FnMut(RebuildEvent<'_>),
) -> Result<(), RebuildError> {
    let model = &store.read_model;
    let newest = match model.live().await? {
        Some(live) => {
            let of_live = projector::logic_of(&live);
            let logic = of_live.as_ref().unwrap_or(logic);
            let options = RebuildOptions::SWAP;
            projector::rebuild(store, logic, clock, stop, options, tell).await?.generation
        }
        None => GenerationId::MAX,
    };
    model.abandoned_drop(clock.now()).await?;
    for generation in model.generations().await?.into_iter().filter(|it| it.id < newest) {
        if generation.status == GenerationStatus::Building {
            // Whoever makes it may have read the log before the erasure.
            let Generation { id, position, built, .. } = generation;
            let total = store.log.head().await?.size;
            let position = position.max(Position(built));
            return Err(RebuildError::AlreadyRunning { generation: id, position, total });
        }
        model.generation_drop(generation.id).await?;
    }
    Ok(())
}
