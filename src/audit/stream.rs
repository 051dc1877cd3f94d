//! A history in pieces: read from the log, told and put into words some seconds at a time, so that one of any
//! length takes no more memory than its customers' states, what is in doubt, and forty bytes an event.

use super::beside_the_runtime;
use super::describe::sentences;
use super::history::{History, HistoryEvent, changes};
use super::outline::Outline;
use super::read_limit::ReadLimit;
use super::replay::{ReplayInput, ReplayStep, Replayer, RowChange};
use super::subject::{Past, Subject, SubjectKind};
use crate::ids::SubscriptionId;
use crate::projection::catalogue::Catalogue;
use crate::projection::row::SubscriptionRow;
use crate::store::{GenerationStamp, Store, StoreError};

/// A history on its way, in canonical order and from its beginning.
pub struct HistoryStream<'s> {
    store: &'s Store,
    subject: Subject,
    past: Past,
    outline: Outline,
    chunk: ReadLimit,
    /// How many of its entries were told.
    replayed: usize,
    replayer: Replayer,
    /// The subscriptions at the end of it, once that is reached.
    state: Vec<SubscriptionRow>,
}

impl<'s> HistoryStream<'s> {
    /// Opens a history of any length, to be read chunk by chunk. None where the subject is not known.
    ///
    /// What is in doubt may show at a later second than it arose, so a history of more than one chunk is read
    /// and folded to its end here, before the first of it is told.
    pub async fn open(
        store: &'s Store,
        subject: Subject,
        past: Past,
        chunk: ReadLimit,
    ) -> Result<Option<Self>, StoreError> {
        let opened = Self::begin(store, subject, past, usize::MAX, chunk).await?;
        let Some(mut stream) = opened else { return Ok(None) };
        if stream.outline.chunk(0, chunk).len() < stream.outline.entries.len() {
            while let Some(inputs) = stream.read_next().await? {
                stream.replay(inputs, |_| ()).await?;
            }
            stream.replayed = 0;
            stream.replayer.restart(&stream.outline.customers);
        }
        Ok(Some(stream))
    }

    /// Opens it, of each customer the first events up to so many, knowing of what is in doubt only what was told:
    /// the rest of it is known at the [end](Self::end).
    pub(super) async fn begin(
        store: &'s Store,
        subject: Subject,
        past: Past,
        events_max: usize,
        chunk: ReadLimit,
    ) -> Result<Option<Self>, StoreError> {
        let outline = Outline::read(store, &subject, past, events_max).await?;
        Ok(outline.map(|outline| {
            let user = Some(&subject).filter(|it| it.kind == SubjectKind::User);
            let replayer = Replayer::new(&outline.customers, user.map(|it| it.id.clone()));
            Self { store, subject, past, outline, chunk, replayed: 0, replayer, state: Vec::new() }
        }))
    }

    /// The generation whose timeline and policy it is told by.
    pub fn stamp(&self) -> GenerationStamp {
        self.outline.stamp
    }

    /// Events that are left out and whose time of receipt lies in the future.
    pub fn received_in_future(&self) -> usize {
        self.outline.received_in_future
    }

    /// The next events, none where no event of these seconds is about the subject; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Vec<HistoryEvent>>, StoreError> {
        let Some(inputs) = self.read_next().await? else { return Ok(None) };
        let subject = self.subject.clone();
        let draft = self.replay(inputs, move |steps| Draft::of(steps, &subject)).await?;
        if self.replayed == self.outline.entries.len() {
            let rows =
                self.replayer.states.values_mut().flat_map(|it| std::mem::take(&mut it.rows));
            let rows = rows.filter(|row| is_wanted(&self.subject, row));
            self.state = rows.collect();
            for row in &mut self.state {
                let id = SubscriptionId::from(row.subscription_id.as_str());
                self.replayer.counts.get(&id).copied().unwrap_or_default().put_into(row);
            }
        }
        let rows = draft.rows().chain(&self.state);
        let catalogue = self.store.read_model.catalogue(self.outline.generation, rows).await?;
        self.state.iter_mut().for_each(|row| catalogue.apply_names(row));
        let mut events = beside_the_runtime(move || draft.finish(&catalogue)).await?;
        for event in &mut events {
            event.late = self.outline.late.contains(&event.position);
        }
        self.mark_ambiguous(&mut events);
        Ok(Some(events))
    }

    /// The whole, once these events were read of it.
    pub(super) fn end(self, mut events: Vec<HistoryEvent>) -> History {
        self.mark_ambiguous(&mut events);
        let Self { subject, past: Past { as_of, known_at }, outline, state, .. } = self;
        let Outline { truncated, received_in_future, .. } = outline;
        History { subject, as_of, known_at, received_in_future, events, truncated, state }
    }

    /// Reads the events of the next chunk.
    async fn read_next(&mut self) -> Result<Option<Vec<ReplayInput>>, StoreError> {
        let chunk = self.outline.chunk(self.replayed, self.chunk);
        if chunk.is_empty() {
            return Ok(None);
        }
        let inputs = self.outline.read_events(self.store, chunk).await?;
        self.replayed += chunk.len();
        Ok(Some(inputs))
    }

    /// Tells them, and makes something of the steps. Reading and folding take the processor, not the disk: beside the
    /// threads that answer webhooks.
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

    /// Writes down what is in doubt of these events.
    fn mark_ambiguous(&self, events: &mut [HistoryEvent]) {
        for event in events {
            let rivals = self.replayer.rivals.get(&event.event_id);
            event.rivals = rivals.into_iter().flatten().cloned().collect();
            event.ambiguous = !event.rivals.is_empty();
        }
    }
}

/// True if a row is the subject's.
fn is_wanted(subject: &Subject, row: &SubscriptionRow) -> bool {
    match subject.kind {
        SubjectKind::Subscription => row.subscription_id == subject.id,
        SubjectKind::User => row.user_id.as_ref() == Some(&subject.id),
        SubjectKind::Customer => true,
    }
}

/// True if what an event changed belongs to the subject's story: a row that is or was theirs or, before
/// anybody is known to have it, nobody's.
fn belongs_to(subject: &Subject, changed: &RowChange) -> bool {
    let RowChange { before, after, .. } = changed;
    let is_wanted = |row: &SubscriptionRow| {
        let is_nobodys = subject.kind == SubjectKind::User && row.user_id.is_none();
        is_nobodys || is_wanted(subject, row)
    };
    before.as_ref().is_some_and(is_wanted) || is_wanted(after)
}

/// Events whose products and prices have no names yet, and the rows that each changed.
struct Draft(Vec<(HistoryEvent, Vec<RowChange>)>);

impl Draft {
    /// Of these steps those that are about the subject.
    fn of(steps: Vec<ReplayStep<'_>>, subject: &Subject) -> Self {
        let mut drafts = Vec::new();
        for mut step in steps {
            step.changed.retain(|it| step.is_theirs && belongs_to(subject, it));
            let named = step.subscription.as_ref().map_or("", |id| id.as_str());
            let is_about_it = match subject.kind {
                SubjectKind::Subscription => named == subject.id,
                SubjectKind::Customer | SubjectKind::User => step.is_theirs,
            };
            if is_about_it || !step.changed.is_empty() {
                drafts.push((HistoryEvent::of(&step), step.changed));
            }
        }
        Self(drafts)
    }

    fn rows(&self) -> impl Iterator<Item = &SubscriptionRow> {
        let changed = self.0.iter().flat_map(|it| &it.1);
        changed.flat_map(|it| it.before.iter().chain([&it.after]))
    }

    /// Puts the names in, and with them the words.
    fn finish(self, catalogue: &Catalogue) -> Vec<HistoryEvent> {
        let finished = self.0.into_iter().map(|(mut event, changed)| {
            let several = changed.len() > 1;
            for RowChange { mut before, mut after, judgement } in changed {
                event.changes.extend(changes(before.as_ref(), &after));
                before.iter_mut().chain([&mut after]).for_each(|row| catalogue.apply_names(row));
                let end = judgement.and_then(|judgement| judgement.end);
                let of = after.subscription_id.as_str();
                // Whose row it is goes without saying where the event names it.
                let own = match &event.subscription_id {
                    Some(own) => own.as_str() == of,
                    None => !several,
                };
                let words = sentences(before.as_ref(), &after, end).into_iter();
                event.words.extend(words.map(|it| if own { it } else { format!("{of}: {it}") }));
            }
            event
        });
        finished.collect()
    }
}
