//! Bodies that are gone, held against the records of erasures.

use std::collections::{BTreeMap, BTreeSet};

use super::verify::Report;
use crate::erasure::Erasure;
use crate::ids::{EventId, Position, Scope};
use crate::store::{LoggedEvent, Source};

/// What a log without bodies must be able to say of each: that it was erased on purpose.
#[derive(Debug, Default)]
pub(super) struct Erased {
    gone: BTreeMap<(Scope, EventId), Position>,
    recorded: BTreeSet<(Scope, EventId)>,
}

impl Erased {
    pub(super) fn note(&mut self, event: &LoggedEvent) {
        let scope = &event.facts.scope;
        match event.payload.as_deref() {
            None => {
                let id = event.facts.event_id.clone();
                self.gone.insert((scope.clone(), id), event.position);
            }
            Some(body) if event.source == Source::Subledger => {
                let events = Erasure::read(body).into_iter().flat_map(|it| it.events);
                self.recorded.extend(events.map(|it| (scope.clone(), it.event_id)));
            }
            Some(_) => {}
        }
    }

    pub(super) fn compare(&self, report: &mut Report) {
        for (event, position) in &self.gone {
            if !self.recorded.contains(event) {
                report.find(Some(*position), "the payload is gone, and no erasure is recorded");
            }
        }
        for event @ (_, id) in &self.recorded {
            if !self.gone.contains_key(event) {
                report.find(None, format!("{id} was erased, and says something again"));
            }
        }
    }
}
