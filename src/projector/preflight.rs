//! Preflight check: whether a follower would begin with a rebuild, so that a person can decide beforehand.

use std::fmt;

use super::rebuild::{RebuildReason, reason_to_rebuild};
use crate::clock::Clock;
use crate::ids::Position;
use crate::projection::Logic;
use crate::store::{DatabaseUrl, Log, ReadModel, Store, StoreError};

/// Finds the reason why a follower with this logic would rebuild the read model of this ledger; none if it would not.
/// Changes nothing, not even a schema: an older program can still be started.
///
/// An empty or absent log needs no rebuild: the first generation is built without asking. A log with events and no
/// complete generation has to be folded from its beginning, which is a rebuild.
pub async fn find_rebuild_reason(
    ledger: &DatabaseUrl,
    logic: &Logic,
    clock: &Clock,
) -> Result<Option<RebuildReason>, StoreError> {
    let Some(log) = Log::open_read_only(ledger, clock.clone()).await? else { return Ok(None) };
    if log.head().await?.size == Position::ZERO {
        return Ok(None);
    }
    let read_model = ReadModel::open_read_only(ledger, clock.clone()).await?;
    let Some(read_model) = read_model else { return Ok(Some(RebuildReason::NoneLive)) };
    let store = Store { log, read_model };
    let live = store.read_model.live().await?;
    let reason = reason_to_rebuild(&store, live.as_ref(), logic).await;
    store.close().await;
    reason
}

impl fmt::Display for RebuildReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoneLive => "no live generation",
            Self::OtherLog => "the live generation was built from another log",
            Self::OtherLogic => {
                "the live generation was built with another policy, user key or version of this program"
            }
        })
    }
}
