//! Projector: folds the log into the read models, live and by rebuilds.
//!
//! A **fold layer** holds the states of the customers and what else depends on the log and the fold's version alone. A
//! **generation** holds the rows that one [`Logic`](crate::projection::Logic) makes from these states, in tables of its
//! own. Several generations may stand over one layer. One generation is live; readers see it through a view with a
//! constant name. A **follower** folds new events into the layer and the live generation. A **rebuild** makes a new
//! generation beside it and swaps: from the states, if this program would fold the log into the same ones, or from the
//! log, together with a layer of its own.
//!
//! A process that writes a generation holds its lease. A batch is committed only if the positions of generation and layer
//! are still the one where the batch began and the lease is still the same. States, rows and both positions move in one
//! transaction, so two processes cannot fold one event twice, and a crash loses nothing and repeats nothing. A
//! generation that is behind its layer makes the rows of the customers in between from their states.
//!
//! *Invariant: this module only reads the log, and no failure here reaches an append.*

mod activate;
mod background;
mod batch;
mod build;
mod bulk;
mod compare;
mod diff;
mod follow;
mod generation;
mod heartbeat;
mod incremental;
mod lease_watch;
mod list;
mod live;
mod live_watch;
mod logic_difference;
mod lost_log;
mod memory;
mod preflight;
mod progress;
mod rebuild;
mod rebuild_event;
mod rebuild_plan;
mod repair;
mod spill;
mod stall_watch;
mod status;
mod sweep;
mod write;

pub use activate::{GenerationError, activate, drop_generation};
pub(crate) use batch::effects_of;
pub use diff::{DiffEvent, DiffSummary, Listing};
pub use follow::Projector;
pub use generation::logic_of;
pub(crate) use incremental::encode_state;
pub use list::{GenerationView, ParkedCustomerView, ParkedView, Projections, ReadModelView, list};
pub use live::find_live;
pub use lost_log::{LogLost, find_lost_log};
pub use memory::MemoryLimit;
pub use preflight::find_rebuild_reason;
pub use progress::{BuildProgress, CustomersDone, RebuildStatus};
pub use rebuild::{RebuildReason, can_fold, rebuild};
pub use rebuild_event::{RebuildError, RebuildEvent, RebuildMode, RebuildOptions, Rebuilt};
pub use rebuild_plan::{FromLog, RebuildPlan, RebuildSource};
pub use status::{FollowerState, ProjectorHandle, Status};

/// Events that are read at once: few enough that their bodies stay in the processor's cache.
const CHUNK_EVENTS: i64 = 64;
/// Chunks that are folded in one transaction, at most.
const BATCH_CHUNKS_MAX: i64 = 128;
/// Approximate size of the bodies that are folded in one transaction.
const BATCH_BYTES_MAX: usize = 32 << 20;
/// Chunks that are read in parallel.
const CHUNKS_AT_ONCE: usize = 2;
/// Duration of a lease without renewal, in seconds, by the clock of the process that takes it.
const LEASE_SECONDS: u32 = 10;
