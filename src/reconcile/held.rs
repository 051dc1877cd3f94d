//! Events of the log whose content the read model does not have: parked ones, and thin ones that were not fetched.

use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::evidence::{HeldEvent, ListedEvent};
use super::found::Found;
use crate::ids::{CustomerKey, EventId, InvoiceId, Position, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::{Parked, Store, StoreError, UnfetchedThinEvent};
use crate::stripe::json::Text;

/// Parked events that are read, at most.
const PARKED_MAX: usize = 10_000;

/// Events of the log whose content the read model does not have, of one account and mode.
#[derive(Debug, Default)]
pub(super) struct HeldEvents {
    parked: Vec<(Parked, HeldEvent)>,
    /// By the id of the object that they name.
    thin: HashMap<String, Vec<HeldEvent>>,
    /// Thin events by the id of the event with the snapshot.
    announced: HashMap<EventId, EventId>,
}

/// Fields of a thin event.
#[derive(Deserialize)]
struct Thin<'a> {
    #[serde(borrow)]
    related_object: Option<Related<'a>>,
    #[serde(borrow)]
    snapshot_event: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Related<'a> {
    #[serde(borrow)]
    id: Text<'a>,
}

impl HeldEvents {
    /// Reads the events of an account and mode.
    pub(super) async fn read(store: &Store, scope: &Scope) -> Result<Self, StoreError> {
        let mut held = Self::default();
        let live = store.read_model.live().await?.ok_or(StoreError::ReadModelBuilding)?;
        let parked = store.read_model.parked(live.id, PARKED_MAX).await?;
        let parked: Vec<Parked> = parked.into_iter().filter(|it| it.scope == *scope).collect();
        let positions: Vec<Position> = parked.iter().map(|it| it.position).collect();
        let headers = store.log.headers_at(&positions).await?;
        let created: HashMap<Position, _> =
            headers.into_iter().flatten().map(|it| (it.position, it.created)).collect();
        for parked in parked {
            let created = created.get(&parked.position).copied().unwrap_or_default();
            let (id, reason) = (parked.event_id.clone(), parked.reason.clone());
            held.parked.push((parked, HeldEvent { id, created, reason }));
        }
        held.read_thin(store, scope).await?;
        Ok(held)
    }

    async fn read_thin(&mut self, store: &Store, scope: &Scope) -> Result<(), StoreError> {
        let events = store.log.unfetched_thin_events(scope).await?;
        let read: Vec<(UnfetchedThinEvent, Option<String>, Option<EventId>)> = events
            .into_iter()
            .filter_map(|event| {
                let Thin { related_object, snapshot_event } =
                    serde_json::from_str(&event.body).ok()?;
                let object = related_object.map(|it| it.id.to_owned_string());
                let snapshot = snapshot_event.map(|it| EventId::new(it.to_owned_string()));
                Some((event, object, snapshot))
            })
            .collect();
        let snapshots: Vec<EventId> = read.iter().filter_map(|it| it.2.clone()).collect();
        let fetched = store.log.known_events(scope, &snapshots).await?;
        let fetched: HashSet<EventId> = fetched.into_keys().collect();
        for (event, object, snapshot) in &read {
            if snapshot.as_ref().is_some_and(|it| fetched.contains(it)) {
                continue;
            }
            let UnfetchedThinEvent { event_id, created, body: _ } = event;
            if let Some(snapshot) = snapshot {
                self.announced.insert(snapshot.clone(), event_id.clone());
            }
            let (id, created, reason) = (event_id.clone(), *created, String::new());
            if let Some(object) = object {
                let of_object = self.thin.entry(object.clone()).or_default();
                of_object.push(HeldEvent { id, created, reason });
            }
        }
        Ok(())
    }

    /// Names the thin events that announced listed events.
    pub(super) fn announce(&self, found: &mut Found) {
        for event in found.missed_events.iter_mut().chain(&mut found.young_events) {
            let ListedEvent { id, announced_by, .. } = event;
            *announced_by = self.announced.get(id).cloned();
        }
    }

    /// Parked events that a row may lack, the newest first.
    pub(super) fn parked(
        &self,
        customer: &CustomerKey,
        id: &SubscriptionId,
        row: Option<&SubscriptionRow>,
    ) -> Vec<HeldEvent> {
        let is_of = |parked: &Parked| match &parked.subscription {
            Some(subscription) => subscription == id,
            None => parked.customer.as_ref() == Some(&customer.customer),
        };
        let may_lack = |parked: &Parked, event: &HeldEvent| {
            let is_own = parked.event_type.starts_with("customer.subscription.");
            !is_own || row.is_none_or(|row| row.last_event_at <= event.created)
        };
        let parked =
            self.parked.iter().filter(|(parked, it)| is_of(parked) && may_lack(parked, it));
        newest_first(parked.map(|(_, event)| event.clone()).collect())
    }

    /// Thin events that a row may lack, the newest first.
    ///
    /// `others` are ids of further objects that the API shows and the ledger does not know.
    pub(super) fn thin<'a>(
        &self,
        customer: &'a CustomerKey,
        id: &SubscriptionId,
        rows: [Option<&'a SubscriptionRow>; 2],
        others: impl Iterator<Item = &'a str>,
    ) -> Vec<HeldEvent> {
        let named = |id: &str| self.thin.get(id).into_iter().flatten();
        let own = named(id.as_str())
            .filter(|it| rows[0].is_none_or(|row| row.last_event_at <= it.created));
        let mut invoices: Vec<&str> = rows
            .iter()
            .flatten()
            .filter_map(|row| row.latest_invoice_id.as_ref().map(InvoiceId::as_str))
            .collect();
        invoices.dedup();
        let others = invoices.into_iter().chain([customer.customer.as_str()]).chain(others);
        let others = others.flat_map(named);
        newest_first(own.chain(others).cloned().collect())
    }
}

fn newest_first(mut events: Vec<HeldEvent>) -> Vec<HeldEvent> {
    events.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.id.cmp(&b.id)));
    events
}
