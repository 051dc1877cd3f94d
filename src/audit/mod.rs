//! Answers for the person who must explain or prove: what happened, when we heard of it, and that
//! nobody edited the record.
//!
//! A [history](fn@history) is computed from the log each time it is asked for: the read model only
//! says which events to look at. An [explanation](fn@explain) is the same story, asked field by field.
//! [Verification](fn@verify) hashes the whole log again and folds it afresh. [Proofs](fn@prove_inclusion)
//! show to others, who do not have the log, that it was not edited.
//!
//! *Invariant: nothing here writes, and nothing here knows how the log is written.*

mod describe;
mod draft;
mod explain;
mod history;
mod outline;
mod prove;
mod read_limit;
mod replay;
mod stream;
mod subject;
mod verify;

pub use explain::{Decision, EventPointer, Explained, Explanation, Rival, Tie, explain};
pub use history::{History, HistoryChange, HistoryEvent};
pub use prove::{checkpoint, checkpoint_at, prove_consistency, prove_inclusion};
pub use read_limit::ReadLimit;
pub use replay::FoldOutcome;
pub use stream::{HistoryPage, HistoryStream, PageError, PageRequest, history, history_page};
pub use subject::{Past, Subject, SubjectKind};
pub use verify::{Finding, VerifyProgress, VerifyReport, verify, verify_against};

use crate::store::StoreError;

/// The longest story that is told in one piece, in events a customer: beyond it only the first are, and it says so.
const EVENTS_MAX: usize = 100_000;

/// Runs work that takes the processor on a thread of its own.
async fn beside_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.into()))
}

/// True if a count is left out where it is shown.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}
