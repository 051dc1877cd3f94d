//! From the log to the read models: following it live, and making a generation anew.
//!
//! A **generation** is every read model together, in tables of its own, made by one
//! [`Logic`](crate::projection::Logic). One generation is live; readers see it through a view that
//! does not change its name. A **follower** folds what arrives into the live generation. A **rebuild**
//! folds the whole log into a new generation beside it and swaps.
//!
//! Whoever folds a generation holds its lease, and each batch is committed only if the generation
//! still stands where the batch began and the lease is still the same: rows and checkpoint move in
//! one transaction, so two processes cannot fold one generation twice, and a crash loses nothing
//! and repeats nothing.
//!
//! *Invariant: nothing here touches the log but to read it, and no failure here reaches an append.*

mod activate;
mod background;
mod batch;
mod build;
mod bulk;
mod diff;
mod follow;
mod generation;
mod heartbeat;
mod holder;
mod incremental;
mod list;
mod lost_log;
mod preflight;
mod progress;
mod rebuild;
mod repair;
mod stall_watch;
mod status;
mod sweep;

pub use activate::{GenerationError, activate, drop_generation};
pub(crate) use batch::effects_of;
pub use diff::{DiffEvent, DiffSummary, Listing};
pub use follow::Projector;
pub use generation::logic_of;
pub use list::{GenerationView, ParkedView, Projections, list};
pub use lost_log::{LogLost, find_lost_log};
pub use preflight::find_rebuild_reason;
pub use progress::RebuildStatus;
pub use rebuild::{
    BuildProgress, RebuildError, RebuildEvent, RebuildMode, RebuildOptions, RebuildReason, Rebuilt,
    can_fold, rebuild,
};
pub use status::{FollowerState, ProjectorHandle, Status};

/// How many events are read at once: few enough that their bodies stay in the processor's cache.
const CHUNK_EVENTS: i64 = 64;
/// How many chunks are folded in one transaction, at most.
const BATCH_CHUNKS_MAX: i64 = 128;
/// How many bytes of bodies are folded in one transaction, about.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// How many chunks are read side by side.
const CHUNKS_AT_ONCE: usize = 2;
/// Seconds that a lease holds without being renewed, by the clock of whoever takes it.
const LEASE_SECONDS: u32 = 10;
