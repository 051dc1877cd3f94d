//! Erased bodies, compared with the records of erasures.

use std::collections::{BTreeMap, BTreeSet};

use super::VerifyReport;
use super::checked::ErasureFact;
use crate::ids::{EventId, Position, Scope};

/// Missing bodies and recorded erasures, which must match.
#[derive(Debug, Default)]
pub(super) struct ErasureCheck {
    missing: BTreeMap<(Scope, EventId), Position>,
    recorded: BTreeSet<(Scope, EventId)>,
}

impl ErasureCheck {
    pub(super) fn note(&mut self, position: Position, erasing: ErasureFact) {
        match erasing {
            ErasureFact::Gone(scope, id) => {
                self.missing.insert((scope, id), position);
            }
            ErasureFact::Recorded(scope, events) => {
                self.recorded.extend(events.into_iter().map(|id| (scope.clone(), id)));
            }
        }
    }

    pub(super) fn compare(&self, report: &mut VerifyReport) {
        for (event, position) in &self.missing {
            if !self.recorded.contains(event) {
                report.find(Some(*position), "the payload is gone, and no erasure is recorded");
            }
        }
        for event @ (_, id) in &self.recorded {
            if !self.missing.contains_key(event) {
                report.find(None, format!("{id} is recorded as erased and has a payload"));
            }
        }
    }
}
