//! Answers for the person who must explain or prove: what happened, when we heard of it, and that
//! nobody edited the record.
//!
//! A [history](fn@history) is computed from the log each time it is asked for: the read model only
//! says which events to look at. [Verification](fn@verify) hashes the whole log again and folds it
//! afresh. [Proofs](fn@prove_inclusion) show to others, who do not have the log, that it was not edited.
//!
//! *Invariant: nothing here writes, and nothing here knows how the log is written.*

mod erased;
mod history;
mod prove;
mod verify;

pub use history::{Change, History, HistoryEvent, Subject, SubjectKind, history};
pub use prove::{checkpoint, checkpoint_at, prove_consistency, prove_inclusion};
pub use verify::{Finding, Report, VerifyProgress, verify, verify_against};

/// How many events are read from the log at once, at most.
const SCAN_EVENTS_MAX: usize = 4_096;
/// How many bytes of payload are read from the log at once, at most.
const SCAN_BYTES_MAX: usize = 16 << 20;
