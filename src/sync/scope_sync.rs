//! Sync of one account and mode: lists the events that are not covered yet, and appends those that the log lacks.

use super::missed::MissedCounter;
use super::window::{SyncPlan, Window};
use crate::backfill::ListedEvents;
use crate::clock::Clock;
use crate::coverage::{CoveredBy, Span};
use crate::ids::{EventId, Scope};
use crate::lease::HeldLease;
use crate::store::{EventFacts, Log, NewEvent, StoreError};
use crate::stripe::is_used;
use crate::stripe_api::{ApiClient, ApiError, ListPage};
use crate::time::StripeTime;

const EVENTS: &str = "/v1/events";
/// Number of times that a window is begun again because its cursor is no longer in the list.
const RESTARTS_MAX: u32 = 3;
/// Greatest number of pages of a window: a million events in six hours.
const PAGES_MAX: u32 = 10_000;

/// Error that ends a sync. What was recorded before stays, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SyncError {
    /// Stripe's API does not answer, or refuses.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The log cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another process has taken the lease, because this one did not renew it in time.
    #[error("another process has taken over this sync")]
    LeaseLost,
}

/// Outcome of a sync.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Synced {
    /// Number of events that were appended.
    pub appended: u64,
    /// Number of events older than two minutes that no webhook had delivered.
    pub never_delivered: u64,
}

/// Sync of one account and mode.
#[derive(Debug)]
pub struct ScopeSync<'a> {
    /// Log to which events are appended.
    pub log: &'a Log,
    /// Client with a key of the mode.
    pub client: &'a ApiClient,
    /// Account and mode.
    pub scope: &'a Scope,
    /// Clock of the ledger.
    pub clock: &'a Clock,
    /// Lease of the account and mode.
    pub lease: &'a HeldLease,
}

impl ScopeSync<'_> {
    /// Reads what is not covered yet, window by window. Each is recorded when it was read.
    #[tracing::instrument(name = "sync", level = "debug", skip_all)]
    pub async fn run(&self) -> Result<Synced, SyncError> {
        let now = self.now().await?;
        let coverage = self.log.coverage().await?.into_iter().find(|it| it.scope == *self.scope);
        let plan = SyncPlan::new(coverage.and_then(|it| it.complete_to()), now);
        let mut synced = Synced::default();
        for window in plan.windows {
            let mut missed = MissedCounter::new(window);
            self.read(window, &mut missed, &mut synced).await?;
            let span = Span { from: window.start, to: window.to, by: CoveredBy::Sync };
            let (lease, missed) = (self.lease.lease(), missed.total());
            if !self.log.record_coverage_under(lease, self.scope, span, missed).await? {
                return Err(SyncError::LeaseLost);
            }
            synced.never_delivered += missed.map_or(0, |it| it.events);
        }
        Ok(synced)
    }

    /// Current second by Stripe's clock, or by the ledger's if that is behind. A window must not end in the future of
    /// the list.
    async fn now(&self) -> Result<StripeTime, SyncError> {
        let account = Some(&self.scope.account);
        let answer = self.client.get(EVENTS, &[("limit", "1")], account).await?;
        Ok(self.clock.now().to_stripe_time().min(StripeTime(answer.request.date.0)))
    }

    /// Reads a window, newest events first.
    async fn read(
        &self,
        window: Window,
        missed: &mut MissedCounter,
        synced: &mut Synced,
    ) -> Result<(), SyncError> {
        let (mut after, mut restarts) = (None::<String>, 0);
        for _ in 0..PAGES_MAX {
            let page = match self.page(window, after.as_deref()).await {
                Err(ApiError::AgedOut { .. }) if restarts < RESTARTS_MAX => {
                    (after, restarts) = (None, restarts + 1);
                    missed.begin_again();
                    continue;
                }
                page => page?,
            };
            self.take(&page, missed, synced).await?;
            if !page.has_more {
                return Ok(());
            }
            after = page.last_id;
        }
        Err(ApiError::TooManyPages { path: EVENTS.to_owned(), pages: PAGES_MAX }.into())
    }

    async fn page(&self, window: Window, after: Option<&str>) -> Result<ListPage, ApiError> {
        let [from, to] = [window.from, window.to].map(|it| it.0.to_string());
        let query = [("created[gte]", from.as_str()), ("created[lt]", to.as_str())];
        self.client.list_page(EVENTS, &query, after, Some(&self.scope.account)).await
    }

    /// Appends the events of a page that the log lacks and uses. Endpoints need not send the others.
    async fn take(
        &self,
        page: &ListPage,
        missed: &mut MissedCounter,
        synced: &mut Synced,
    ) -> Result<(), SyncError> {
        let listed = ListedEvents::read(self.log, self.scope, &page.objects).await?;
        for it in &listed.known {
            if it.known.is_listed_only && is_used(&it.event_type) {
                missed.add(it.created, false);
            }
        }
        let mut new: Vec<NewEvent> = listed.new;
        new.retain(|it| is_used(&it.facts().event_type));
        let appended = self.log.append_listed(&new).await?;
        let mut duplicates = Vec::new();
        for (event, appended) in new.iter().zip(appended) {
            if appended.duplicate {
                duplicates.push(event.facts());
            } else {
                synced.appended += 1;
                missed.add(event.facts().created, true);
            }
        }
        self.take_duplicates(&duplicates, missed).await
    }

    /// Looks up once more what the log got a moment ago: from a webhook, or from a sync that was killed.
    async fn take_duplicates(
        &self,
        duplicates: &[&EventFacts],
        missed: &mut MissedCounter,
    ) -> Result<(), SyncError> {
        if duplicates.is_empty() {
            return Ok(());
        }
        let ids: Vec<EventId> = duplicates.iter().map(|it| it.event_id.clone()).collect();
        let known = self.log.known_events(self.scope, &ids).await?;
        for facts in duplicates {
            if known.get(&facts.event_id).is_some_and(|it| it.is_listed_only) {
                missed.add(facts.created, false);
            }
        }
        Ok(())
    }
}
