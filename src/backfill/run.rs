//! Run of a backfill: its steps, one after the other, page by page.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use serde_json::value::RawValue;

use super::candidate::{Candidate, Unreadable, seen_by};
use super::compare::{Compared, compare};
use super::error::BackfillError;
use super::fold_wait::FoldWait;
use super::step::{List, Step};
use crate::clock::Clock;
use crate::ids::Scope;
use crate::store::{BackfillProgress, NewEvent, Store, StoreError};
use crate::stripe::observation::ApiRequest;
use crate::stripe_api::{ApiClient, ApiError, ListPage};
use crate::time::{DAY_SECONDS, ReceivedAt, StripeTime};

/// Number of times that a list is begun again because its cursor is no longer in it.
pub(super) const RESTARTS_MAX: u32 = 3;

/// Time since the last page of an interrupted run, in seconds, up to which it is continued.
const RESUMABLE_SECONDS: i64 = DAY_SECONDS;

/// Options of a backfill.
#[derive(Clone, Debug)]
pub struct BackfillOptions {
    /// Account and mode.
    pub scope: Scope,
    /// Creation of the oldest invoice that is read.
    pub invoices_since: StripeTime,
}

/// Backfill of one account and mode.
pub struct Backfill<'a> {
    pub(super) store: &'a Store,
    pub(super) client: &'a ApiClient,
    pub(super) options: BackfillOptions,
    clock: Clock,
    fold: &'a FoldWait,
    /// Steps that were read from their beginning to their end by this process.
    read_whole: HashSet<Step>,
    /// Hashes of the ids of the customers and subscriptions that the lists of this process have shown.
    seen: HashSet<u64>,
    hasher: RandomState,
}

impl<'a> Backfill<'a> {
    /// Prepares a backfill.
    pub fn new(
        store: &'a Store,
        client: &'a ApiClient,
        fold: &'a FoldWait,
        options: BackfillOptions,
        clock: Clock,
    ) -> Self {
        let (read_whole, seen, hasher) = (HashSet::new(), HashSet::new(), RandomState::new());
        Self { store, client, options, clock, fold, read_whole, seen, hasher }
    }

    /// Steps of this backfill that are not complete, with the progress of an interrupted run. A new run begins if all
    /// steps of the last one are complete, or if it was interrupted a day ago: what was created since
    /// would stand before its cursors.
    ///
    /// Fails if the key belongs to another account than the ledger.
    pub async fn pending(&self) -> Result<Vec<(Step, BackfillProgress)>, BackfillError> {
        self.fold.caught_up().await?;
        self.check_account().await?;
        let scope = &self.options.scope;
        let mut known = self.store.log.backfill_progress(scope).await?;
        let is_over = Step::ALL
            .iter()
            .filter(|step| self.includes(**step))
            .all(|step| known.iter().any(|it| it.step == step.as_str() && it.ended_at.is_some()));
        let last = known.iter().map(|it| it.saved_at).max().map(ReceivedAt::to_stripe_time);
        let now = self.clock.now().to_stripe_time();
        let is_old = last.is_some_and(|last| now.0 - last.0 > RESUMABLE_SECONDS);
        if is_over || is_old {
            self.store.log.clear_backfill_progress(scope).await?;
            known.clear();
        }
        let steps = Step::ALL.into_iter().filter(|step| self.includes(*step));
        let pending = steps.filter_map(|step| {
            let known = known.iter().find(|it| it.step == step.as_str()).cloned();
            let new = || BackfillProgress { step: step.as_str().to_owned(), ..Default::default() };
            let progress = known.unwrap_or_else(new);
            progress.ended_at.is_none().then_some((step, progress))
        });
        Ok(pending.collect())
    }

    /// True if all steps were completed within a day.
    pub async fn is_complete(&self) -> Result<bool, StoreError> {
        let known = self.store.log.backfill_progress(&self.options.scope).await?;
        let now = self.clock.now().to_stripe_time();
        let is_recent = |it: &BackfillProgress| {
            it.ended_at.is_some() && now.0 - it.saved_at.to_stripe_time().0 <= RESUMABLE_SECONDS
        };
        let mut steps = Step::ALL.iter().filter(|step| self.includes(**step));
        Ok(steps.all(|step| known.iter().any(|it| it.step == step.as_str() && is_recent(it))))
    }

    pub(super) fn includes(&self, step: Step) -> bool {
        step != Step::TestClocks || !self.options.scope.livemode
    }

    /// Runs one step to its end. `report` is called after every page, with the progress so far and the number of new
    /// events of the page.
    pub async fn run(
        &mut self,
        step: Step,
        mut progress: BackfillProgress,
        report: &mut (dyn FnMut(&BackfillProgress) + Send),
    ) -> Result<BackfillProgress, BackfillError> {
        // Else what an earlier step appended would be appended again.
        self.fold.caught_up().await?;
        let now = self.clock.now();
        if progress.started_at == ReceivedAt::default() {
            progress.started_at = now;
        }
        let started_at = progress.started_at.to_stripe_time();
        let is_whole = progress.cursor.is_none();
        match (step, step.list(started_at, self.options.invoices_since)) {
            (_, Some(list)) => self.read_list(step, &list, &mut progress, report).await?,
            (Step::TestClocks, _) => self.read_test_clocks(&mut progress, report).await?,
            (Step::Entitlements, _) => self.read_entitlements(&mut progress, report).await?,
            _ => self.read_remaining(&mut progress, report).await?,
        }
        if is_whole {
            self.read_whole.insert(step);
        }
        // Before the end of the last step is saved: after an interruption in between it runs and records once more.
        self.record_coverage(step, &progress).await?;
        progress.ended_at = Some(self.clock.now());
        self.save(&mut progress).await?;
        report(&progress);
        Ok(progress)
    }

    pub(super) async fn save(&self, progress: &mut BackfillProgress) -> Result<(), StoreError> {
        progress.saved_at = self.clock.now();
        self.store.log.save_backfill_progress(&self.options.scope, progress).await
    }

    /// Reads a list from the cursor of the progress to its end.
    async fn read_list(
        &mut self,
        step: Step,
        list: &List,
        progress: &mut BackfillProgress,
        report: &mut (dyn FnMut(&BackfillProgress) + Send),
    ) -> Result<(), BackfillError> {
        let mut restarts = 0;
        let mut page = self.page(list, progress.cursor.as_deref()).await;
        loop {
            let current = match page {
                // The object of the cursor is gone, or the event too old. What is read twice is confirmed.
                Err(ApiError::AgedOut { .. }) if restarts < RESTARTS_MAX => {
                    restarts += 1;
                    progress.cursor = None;
                    self.fold.caught_up().await?;
                    page = self.page(list, None).await;
                    continue;
                }
                page => page?,
            };
            let (client, scope) = (self.client, self.options.scope.clone());
            let next = async {
                match current.last_id.as_deref().filter(|_| current.has_more) {
                    Some(last) => Some(page_of(client, &scope, list, Some(last)).await),
                    None => None,
                }
            };
            // The next page is on its way while this one is compared and appended: its request is sent first.
            let take = self.take(step, &current.objects, &current.request, progress);
            let (next, taken) = tokio::join!(biased; next, take);
            taken?;
            progress.cursor.clone_from(&current.last_id);
            self.save(progress).await?;
            report(progress);
            match next {
                Some(next) => page = next,
                None => return Ok(()),
            }
        }
    }

    pub(super) async fn page(
        &self,
        list: &List,
        after: Option<&str>,
    ) -> Result<ListPage, ApiError> {
        page_of(self.client, &self.options.scope, list, after).await
    }

    /// Compares the objects of a page with the read model, and appends those that say something new.
    pub(super) async fn take(
        &mut self,
        step: Step,
        objects: &[Box<RawValue>],
        request: &ApiRequest,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        if step == Step::Events {
            return self.take_events(objects, progress).await;
        }
        let request = self.seen_now(request);
        let account = self.options.scope.account.clone();
        let mut candidates = Vec::with_capacity(objects.len());
        for object in objects {
            progress.seen += 1;
            let object = match self.client.complete(object.get(), Some(&account)).await {
                // The list inside changed while it was read, or is too long. The object says that it was cut.
                Err(
                    ApiError::AgedOut { .. }
                    | ApiError::NotFound { .. }
                    | ApiError::TooManyPages { .. }
                    | ApiError::TooLarge { .. },
                ) => Cow::Borrowed(object.get()),
                object => object?,
            };
            if step.shows_all() {
                self.note_seen(&object);
            }
            match Candidate::observed(&object, &self.options.scope, &request) {
                Ok(Some(candidate)) => candidates.push(candidate),
                Ok(None) => progress.confirmed += 1,
                Err(Unreadable(reason)) => {
                    progress.unreadable += 1;
                    let (step, id) = (step.as_str(), id_of(&object));
                    let id = id.as_deref().unwrap_or_default();
                    tracing::warn!(step, id, "{id} of Stripe's API is not appended: {reason}");
                }
            }
        }
        self.append(candidates, progress).await
    }

    /// Request whose `Date` is not in the future.
    pub(super) fn seen_now(&self, request: &ApiRequest) -> ApiRequest {
        seen_by(request, self.clock.now().to_stripe_time())
    }

    /// Appends the candidates that say something new.
    pub(super) async fn append(
        &self,
        candidates: Vec<Candidate>,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        let Compared { new, confirmed } = compare(&self.store.read_model, candidates).await?;
        progress.confirmed += confirmed;
        self.append_new(&new, progress).await
    }

    pub(super) async fn append_new(
        &self,
        new: &[NewEvent],
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        for appended in self.store.log.append_listed(new).await? {
            *(if appended.duplicate { &mut progress.confirmed } else { &mut progress.appended }) +=
                1;
        }
        Ok(())
    }

    /// Appends a candidate if it says something new. Counts an object that cannot be read.
    pub(super) async fn append_one(
        &self,
        candidate: Result<Candidate, Unreadable>,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        self.append(Self::readable(candidate, progress).into_iter().collect(), progress).await
    }

    /// Candidate that can be read. Counts one that cannot.
    pub(super) fn readable(
        candidate: Result<Candidate, Unreadable>,
        progress: &mut BackfillProgress,
    ) -> Option<Candidate> {
        candidate
            .inspect_err(|Unreadable(reason)| {
                progress.unreadable += 1;
                tracing::warn!("what Stripe's API shows is not appended: {reason}");
            })
            .ok()
    }

    /// Steps of which this process does not know what they showed, because a process before it read a part of them.
    pub(super) fn unknown_lists(&self) -> Vec<Step> {
        let steps = Step::ALL.into_iter().filter(|step| step.shows_all() && self.includes(*step));
        steps.filter(|step| !self.read_whole.contains(step)).collect()
    }

    /// Notes that a customer or subscription was shown.
    pub(super) fn note_seen_id(&mut self, id: &str) {
        let hash = self.hasher.hash_one(id);
        self.seen.insert(hash);
    }

    pub(super) fn note_seen(&mut self, object: &str) {
        if let Some(id) = id_of(object) {
            self.note_seen_id(&id);
        }
    }

    /// True if a list of this run has shown the customer or subscription.
    pub(super) fn has_seen(&self, id: &str) -> bool {
        self.seen.contains(&self.hasher.hash_one(id))
    }
}

async fn page_of(
    client: &ApiClient,
    scope: &Scope,
    list: &List,
    after: Option<&str>,
) -> Result<ListPage, ApiError> {
    let query: Vec<(&str, &str)> =
        list.query.iter().map(|(name, value)| (*name, value.as_str())).collect();
    client.list_page(list.path, &query, after, Some(&scope.account)).await
}

fn id_of(object: &str) -> Option<Cow<'_, str>> {
    #[derive(serde::Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Cow<'a, str>,
    }
    serde_json::from_str::<Named<'_>>(object).ok().map(|it| it.id)
}
