//! Reader of Stripe's lists: pages of objects become candidates, which a sink takes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use serde_json::value::RawValue;

use super::candidate::{Candidate, Unreadable, seen_by};
use super::error::BackfillError;
use super::listed_events::ListedEvents;
use super::sink::Sink;
use super::step::{List, Step};
use crate::clock::Clock;
use crate::ids::{InvoiceId, Scope, SubscriptionId};
use crate::store::{BackfillProgress, Store, StoreError};
use crate::stripe::observation::ApiRequest;
use crate::stripe_api::{ApiClient, ApiError, ListPage};
use crate::time::StripeTime;

/// Number of times that a list is begun again because its cursor is no longer in it.
pub(super) const RESTARTS_MAX: u32 = 3;

/// Report of the progress after every page.
pub(crate) type Report<'r> = &'r mut (dyn FnMut(&BackfillProgress) + Send);

/// Part of an account that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Everything that the API shows.
    Everything {
        /// Creation of the oldest invoice that is listed.
        invoices_since: StripeTime,
    },
    /// Current state: what is over is not asked for one by one, and features only where an event cut their list.
    Current,
}

/// Reader of the lists of one account and mode.
pub(crate) struct Reader<'a, S> {
    pub(super) store: &'a Store,
    pub(super) client: &'a ApiClient,
    pub(super) scope: Scope,
    pub(super) extent: Extent,
    pub(super) clock: Clock,
    /// Sink of the candidates.
    pub(crate) sink: S,
    /// Steps that were read from their beginning to their end by this process.
    read_whole: HashSet<Step>,
    /// Hashes of the ids of the customers, subscriptions and invoices that the lists of this process have shown.
    seen: HashSet<u64>,
    hasher: RandomState,
    /// Invoices that were asked for one by one and answered, with the subscriptions whose latest they were in the
    /// ledger. The first 10,000, and only for a comparison.
    pub(crate) asked_invoices: Vec<(SubscriptionId, InvoiceId)>,
}

impl<'a, S: Sink> Reader<'a, S> {
    /// Prepares to read.
    pub(crate) fn new(
        (store, client): (&'a Store, &'a ApiClient),
        scope: Scope,
        extent: Extent,
        clock: Clock,
        sink: S,
    ) -> Self {
        let (read_whole, seen, hasher) = (HashSet::new(), HashSet::new(), RandomState::new());
        let asked_invoices = Vec::new();
        Self { store, client, scope, extent, clock, sink, read_whole, seen, hasher, asked_invoices }
    }

    /// True if the step is read in this mode.
    pub(crate) fn includes(&self, step: Step) -> bool {
        step != Step::TestClocks || !self.scope.livemode
    }

    /// Reads one step from the cursor of the progress to its end.
    pub(crate) async fn read(
        &mut self,
        step: Step,
        list: Option<&List>,
        progress: &mut BackfillProgress,
        report: Report<'_>,
    ) -> Result<(), BackfillError> {
        let is_whole = progress.cursor.is_none();
        match (step, list) {
            (_, Some(list)) => self.read_list(step, list, progress, report).await?,
            (Step::TestClocks, _) => self.read_test_clocks(progress, report).await?,
            (Step::Entitlements, _) => self.read_entitlements(progress, report).await?,
            _ => self.read_remaining(progress, report).await?,
        }
        if is_whole {
            self.read_whole.insert(step);
        }
        Ok(())
    }

    /// True if the invoices of a subscription that ended then are listed, so that one which is not listed is gone.
    pub(super) fn lists_invoices_of(&self, ended_at: Option<StripeTime>) -> bool {
        match self.extent {
            Extent::Everything { invoices_since } => ended_at >= Some(invoices_since),
            Extent::Current => false,
        }
    }

    /// Stores the progress.
    pub(super) async fn save(&mut self, progress: &mut BackfillProgress) -> Result<(), StoreError> {
        progress.saved_at = self.clock.now();
        self.sink.save(progress).await
    }

    /// Reads a list from the cursor of the progress to its end.
    async fn read_list(
        &mut self,
        step: Step,
        list: &List,
        progress: &mut BackfillProgress,
        report: Report<'_>,
    ) -> Result<(), BackfillError> {
        let mut restarts = 0;
        let mut page = self.page(list, progress.cursor.as_deref()).await;
        loop {
            let current = match page {
                // The object of the cursor is gone, or the event too old. What is read twice is confirmed.
                Err(ApiError::AgedOut { .. }) if restarts < RESTARTS_MAX => {
                    restarts += 1;
                    progress.cursor = None;
                    self.sink.caught_up().await?;
                    page = self.page(list, None).await;
                    continue;
                }
                page => page?,
            };
            let (client, scope) = (self.client, self.scope.clone());
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
        page_of(self.client, &self.scope, list, after).await
    }

    /// Gives the objects of a page to the sink.
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
        let account = self.scope.account.clone();
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
            if step.shows_all() || step == Step::Invoices {
                self.note_seen(&object);
            }
            match Candidate::observed(&object, &self.scope, &request) {
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
        self.sink.take(candidates, progress).await
    }

    /// Request whose `Date` is not in the future.
    pub(super) fn seen_now(&self, request: &ApiRequest) -> ApiRequest {
        seen_by(request, self.clock.now().to_stripe_time())
    }

    /// Gives the events of a page that the log does not have to the sink.
    async fn take_events(
        &mut self,
        objects: &[Box<RawValue>],
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        let ListedEvents { new, known, unreadable } =
            ListedEvents::read(&self.store.log, &self.scope, objects).await?;
        progress.seen += objects.len() as u64;
        progress.confirmed += known.len() as u64;
        progress.unreadable += unreadable;
        let new = new.into_iter().map(|event| Candidate { event, effects: None });
        self.sink.take(new.collect(), progress).await
    }

    /// Gives one candidate to the sink. Counts an object that cannot be read.
    pub(super) async fn take_one(
        &mut self,
        candidate: Result<Candidate, Unreadable>,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        let candidates = Self::readable(candidate, progress).into_iter().collect();
        self.sink.take(candidates, progress).await
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
