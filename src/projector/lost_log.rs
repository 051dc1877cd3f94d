//! Lost log: a log that does not hold the events that the read model was built from.
//!
//! A log that was deleted, emptied or restored from an older backup, or whose volume is not mounted, must not
//! turn into the answer "nobody has paid". So it is refused as long as the read model holds more.

use super::generation::is_of_this_log;
use crate::clock::Clock;
use crate::ids::Position;
use crate::store::{DatabaseUrl, Log, ReadModel, Store, StoreError};

/// Error: the read model holds events that the log does not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub struct LogLost {
    /// The ledger, without a password.
    pub ledger: String,
    /// Position of the last event that the live generation has folded.
    pub folded: Position,
    /// Number of events in the log; none if there is no log at all.
    pub log_size: Option<Position>,
}

impl LogLost {
    /// Advice to a person.
    pub const HINT: &str = "check that its volume is mounted and that DATABASE_URL names the right ledger, or restore \
                            the log; --accept-new-log starts with the log as it is, and drops the read model";

    fn message(&self) -> String {
        let Self { ledger, folded, log_size } = self;
        match log_size {
            None => format!(
                "there is no log at {ledger}, but its read model was built from {folded} events"
            ),
            Some(size) if size < folded => {
                format!(
                    "the log at {ledger} has {size} events, but its read model was built from {folded}"
                )
            }
            Some(_) => format!("the read model of {ledger} was built from another log"),
        }
    }
}

/// Checks whether the read model of this ledger holds events that its log does not. Creates and changes nothing.
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
