//! Watch over the live generation: what the program's log says when another one is live, or will be.

use super::logic_difference::LogicDifference;
use crate::store::{Generation, GenerationId, GenerationLogic};

/// Watch over the live generation.
#[derive(Debug, Default)]
pub(super) struct LiveWatch {
    /// Generation that was live when it was last read.
    last: Option<Generation>,
    /// Generation of whose rules this process has warned. A rebuild that is tried again warns no more.
    warned: Option<GenerationId>,
}

impl LiveWatch {
    /// Logs that another process made another generation live. `own` is the generation that this process builds: its
    /// rebuild logs by itself.
    pub(super) fn see(&mut self, live: &Generation, own: Option<GenerationId>) {
        let id = live.id;
        let before = self.last.as_ref().filter(|last| last.id != id && own != Some(id));
        if let Some(last) = before {
            let (from, difference) = (last.id, LogicDifference::between(&last.logic, &live.logic));
            let how = if live.pinned { "activated" } else { "swapped in" };
            tracing::info!(
                generation = id,
                from,
                "another process {how} generation {id}, which is live instead of generation {from}; what differs: \
                 {difference}"
            );
        }
        if self.last.as_ref().is_none_or(|last| last.id != id) {
            self.last = Some(live.clone());
        }
    }

    /// Warns that a rebuild will replace a generation of another policy or other user keys, which a person may have
    /// made on purpose.
    pub(super) fn warn_of_rebuild(&mut self, live: &Generation, ours: &GenerationLogic) {
        let difference = LogicDifference::between(&live.logic, ours);
        if !difference.has_other_rules() || self.warned.replace(live.id) == Some(live.id) {
            return;
        }
        let (id, user_keys) = (live.id, &live.logic.user_keys);
        tracing::warn!(
            generation = id,
            "generation {id} was built with other rules than this process was started with, and will be replaced; \
             what changes: {difference}; to keep it, run `subledger projections activate {id}` now, or start `serve` \
             with its rules: `subledger policy show --live > FILE`, then `--policy FILE --user-key {user_keys}`"
        );
    }
}
