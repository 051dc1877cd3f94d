//! Links of a history between thin events and what was fetched for them.
//!
//! A thin event is on no timeline, because it names no customer. It is found beside the log: by the event that was
//! fetched for it, or by its object while nothing was fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::ids::{CustomerKey, Position, SubscriptionId};
use crate::store::{EventHeader, Log, StoreError, ThinEvent, ThinState};
use crate::time::ReceivedAt;

/// Positions that are looked up at once.
const POSITIONS_AT_ONCE: usize = 4_096;

/// Event of a timeline.
pub(super) struct TimelineEvent {
    pub(super) received_at: ReceivedAt,
    pub(super) subscription: Option<Arc<SubscriptionId>>,
}

/// Thin events of a history.
#[derive(Default)]
pub(super) struct ThinLinks {
    /// Positions of the thin events.
    pub(super) thin: BTreeSet<Position>,
    /// Sentences of thin events, and of what was fetched for them.
    pub(super) words: BTreeMap<Position, String>,
}

/// Thin event, with the subscription that it is about.
pub(super) type FoundThin = (EventHeader, Option<Arc<SubscriptionId>>);

impl ThinLinks {
    /// Finds the thin events of these customers, whose timelines have these events. What was fetched after `known_at`
    /// counts as not fetched.
    pub(super) async fn find(
        log: &Log,
        customers: &[CustomerKey],
        timeline: &BTreeMap<Position, TimelineEvent>,
        known_at: Option<ReceivedAt>,
    ) -> Result<(Self, Vec<FoundThin>), StoreError> {
        let mut links = Self::default();
        let mut subjects: BTreeMap<Position, Option<Arc<SubscriptionId>>> = BTreeMap::new();
        let positions: Vec<Position> = timeline.keys().copied().collect();
        for some in positions.chunks(POSITIONS_AT_ONCE) {
            for thin in log.thin_events_fetched_at(some).await? {
                let Some(fetched) = &thin.fetched else { continue };
                let Some(event) = timeline.get(&fetched.position) else { continue };
                let is_known = known_at.is_none_or(|at| event.received_at <= at);
                links.add(fetched.position, &format!("fetched for thin event {}", thin.event_id));
                links.add(thin.position, &if is_known { describe(&thin) } else { waits() });
                subjects.insert(thin.position, event.subscription.clone());
            }
        }
        let named = timeline.values().filter_map(|it| it.subscription.as_ref());
        let named: BTreeMap<&str, &Arc<SubscriptionId>> =
            named.map(|id| (id.as_str(), id)).collect();
        let ids = customers.iter().map(|it| it.customer.as_str()).chain(named.keys().copied());
        let ids: BTreeSet<&str> = ids.collect();
        let ids: Vec<&str> = ids.into_iter().collect();
        for thin in log.thin_events_not_fetched(&ids).await? {
            let is_ours = customers.iter().any(|it| it.scope == thin.scope);
            if let Some(object) = thin.object_id.as_deref().filter(|_| is_ours) {
                links.add(thin.position, &describe(&thin));
                subjects.insert(thin.position, named.get(object).copied().cloned());
            }
        }
        let mut found = Vec::new();
        let positions: Vec<Position> = subjects.keys().copied().collect();
        for some in positions.chunks(POSITIONS_AT_ONCE) {
            // A damaged thin event is left out. What was fetched for it says its id.
            for header in log.headers_at(some).await?.into_iter().flatten() {
                links.thin.insert(header.position);
                found.push((header, subjects.remove(&header.position).flatten()));
            }
        }
        Ok((links, found))
    }

    fn add(&mut self, position: Position, words: &str) {
        let known = self.words.entry(position).or_default();
        if !known.is_empty() {
            known.push_str("; ");
        }
        known.push_str(words);
    }
}

/// Sentence about an event that is thin, or that was fetched for a thin event. None for any other event.
pub async fn thin_link(log: &Log, position: Position) -> Result<Option<String>, StoreError> {
    if let Some(thin) = log.thin_events_at(&[position]).await?.first() {
        return Ok(Some(describe(thin)));
    }
    let thin = log.thin_events_fetched_at(&[position]).await?;
    let ids: Vec<_> = thin.iter().map(|it| it.event_id.as_str()).collect();
    Ok((!ids.is_empty()).then(|| format!("fetched for thin event {}", ids.join(", "))))
}

/// Words for the state of a thin event.
fn describe(thin: &ThinEvent) -> String {
    match (thin.state, &thin.fetched) {
        (ThinState::Waiting, _) => waits(),
        (ThinState::Fetched, Some(fetched)) => {
            format!("thin event: fetched as {}", fetched.event_id)
        }
        (ThinState::Fetched, None) => "thin event: its object said nothing new".to_owned(),
        (ThinState::Gone, _) => {
            let reason = thin.error.as_deref().unwrap_or("Stripe shows its object no more");
            format!("thin event: gone ({reason})")
        }
    }
}

fn waits() -> String {
    "thin event: waits to be fetched".to_owned()
}
