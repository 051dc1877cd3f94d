//! Search of the log for thin events.

use std::collections::BTreeMap;

use crate::ids::{EventId, Position, Scope};
use crate::store::{
    FoundThinEvent, Log, LoggedEvent, NewThinEvent, StoreError, ThinEvent, ThinMark,
};
use crate::stripe::thin::{ThinReference, folded_twin};
use crate::time::StripeTime;

/// Positions that are searched at once.
const POSITIONS_AT_ONCE: i64 = 4_096;

/// Waiting thin events that are compared with the log at once.
const EVENTS_AT_ONCE: usize = 2_048;

/// Bodies that are read at once.
const BODIES_AT_ONCE: usize = 256;

/// Notes the thin events that were appended since the last search, and returns their number. Those with nothing that
/// the ledger folds are left out.
///
/// Any number of processes may do this at once.
pub async fn note_thin_events(log: &Log) -> Result<u64, StoreError> {
    let mut noted = 0;
    // What is appended meanwhile is found the next time.
    let size = log.head().await?.size;
    let mut after = log.thin_cursor().await?;
    while after < size {
        let up_to = after.plus(POSITIONS_AT_ONCE).min(size);
        let found = log.find_thin_events(after, up_to).await?;
        let events: Vec<NewThinEvent> = found.into_iter().filter_map(new_thin_event).collect();
        // The cursor is beside the log: where there is nothing to note, few positions are searched again rather than
        // written for.
        let is_whole = up_to.0 - after.0 == POSITIONS_AT_ONCE;
        if events.is_empty() && !is_whole {
            break;
        }
        if log.note_thin_events(after, up_to, &events).await? {
            noted += events.len() as u64;
            after = up_to;
        } else {
            after = log.thin_cursor().await?;
        }
    }
    Ok(noted)
}

fn new_thin_event(found: FoundThinEvent) -> Option<NewThinEvent> {
    let FoundThinEvent { position, scope, event_type, body } = found;
    folded_twin(&event_type)?;
    let read = match body.as_deref() {
        Some(body) => ThinReference::read(body).map_err(|error| error.to_string()),
        None => Err("its body was erased, or is too large".to_owned()),
    };
    let (object_id, gone) = match read {
        Ok(reference) => (reference.object.map(|it| it.id), None),
        Err(reason) => (None, Some(unreadable(&reason))),
    };
    Some(NewThinEvent { position, scope, object_id, gone })
}

/// Words for a thin event that cannot be read.
pub(super) fn unreadable(reason: &str) -> String {
    format!("it cannot be read: {reason}")
}

/// Marks the waiting thin events whose twin with the snapshot is in the log already, without a request. Returns their
/// number. Of very many the latest are looked at.
pub async fn mark_known_twins(log: &Log, scope: &Scope) -> Result<u64, StoreError> {
    let latest = log.latest_waiting_thin_events(scope, EVENTS_AT_ONCE).await?;
    let references = references(log, &latest).await?;
    let marks = known_twins(log, scope, &references).await?;
    log.mark_thin_events(&marks).await?;
    Ok(marks.len() as u64)
}

/// Marks of the thin events whose twin is in the log.
pub(super) async fn known_twins(
    log: &Log,
    scope: &Scope,
    references: &[Referenced],
) -> Result<Vec<(Position, ThinMark)>, StoreError> {
    let mut twins: BTreeMap<EventId, Vec<Position>> = BTreeMap::new();
    for Referenced { position, reference, .. } in references {
        if let Ok(ThinReference { snapshot_event: Some(id), .. }) = reference {
            twins.entry(EventId::new(id)).or_default().push(*position);
        }
    }
    let ids: Vec<EventId> = twins.keys().cloned().collect();
    let mut marks = Vec::new();
    for (known, id) in log.known_events(scope, &ids).await? {
        let positions = twins.remove(&id).unwrap_or_default();
        let mark = |position| (position, ThinMark::Fetched(Some(known)));
        marks.extend(positions.into_iter().map(mark));
    }
    Ok(marks)
}

/// Thin event with what it names.
#[derive(Clone, Debug)]
pub(super) struct Referenced {
    pub(super) position: Position,
    pub(super) created: StripeTime,
    pub(super) event_type: String,
    /// Reference, or the reason why it cannot be read.
    pub(super) reference: Result<ThinReference, String>,
}

/// Reads what thin events name, by position.
pub(super) async fn references(
    log: &Log,
    events: &[ThinEvent],
) -> Result<Vec<Referenced>, StoreError> {
    let mut positions: Vec<Position> = events.iter().map(|it| it.position).collect();
    positions.sort_unstable();
    let mut references = Vec::with_capacity(positions.len());
    for some in positions.chunks(BODIES_AT_ONCE) {
        for (position, entry) in some.iter().zip(log.entries_at(some).await?) {
            let (created, event_type, reference) = match entry {
                Ok(LoggedEvent { facts, payload, .. }) => {
                    let reference = match payload.as_deref() {
                        Some(body) => ThinReference::read(body).map_err(|error| error.to_string()),
                        None => Err("its body was erased".to_owned()),
                    };
                    (facts.created, facts.event_type, reference)
                }
                Err(damage) => (StripeTime(0), String::new(), Err(damage.cause.to_string())),
            };
            references.push(Referenced { position: *position, created, event_type, reference });
        }
    }
    Ok(references)
}
