//! Thin events whose content was not fetched, with their bodies.

use super::db::Row;
use super::error::StoreError;
use super::log::Log;
use crate::ids::{EventId, Scope};
use crate::time::StripeTime;

/// Thin events that are read, at most. The latest count.
const THIN_EVENTS_MAX: i64 = 50_000;

/// Thin event of the log whose content was not fetched, or was not searched for yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnfetchedThinEvent {
    /// Id.
    pub event_id: EventId,
    /// Second in which it happened.
    pub created: StripeTime,
    /// Body.
    pub body: String,
}

impl Log {
    /// Thin events of an account and mode that wait for their content, the latest first, at most 50,000.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn unfetched_thin_events(
        &self,
        scope: &Scope,
    ) -> Result<Vec<UnfetchedThinEvent>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let mut events = Vec::new();
        for statement in [sql::UNSEARCHED, sql::WAITING] {
            let query = session.query(statement).bind(scope.account.as_str());
            let rows = query.bind(scope.livemode).bind(THIN_EVENTS_MAX).fetch_all().await?;
            for row in &rows {
                events.extend(read(row)?);
            }
        }
        Ok(events)
    }
}

/// None if the body was erased.
fn read(row: &Row) -> Result<Option<UnfetchedThinEvent>, StoreError> {
    let Some(body) = row.get::<Option<String>, _>(2)? else { return Ok(None) };
    let (event_id, created) = (EventId::new(row.get::<String, _>(0)?), StripeTime(row.get(1)?));
    Ok(Some(UnfetchedThinEvent { event_id, created, body }))
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        WAITING = "SELECT e.event_id, e.created, e.payload FROM thin_events AS t JOIN events AS e ON e.position = t.position
            WHERE t.state = 'waiting' AND t.account = $1 AND t.livemode = $2 ORDER BY t.position DESC LIMIT CAST($3 AS bigint)";
        /// Thin events that were not searched for yet.
        UNSEARCHED = "SELECT event_id, created, payload FROM events
            WHERE position > (SELECT position FROM thin_cursor) AND account = $1 AND livemode = $2
                AND (type LIKE 'v1.%' OR type LIKE 'v2.%') ORDER BY position DESC LIMIT CAST($3 AS bigint)";
    }
}
