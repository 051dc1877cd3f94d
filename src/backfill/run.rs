//! Run of a backfill: its steps, one after the other, page by page.

use super::error::BackfillError;
use super::fold_wait::FoldWait;
use super::reader::{Extent, Reader};
use super::sink::{Appender, Sink as _};
use super::step::Step;
use crate::clock::Clock;
use crate::ids::Scope;
use crate::store::{BackfillProgress, Store, StoreError};
use crate::stripe_api::ApiClient;
use crate::time::{DAY_SECONDS, ReceivedAt, StripeTime};

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
    pub(super) reader: Reader<'a, Appender<'a>>,
    invoices_since: StripeTime,
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
        let BackfillOptions { scope, invoices_since } = options;
        let sink = Appender::new(store, fold, scope.clone());
        let reader =
            Reader::new((store, client), scope, Extent::Everything { invoices_since }, clock, sink);
        Self { reader, invoices_since }
    }

    /// Steps of this backfill that are not complete, with the progress of an interrupted run. A new run begins if all
    /// steps of the last one are complete, or if it was interrupted a day ago: what was created since
    /// would stand before its cursors.
    ///
    /// Fails if the key belongs to another account than the ledger.
    pub async fn pending(&self) -> Result<Vec<(Step, BackfillProgress)>, BackfillError> {
        self.reader.sink.caught_up().await?;
        self.reader.check_account().await?;
        let scope = &self.reader.scope;
        let mut known = self.reader.store.log.backfill_progress(scope).await?;
        let is_over = Step::ALL
            .iter()
            .filter(|step| self.reader.includes(**step))
            .all(|step| known.iter().any(|it| it.step == step.as_str() && it.ended_at.is_some()));
        let last = known.iter().map(|it| it.saved_at).max().map(ReceivedAt::to_stripe_time);
        let now = self.reader.clock.now().to_stripe_time();
        let is_old = last.is_some_and(|last| now.0 - last.0 > RESUMABLE_SECONDS);
        if is_over || is_old {
            self.reader.store.log.clear_backfill_progress(scope).await?;
            known.clear();
        }
        let steps = Step::ALL.into_iter().filter(|step| self.reader.includes(*step));
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
        let known = self.reader.store.log.backfill_progress(&self.reader.scope).await?;
        let now = self.reader.clock.now().to_stripe_time();
        let is_recent = |it: &BackfillProgress| {
            it.ended_at.is_some() && now.0 - it.saved_at.to_stripe_time().0 <= RESUMABLE_SECONDS
        };
        let mut steps = Step::ALL.iter().filter(|step| self.reader.includes(**step));
        Ok(steps.all(|step| known.iter().any(|it| it.step == step.as_str() && is_recent(it))))
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
        self.reader.sink.caught_up().await?;
        let now = self.reader.clock.now();
        if progress.started_at == ReceivedAt::default() {
            progress.started_at = now;
        }
        let started_at = progress.started_at.to_stripe_time();
        let list = step.list(started_at, self.invoices_since);
        self.reader.read(step, list.as_ref(), &mut progress, report).await?;
        // Before the end of the last step is saved: after an interruption in between it runs and records once more.
        self.record_coverage(step, &progress).await?;
        progress.ended_at = Some(self.reader.clock.now());
        self.reader.save(&mut progress).await?;
        report(&progress);
        Ok(progress)
    }

    /// True if Stripe has one of the subscriptions of the ledger; false if the ledger has none. Fails if Stripe has none
    /// of them.
    pub(super) async fn is_account_known(&self) -> Result<bool, BackfillError> {
        self.reader.is_account_known().await
    }
}
