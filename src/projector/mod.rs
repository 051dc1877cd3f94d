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

mod background;
mod batch;
mod build;
mod bulk;
mod choose;
mod consent;
mod diff;
mod folder;
mod follow;
mod generation;
mod holder;
mod keep;
mod list;
mod lost;
mod mend;
mod progress;
mod rebuild;
mod rebuilding;
mod status;
mod sweep;

pub(crate) use batch::{Entry, Outcome};
pub use choose::{ChoiceError, activate, drop_generation};
pub use consent::reason_to_ask;
pub use diff::{Difference, Listing, Summary};
pub use follow::Projector;
pub use generation::logic_of;
pub use list::{GenerationView, ParkedView, Projections, list};
pub use lost::{LogLost, find_lost_log};
pub use rebuild::{
    Progress, Reason, RebuildError, RebuildEvent, RebuildMode, Rebuilt, can_fold, rebuild,
};
pub use rebuilding::Rebuilding;
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
