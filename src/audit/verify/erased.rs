//! Bodies that are gone, held against the records of erasures.

use std::collections::{BTreeMap, BTreeSet};

use super::VerifyReport;
use super::checked::ErasureFact;
use crate::ids::{EventId, Position, Scope};

/// What a log without bodies must be able to say of each: that it was erased on purpose.
#[derive(Debug, Default)]
pub(super) struct ErasureCheck {
    gone: BTreeMap<(Scope, EventId), Position>,
    recorded: BTreeSet<(Scope, EventId)>,
}

impl ErasureCheck {
    pub(super) fn note(&mut self, position: Position, erasing: ErasureFact) {
        match erasing {
            ErasureFact::Gone(scope, id) => {
                self.gone.insert((scope, id), position);
            }
            ErasureFact::Recorded(scope, events) => {
                self.recorded.extend(events.into_iter().map(|id| (scope.clone(), id)));
            }
        }
    }

    pub(super) fn compare(&self, report: &mut VerifyReport) {
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
