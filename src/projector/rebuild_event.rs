//! Options, events and result of a rebuild.

use std::time::Duration;

use super::diff::{DiffEvent, Listing};
use super::memory::MemoryLimit;
use super::progress::BuildProgress;
use crate::ids::Position;
use crate::store::{GenerationId, StoreError};

/// Result of a rebuild. After a dry run its generation no longer exists.
#[derive(Clone, Copy, Debug)]
pub struct Rebuilt {
    /// The new generation.
    pub generation: GenerationId,
    /// Position of the last folded event.
    pub position: Position,
    /// Number of parked events.
    pub parked: usize,
    /// Size of the temporary file that held what did not fit into memory, in bytes.
    pub spilled_bytes: u64,
    /// Duration of the rebuild.
    pub elapsed: Duration,
}

/// Failure of a rebuild. The live generation is unchanged.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// Another process is building a generation.
    #[error(
        "another process is building generation {generation} and has folded {position} of {total} events"
    )]
    AlreadyRunning {
        /// That generation.
        generation: GenerationId,
        /// Position up to which it is folded.
        position: Position,
        /// Number of events in the log.
        total: Position,
    },
    /// Another process took over the new generation.
    #[error("another process took over generation {0}")]
    TakenOver(GenerationId),
    /// The live generation lacks even the fields that say who has access.
    #[error("the schema of generation {0} is too old to be compared")]
    NotComparable(GenerationId),
    /// The rebuild was asked to stop.
    #[error("the rebuild was stopped before it was complete")]
    Stopped,
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RebuildError {
    /// Advice to a person.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::AlreadyRunning { .. } => {
                Some("wait until it is done; `subledger projections` shows its progress")
            }
            Self::TakenOver(_) => Some("`subledger projections` shows the generations"),
            Self::NotComparable(_) => Some("`subledger rebuild` without --dry-run replaces it"),
            Self::Store(StoreError::CannotGrow(_)) => Some(
                "the live generation still answers; a rebuild needs as much free space as the read model \
                 takes: free some and rebuild again, or drop the previous generation",
            ),
            Self::Store(error) => error.hint(),
            Self::Stopped => None,
        }
    }
}

/// Use of the new generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RebuildMode {
    /// Compare it with the live one and drop it.
    DryRun,
    /// Compare it with the live one and make it live.
    Swap,
}

/// Options of a rebuild.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RebuildOptions {
    /// Use of the new generation.
    pub mode: RebuildMode,
    /// Changes that are listed one by one, besides being counted.
    pub listing: Listing,
    /// Limit on memory.
    pub memory: MemoryLimit,
}

impl RebuildOptions {
    /// Swaps without listing any change, in the default memory.
    pub const SWAP: Self =
        Self { mode: RebuildMode::Swap, listing: Listing::Nothing, memory: MemoryLimit::DEFAULT };
}

/// Event of a running rebuild.
#[derive(Debug)]
pub enum RebuildEvent<'a> {
    /// Progress, several times a second.
    Progress(BuildProgress),
    /// Part of the comparison with the live generation.
    Difference(DiffEvent<'a>),
    /// Failure of the comparison. The new generation becomes live all the same: the live one may be too old to
    /// compare with, or damaged.
    NotCompared(&'a RebuildError),
}
