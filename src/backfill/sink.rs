//! Sink of candidates: their consumer. A backfill appends them.

use futures_util::future::BoxFuture;

use super::candidate::Candidate;
use super::compare::{Compared, compare};
use super::error::BackfillError;
use super::fold_wait::FoldWait;
use crate::ids::Scope;
use crate::store::{BackfillProgress, NewEvent, Store, StoreError};

/// Consumer of what a [`Reader`](super::Reader) reads.
pub(crate) trait Sink: Send {
    /// Takes the candidates of a page, and counts them in the progress.
    fn take<'s>(
        &'s mut self,
        candidates: Vec<Candidate>,
        progress: &'s mut BackfillProgress,
    ) -> BoxFuture<'s, Result<(), BackfillError>>;

    /// Stores the progress.
    fn save<'s>(
        &'s mut self,
        progress: &'s BackfillProgress,
    ) -> BoxFuture<'s, Result<(), StoreError>>;

    /// Waits until the read model has folded what the sink appended.
    fn caught_up(&self) -> BoxFuture<'_, Result<(), StoreError>>;
}

/// Sink that appends what says something new.
pub(crate) struct Appender<'a> {
    store: &'a Store,
    fold: &'a FoldWait,
    /// Account and mode whose progress is stored; none to store none.
    scope: Option<Scope>,
}

impl<'a> Appender<'a> {
    /// Sink that stores the progress of an account and mode.
    pub(super) fn new(store: &'a Store, fold: &'a FoldWait, scope: Scope) -> Self {
        Self { store, fold, scope: Some(scope) }
    }

    /// Sink that stores no progress: what it appends is read from the beginning each time.
    pub(crate) fn without_progress(store: &'a Store, fold: &'a FoldWait) -> Self {
        Self { store, fold, scope: None }
    }

    async fn append(
        &self,
        candidates: Vec<Candidate>,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        let Compared { new, confirmed } = compare(&self.store.read_model, candidates).await?;
        progress.confirmed += confirmed;
        if new.is_empty() {
            return Ok(());
        }
        let new: Vec<NewEvent> = new.into_iter().map(|it| it.event).collect();
        for appended in self.store.log.append_listed(&new).await? {
            *(if appended.duplicate { &mut progress.confirmed } else { &mut progress.appended }) +=
                1;
        }
        Ok(())
    }
}

impl Sink for Appender<'_> {
    fn take<'s>(
        &'s mut self,
        candidates: Vec<Candidate>,
        progress: &'s mut BackfillProgress,
    ) -> BoxFuture<'s, Result<(), BackfillError>> {
        Box::pin(self.append(candidates, progress))
    }

    fn save<'s>(
        &'s mut self,
        progress: &'s BackfillProgress,
    ) -> BoxFuture<'s, Result<(), StoreError>> {
        Box::pin(async {
            match &self.scope {
                Some(scope) => self.store.log.save_backfill_progress(scope, progress).await,
                None => Ok(()),
            }
        })
    }

    fn caught_up(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.fold.caught_up())
    }
}
