//! Audit: what happened, when the ledger learned of it, and that nobody edited the log.
//!
//! A [history](fn@history) is computed from the log for each request; the read model only names the events. An
//! [explanation](fn@explain) names the event that set each field of a row. [Verification](fn@verify) hashes the whole
//! log again and folds it afresh. [Proofs](fn@prove_inclusion) show to others, who do not have the log, that it was
//! not edited.
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
mod thin_links;
mod verify;

pub use explain::{Decision, EventPointer, Explained, Explanation, Rival, Tie, explain};
pub use history::{History, HistoryChange, HistoryEvent};
pub use prove::{checkpoint, checkpoint_at, prove_consistency, prove_inclusion};
pub use read_limit::ReadLimit;
pub use replay::FoldOutcome;
pub use stream::{HistoryPage, HistoryStream, PageError, PageRequest, history, history_page};
pub use subject::{Past, Subject, SubjectKind};
pub use thin_links::thin_link;
pub use verify::{Finding, VerifyProgress, VerifyReport, verify, verify_against};

use crate::store::StoreError;

/// Events of a customer that a history holds in memory, at most. A longer history is truncated and says so.
const EVENTS_MAX: usize = 100_000;

/// Runs long work on a thread of its own, beside those that answer webhooks.
async fn beside_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|error| StoreError::Internal(error.into()))
}

/// True if a count is omitted from the output.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
pub(crate) fn is_zero(count: &usize) -> bool {
    *count == 0
}
