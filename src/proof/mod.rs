//! Proofs about the log that anybody can check without it, in the formats of transparency logs:
//! [signed notes](https://c2sp.org/signed-note), [checkpoints](https://c2sp.org/tlog-checkpoint) and
//! [proofs](https://c2sp.org/tlog-proof). A published checkpoint exposes a later edit of the log.
//!
//! A [`Checkpoint`] is a signed statement of the log's size and root. An [`InclusionProof`] shows that an event is in
//! the log of a checkpoint. A [`ConsistencyProof`] shows that the log of an older checkpoint is a prefix of the log of
//! a newer one.
//!
//! Architecture invariant: nothing here knows a database or a clock.

mod checkpoint;
mod consistency;
mod error;
mod format;
mod inclusion;
mod key;
mod note;

pub use checkpoint::Checkpoint;
pub use consistency::ConsistencyProof;
pub use error::ProofError;
pub use inclusion::InclusionProof;
pub use key::{KeyError, SigningKey, VerifierKey};
pub use note::{open, sign};
