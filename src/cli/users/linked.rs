//! Links that the log has already.

use std::collections::BTreeMap;

use super::table::UserTable;
use crate::cli::progress;
use crate::ids::{CustomerKey, EventId, Position};
use crate::projection::user_link::{UserLink, UserLinkRecord};
use crate::store::{EventSource, Store, StoreError};

/// Events, and bytes of bodies, that are read at once, at most.
const EVENTS_AT_ONCE: usize = 4_096;
const BYTES_AT_ONCE: usize = 16 << 20;

/// Latest link of each customer of the table. Reads the whole log, which also knows what no read model has folded yet.
pub(super) async fn read(
    store: &Store,
    table: &UserTable,
) -> Result<BTreeMap<CustomerKey, UserLink>, StoreError> {
    let mut links = BTreeMap::new();
    let size = store.log.head().await?.size;
    let bar = progress::bar("reading links", size.0.unsigned_abs());
    let mut after = Position::ZERO;
    loop {
        let entries = store.log.entries(after, EVENTS_AT_ONCE, BYTES_AT_ONCE).await?;
        let Some(last) = entries.last() else { break };
        after = last.as_ref().map_or_else(|damage| damage.last, |event| event.position);
        for event in entries.into_iter().flatten() {
            let is_link = event.source == EventSource::Subledger
                && event.facts.event_type == UserLinkRecord::TYPE;
            let record = event.payload.as_deref().filter(|_| is_link);
            let Some(record) = record.and_then(UserLinkRecord::read) else { continue };
            let key = CustomerKey { scope: event.facts.scope, customer: record.customer };
            if table.contains_key(&key) {
                let event_id: EventId = event.facts.event_id;
                let created = event.facts.created;
                let link = UserLink { created, event_id, user_id: record.user_id };
                let place = links.entry(key).or_insert_with(|| link.clone());
                if link > *place {
                    *place = link;
                }
            }
        }
        bar.set_position(after.0.unsigned_abs());
    }
    bar.finish_and_clear();
    Ok(links)
}
