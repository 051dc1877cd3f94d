//! Options, events and result of a rebuild.

use std::fmt;
use std::time::Duration;

use super::diff::{DiffEvent, Listing};
use super::memory::MemoryLimit;
use super::progress::{BuildProgress, grouped};
use super::rebuild_plan::RebuildPlan;
use crate::ids::Position;
use crate::store::{GenerationId, StoreError};

/// Result of a rebuild. After a dry run its generation no longer exists.
#[derive(Clone, Copy, Debug)]
pub struct Rebuilt {
    /// The new generation.
    pub generation: GenerationId,
    /// Position of the last folded event.
    pub position: Position,
    /// Number of customers whose rows were made from their states; none if the log was folded from its beginning.
    pub from_states: Option<i64>,
    /// Number of parked events.
    pub parked: usize,
    /// Size of the temporary file that held what did not fit into memory, in bytes.
    pub spilled_bytes: u64,
    /// Duration of the rebuild.
    pub elapsed: Duration,
}

impl fmt::Display for Rebuilt {
    /// Work that was done, and its time.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from_states {
            None => write!(f, "{} events folded", grouped(self.position.0))?,
            Some(1) => f.write_str("rows of 1 customer made")?,
            Some(customers) => write!(f, "rows of {} customers made", grouped(customers))?,
        }
        write!(f, " in {:.1?}, {} parked", self.elapsed, self.parked)
    }
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
    /// Fold layer that the rows were to be made from is gone: another process has replaced the live generation.
    #[error("another process has replaced the live generation and its fold meanwhile")]
    LayerGone,
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
            Self::LayerGone => Some("run it again"),
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
    /// True to begin at the first event of the log, also if the rows could be made from the states of the customers.
    pub from_log: bool,
    /// Read model that is made again, together with those whose logic differs. None to make those that differ, or all if
    /// none does.
    pub read_model: Option<&'static str>,
}

impl RebuildOptions {
    /// Swaps without listing any change, in the default memory.
    pub const SWAP: Self = Self {
        mode: RebuildMode::Swap,
        listing: Listing::Nothing,
        memory: MemoryLimit::DEFAULT,
        from_log: false,
        read_model: None,
    };
    /// Like [`Self::SWAP`], from the log.
    pub const SWAP_FROM_LOG: Self = Self { from_log: true, ..Self::SWAP };
}

/// Event of a running rebuild.
#[derive(Debug)]
pub enum RebuildEvent<'a> {
    /// Plan, before the work begins. It is replaced by another if the states turn out to be damaged.
    Planned(&'a RebuildPlan),
    /// Progress, several times a second.
    Progress(BuildProgress),
    /// Part of the comparison with the live generation.
    Difference(DiffEvent<'a>),
    /// Failure of the comparison. The new generation becomes live all the same: the live one may be too old to
    /// compare with, or damaged.
    NotCompared(&'a RebuildError),
}
