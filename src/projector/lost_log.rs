//! A log that does not hold what the read model was made from.
//!
//! A log that was deleted, emptied or restored from an older backup, or whose volume is not mounted, must not
//! become "nobody has paid". So it is refused as long as the read model knows more.

use super::generation::is_of_this_log;
use crate::clock::Clock;
use crate::ids::Position;
use crate::store::{DatabaseUrl, Log, ReadModel, Store, StoreError};

/// The read model knows events that the log does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.told())]
pub struct LogLost {
    /// The ledger, without a password.
    pub ledger: String,
    /// Last event that the live generation has folded.
    pub folded: Position,
    /// Number of events in the log; none where there is no log at all.
    pub log_size: Option<Position>,
}

impl LogLost {
    /// Advice to a person.
    pub const HINT: &str = "see whether its volume is mounted and DATABASE_URL names the right ledger, or restore \
                            the log; --accept-new-log begins with the log as it is, and drops the read model";

    fn told(&self) -> String {
        let Self { ledger, folded, log_size } = self;
        match log_size {
            None => format!(
                "there is no log at {ledger}, but its read model was made from {folded} events"
            ),
            Some(size) if size < folded => {
                format!(
                    "the log at {ledger} has {size} events, but its read model was made from {folded}"
                )
            }
            Some(_) => format!("the read model of {ledger} was made from another log"),
        }
    }
}

/// Looks whether the read model of this ledger knows events that its log does not hold. Makes and changes
/// nothing.
pub async fn find_lost_log(
    ledger: &DatabaseUrl,
    clock: &Clock,
) -> Result<Option<LogLost>, StoreError> {
    let Some(read_model) = ReadModel::open_read_only(ledger, clock.clone()).await? else {
        return Ok(None);
    };
    let live = read_model.live().await;
    let log = Log::open_read_only(ledger, clock.clone()).await;
    let lost = match (live?, log?) {
        (Some(live), Some(log)) => {
            let size = log.head().await?.size;
            let store = Store { log, read_model: read_model.clone() };
            let is_same = is_of_this_log(&store, &live).await;
            store.log.close().await;
            // Nothing is lost with a read model of no events.
            (live.position > Position::ZERO && !is_same?).then_some((live.position, Some(size)))
        }
        (Some(live), None) if live.position > Position::ZERO => Some((live.position, None)),
        _ => None,
    };
    read_model.close().await;
    Ok(lost.map(|(folded, log_size)| LogLost { ledger: ledger.to_string(), folded, log_size }))
}
