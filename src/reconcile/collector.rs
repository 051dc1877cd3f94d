//! Sink that collects what the API shows and the ledger does not say, customer by customer.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::BoxFuture;

use super::classify::YOUNG_SECONDS;
use super::evidence::ListedEvent;
use super::found::Found;
use crate::backfill::{BackfillError, Candidate, Compared, FoldWait, Sink, compare};
use crate::clock::Clock;
use crate::ids::{CustomerKey, EventId, Position, Scope};
use crate::projection::effects::{EventEffects, LoggedInput};
use crate::projection::state::StateChange;
use crate::store::{BackfillProgress, Store, StoreError};
use crate::time::StripeTime;

/// Customers that are collected, at most. A ledger that lacks more needs a backfill first.
const CUSTOMERS_MAX: usize = 100_000;

/// Sink that collects what is new. It appends nothing.
pub(super) struct Collector<'a> {
    store: &'a Store,
    fold: &'a FoldWait,
    scope: Scope,
    clock: Clock,
    /// Findings, by customer.
    pub(super) found: BTreeMap<CustomerKey, Found>,
    /// Number of subscriptions that the API showed.
    pub(super) compared: u64,
    /// Number of listed events about customers that were never delivered.
    pub(super) missed_events: u64,
    /// Number of customers that were left out.
    pub(super) left_out: u64,
}

impl<'a> Collector<'a> {
    pub(super) fn new(store: &'a Store, fold: &'a FoldWait, scope: Scope, clock: Clock) -> Self {
        let found = BTreeMap::new();
        Self { store, fold, scope, clock, found, compared: 0, missed_events: 0, left_out: 0 }
    }

    /// Place of a customer. None if there are too many.
    fn place(&mut self, key: CustomerKey) -> Option<&mut Found> {
        if self.found.len() >= CUSTOMERS_MAX && !self.found.contains_key(&key) {
            self.left_out += 1;
            return None;
        }
        Some(self.found.entry(key).or_default())
    }

    async fn collect(
        &mut self,
        candidates: Vec<Candidate>,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        let (observed, events): (Vec<_>, Vec<_>) =
            candidates.into_iter().partition(|it| it.effects.is_some());
        self.collect_events(&events, progress).await?;
        let is_subscription = |it: &&Candidate| {
            let change = it.effects.as_ref().and_then(|it| it.change.as_ref());
            matches!(change, Some(StateChange::Subscription(_, latest, _)) if !latest.is_gone())
        };
        self.compared += observed.iter().filter(is_subscription).count() as u64;
        let Compared { new, confirmed } = compare(&self.store.read_model, observed).await?;
        progress.confirmed += confirmed;
        for effects in new.into_iter().filter_map(|it| it.effects) {
            if let (Some(key), Some(change)) = (effects.customer, effects.change)
                && let Some(found) = self.place(key)
            {
                found.add_observation(change);
            }
        }
        Ok(())
    }

    async fn collect_events(
        &mut self,
        events: &[Candidate],
        progress: &mut BackfillProgress,
    ) -> Result<(), StoreError> {
        if events.is_empty() {
            return Ok(());
        }
        let ids = events.iter().map(|it| it.event.facts().event_id.clone());
        let ids: Vec<EventId> = ids.collect();
        let known = self.store.log.known_events(&self.scope, &ids).await?;
        let known: HashSet<EventId> = known.into_keys().collect();
        let young = StripeTime(self.clock.now().to_stripe_time().0 - YOUNG_SECONDS);
        for candidate in events {
            let facts = candidate.event.facts();
            if known.contains(&facts.event_id) {
                progress.confirmed += 1;
                continue;
            }
            let effects = EventEffects::read(&LoggedInput {
                position: Position::ZERO,
                created: facts.created,
                scope: &facts.scope,
                event_id: facts.event_id.as_str(),
                event_type: &facts.event_type,
                is_own_record: false,
                body: candidate.event.payload(),
                damage: None,
            });
            progress.unreadable += u64::from(effects.parked.is_some());
            let (Some(key), Some(change)) = (effects.customer, effects.change) else { continue };
            let is_young = facts.created > young;
            let listed = ListedEvent {
                id: facts.event_id.clone(),
                created: facts.created,
                subscription: effects.subscription,
                announced_by: None,
            };
            if let Some(found) = self.place(key) {
                let is_first = found.add_event(listed, is_young, change);
                self.missed_events += u64::from(is_first && !is_young);
            }
        }
        Ok(())
    }
}

impl Sink for Collector<'_> {
    fn take<'s>(
        &'s mut self,
        candidates: Vec<Candidate>,
        progress: &'s mut BackfillProgress,
    ) -> BoxFuture<'s, Result<(), BackfillError>> {
        Box::pin(self.collect(candidates, progress))
    }

    fn save<'s>(
        &'s mut self,
        _progress: &'s BackfillProgress,
    ) -> BoxFuture<'s, Result<(), StoreError>> {
        Box::pin(async { Ok(()) })
    }

    fn caught_up(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.fold.caught_up())
    }
}
