//! Stream of a history: its events are read from the log, replayed and described a few seconds at a time.
//!
//! A history of any length takes no more memory than the states of its customers, the ambiguous events, and forty
//! bytes an event.

use super::draft::{Draft, is_row_of};
use super::history::{History, HistoryEvent, changes};
use super::outline::Outline;
use super::read_limit::ReadLimit;
use super::replay::{ReplayInput, ReplayStep, Replayer, RowChange};
use super::subject::{Past, Subject, SubjectKind};
use super::{EVENTS_MAX, beside_the_runtime};
use crate::ids::Position;
use crate::projection::row::SubscriptionRow;
use crate::store::{GenerationStamp, Store, StoreError};

/// Stream of a history, in canonical order and from its beginning.
pub struct HistoryStream<'s> {
    store: &'s Store,
    subject: Subject,
    past: Past,
    outline: Outline,
    limit: ReadLimit,
    /// Number of entries of the outline that were replayed.
    replayed: usize,
    replayer: Replayer,
}

/// Page of a history.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The history with the events of the page alone. Its state is that at the end of the whole history.
    pub history: History,
    /// True if there are events after the page. The position of its last event is the next page's `after`.
    pub has_more: bool,
}

/// Request for a page of a history.
#[derive(Clone, Copy, Debug)]
pub struct PageRequest {
    /// Event after which the page begins; none for the first page.
    pub after: Option<Position>,
    /// Number of events, at most.
    pub limit: usize,
    /// True if only events that changed a row, or may have, are wanted.
    pub changes_only: bool,
}

/// Reason why a page of a history cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The event after which the page is to begin is not in the history.
    #[error("this history has no such event")]
    NoSuchEvent,
    /// A database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Computes a history from the log, by the policy of the live generation. None if the subject is not known.
///
/// Of a customer with more than 100,000 events it holds the first only, and is `truncated`.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn history(
    store: &Store,
    subject: Subject,
    past: Past,
) -> Result<Option<(GenerationStamp, History)>, StoreError> {
    let whole = PageRequest { after: None, limit: usize::MAX, changes_only: false };
    match history_page(store, subject, past, whole).await {
        Ok(page) => Ok(page.map(|(stamp, page)| (stamp, page.history))),
        Err(PageError::Store(error)) => Err(error),
        Err(PageError::NoSuchEvent) => Err(StoreError::Internal(PageError::NoSuchEvent.into())),
    }
}

/// Computes a page of a [`history()`]. None if the subject is not known.
///
/// Every page is replayed from the first event to the last, because an event may become ambiguous, and the state may
/// change, after the page. Only the events of the page are described and kept in memory.
#[tracing::instrument(level = "debug", skip_all)]
pub async fn history_page(
    store: &Store,
    subject: Subject,
    past: Past,
    request: PageRequest,
) -> Result<Option<(GenerationStamp, HistoryPage)>, PageError> {
    let limit = ReadLimit::default();
    let stream = HistoryStream::start(store, subject, past, EVENTS_MAX, limit).await?;
    let Some(stream) = stream else { return Ok(None) };
    let stamp = stream.stamp();
    Ok(Some((stamp, stream.read_page(request).await?)))
}

impl<'s> HistoryStream<'s> {
    /// Opens a history of any length, to be read a few seconds at a time. None if the subject is not known.
    ///
    /// An event may become ambiguous by a later second, so a history that does not fit into one read is first
    /// replayed to its end here.
    pub async fn open(
        store: &'s Store,
        subject: Subject,
        past: Past,
        limit: ReadLimit,
    ) -> Result<Option<Self>, StoreError> {
        let opened = Self::start(store, subject, past, usize::MAX, limit).await?;
        let Some(mut stream) = opened else { return Ok(None) };
        if stream.outline.next_entries(0, limit).len() < stream.outline.entries.len() {
            while let Some(inputs) = stream.read_inputs().await? {
                stream.replay(inputs, |_| ()).await?;
            }
            stream.replayed = 0;
            stream.replayer.restart(&stream.outline.customers);
        }
        Ok(Some(stream))
    }

    /// Starts with the first events of each customer, up to `events_max`. Ambiguity is known only of events
    /// that were replayed.
    async fn start(
        store: &'s Store,
        subject: Subject,
        past: Past,
        events_max: usize,
        limit: ReadLimit,
    ) -> Result<Option<Self>, StoreError> {
        let outline = Outline::read(store, &subject, past, events_max).await?;
        Ok(outline.map(|outline| {
            let user = Some(&subject).filter(|it| it.kind == SubjectKind::User);
            let replayer = Replayer::new(&outline.customers, user.map(|it| it.id.clone()));
            Self { store, subject, past, outline, limit, replayed: 0, replayer }
        }))
    }

    /// Generation whose timeline and policy the history uses.
    pub fn stamp(&self) -> GenerationStamp {
        self.outline.stamp
    }

    /// Number of events that `known_at` leaves out and that have a time of receipt in the future.
    pub fn received_in_future(&self) -> usize {
        self.outline.received_in_future
    }

    /// Returns the next events, an empty list if none of these seconds is about the subject, or `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<HistoryEvent>>, StoreError> {
        let Some(inputs) = self.read_inputs().await? else { return Ok(None) };
        let subject = self.subject.clone();
        let draft = self.replay(inputs, move |steps| Draft::new(steps, &subject)).await?;
        Ok(Some(self.finish(draft).await?))
    }

    async fn read_page(mut self, request: PageRequest) -> Result<HistoryPage, PageError> {
        let mut events = Vec::new();
        let mut selection = PageSelection { request, kept: 0, has_more: false };
        while let Some(inputs) = self.read_inputs().await? {
            if selection.has_more {
                self.replay(inputs, |_| ()).await?;
                continue;
            }
            let subject = self.subject.clone();
            let select = move |steps: Vec<ReplayStep<'_>>| {
                let mut draft = Draft::new(steps, &subject);
                draft.retain(|event, changed| {
                    let changes_row = || {
                        let is_change =
                            |it: &RowChange| !changes(it.before.as_ref(), &it.after).is_empty();
                        event.changed_anything() || changed.iter().any(is_change)
                    };
                    selection.takes(event.position, changes_row)
                });
                (draft, selection)
            };
            let (draft, selected) = self.replay(inputs, select).await?;
            selection = selected;
            events.extend(self.finish(draft).await?);
        }
        if selection.request.after.is_some() {
            return Err(PageError::NoSuchEvent);
        }
        self.mark_ambiguous(&mut events);
        let state = self.final_state().await?;
        let Self { subject, past: Past { as_of, known_at }, outline, .. } = self;
        let Outline { truncated, received_in_future, .. } = outline;
        let history =
            History { subject, as_of, known_at, received_in_future, events, truncated, state };
        Ok(HistoryPage { history, has_more: selection.has_more })
    }

    /// Adds everything to a draft that the replay does not know.
    async fn finish(&self, draft: Draft) -> Result<Vec<HistoryEvent>, StoreError> {
        let names = self.store.read_model.catalogue(self.outline.generation, draft.rows()).await?;
        let mut events = beside_the_runtime(move || draft.finish(&names)).await?;
        for event in &mut events {
            event.late = self.outline.late.contains(&event.position);
        }
        self.mark_ambiguous(&mut events);
        Ok(events)
    }

    /// Rows of the subject after everything that was replayed.
    async fn final_state(&mut self) -> Result<Vec<SubscriptionRow>, StoreError> {
        let rows = self.replayer.states.values_mut().flat_map(|it| std::mem::take(&mut it.rows));
        let mut state: Vec<_> = rows.filter(|row| is_row_of(&self.subject, row)).collect();
        let names = self.store.read_model.catalogue(self.outline.generation, &state).await?;
        for row in &mut state {
            self.replayer
                .counts
                .get(&row.subscription_id)
                .copied()
                .unwrap_or_default()
                .write_to(row);
            names.apply_names(row);
        }
        Ok(state)
    }

    /// Reads the next events.
    async fn read_inputs(&mut self) -> Result<Option<Vec<ReplayInput>>, StoreError> {
        let entries = self.outline.next_entries(self.replayed, self.limit);
        if entries.is_empty() {
            return Ok(None);
        }
        let inputs = self.outline.read_events(self.store, entries).await?;
        self.replayed += entries.len();
        Ok(Some(inputs))
    }

    /// Replays events and makes a value of the steps, on a thread of its own: this takes the processor, and must not
    /// delay the threads that answer webhooks.
    async fn replay<T: Send + 'static>(
        &mut self,
        inputs: Vec<ReplayInput>,
        make: impl FnOnce(Vec<ReplayStep<'_>>) -> T + Send + 'static,
    ) -> Result<T, StoreError> {
        let logic = self.outline.logic.clone();
        let mut replayer = std::mem::take(&mut self.replayer);
        let replayed = beside_the_runtime(move || {
            let made = make(replayer.replay(&inputs, &logic));
            (replayer, made)
        });
        let (replayer, made) = replayed.await?;
        self.replayer = replayer;
        Ok(made)
    }

    /// Marks the ambiguous events and names their rivals.
    fn mark_ambiguous(&self, events: &mut [HistoryEvent]) {
        for event in events {
            let rivals = self.replayer.rivals.get(&event.event_id);
            event.rivals = rivals.into_iter().flatten().cloned().collect();
            event.ambiguous = !event.rivals.is_empty();
        }
    }
}

/// Selection of a page's events, in their order.
#[derive(Clone, Copy)]
struct PageSelection {
    /// The request. Its `after` is taken out when that event is met.
    request: PageRequest,
    kept: usize,
    has_more: bool,
}

impl PageSelection {
    /// True if the page holds the next event.
    fn takes(&mut self, position: Position, changes_row: impl FnOnce() -> bool) -> bool {
        if self.has_more || (self.request.changes_only && !changes_row()) {
            return false;
        }
        if let Some(after) = self.request.after {
            if after == position {
                self.request.after = None;
            }
            return false;
        }
        self.has_more = self.kept == self.request.limit;
        self.kept += usize::from(!self.has_more);
        !self.has_more
    }
}
