//! Draft of some events of a history: everything but the names of products and prices, which come from the
//! catalogue, and the sentences that use them.

use super::describe::sentences;
use super::history::{HistoryEvent, changes};
use super::replay::{ReplayStep, RowChange};
use super::subject::{Subject, SubjectKind};
use crate::projection::catalogue::Catalogue;
use crate::projection::row::SubscriptionRow;

/// Events of a history, each with the rows that it changed.
pub(super) struct Draft(Vec<(HistoryEvent, Vec<RowChange>)>);

impl Draft {
    /// Keeps the steps that are about the subject.
    pub(super) fn new(steps: Vec<ReplayStep<'_>>, subject: &Subject) -> Self {
        let mut drafts = Vec::new();
        for mut step in steps {
            step.changed.retain(|it| step.is_theirs && belongs_to(subject, it));
            let named = step.subscription.as_ref().map_or("", |id| id.as_str());
            let is_about_it = match subject.kind {
                SubjectKind::Subscription => named == subject.id,
                SubjectKind::Customer | SubjectKind::User => step.is_theirs,
            };
            if is_about_it || !step.changed.is_empty() {
                drafts.push((HistoryEvent::from_step(&step), step.changed));
            }
        }
        Self(drafts)
    }

    /// Keeps these events alone.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&HistoryEvent, &[RowChange]) -> bool) {
        self.0.retain(|(event, changed)| keep(event, changed));
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = &SubscriptionRow> {
        let changed = self.0.iter().flat_map(|it| &it.1);
        changed.flat_map(|it| it.before.iter().chain([&it.after]))
    }

    /// Adds the names, and the sentences with them.
    pub(super) fn finish(self, catalogue: &Catalogue) -> Vec<HistoryEvent> {
        let finished = self.0.into_iter().map(|(mut event, changed)| {
            let several = changed.len() > 1;
            for RowChange { mut before, mut after, judgement } in changed {
                event.changes.extend(changes(before.as_ref(), &after));
                before.iter_mut().chain([&mut after]).for_each(|row| catalogue.apply_names(row));
                let end = judgement.and_then(|judgement| judgement.end);
                let of = &after.subscription_id;
                // A subscription that the event names need not be named again.
                let own = match &event.subscription_id {
                    Some(own) => own == of,
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

/// True if a row is the subject's.
pub(super) fn is_row_of(subject: &Subject, row: &SubscriptionRow) -> bool {
    match subject.kind {
        SubjectKind::Subscription => row.subscription_id.as_str() == subject.id,
        SubjectKind::User => row.user_id.as_ref() == Some(&subject.id),
        SubjectKind::Customer => true,
    }
}

/// True if a changed row belongs to the subject's history: a row that is or was the subject's. In the history of a
/// user, also a row that no user is known to have yet.
fn belongs_to(subject: &Subject, changed: &RowChange) -> bool {
    let RowChange { before, after, .. } = changed;
    let is_row_of = |row: &SubscriptionRow| {
        let is_unassigned = subject.kind == SubjectKind::User && row.user_id.is_none();
        is_unassigned || is_row_of(subject, row)
    };
    before.as_ref().is_some_and(is_row_of) || is_row_of(after)
}
