//! The log as it is read: dense positions, rising times, and the tree over it.

use super::Report;
use super::checked::Checked;
use crate::ids::Position;
use crate::proof::Checkpoint;
use crate::time::ReceivedAt;
use crate::tree::{Frontier, Hash, Subtree};

/// As far as it has been read.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) position: Position,
    received_at: ReceivedAt,
    pub(super) events: i64,
    frontier: Frontier,
    /// The subtrees that were completed and not taken yet.
    completed: Vec<(Subtree, Hash)>,
    /// Those that have not been reached yet.
    checkpoints: Vec<Checkpoint>,
}

impl Chain {
    /// The chain before the first event, which is to meet these checkpoints on its way.
    pub(super) fn new(checkpoints: &[Checkpoint], report: &mut Report) -> Self {
        let mut chain = Self { checkpoints: checkpoints.to_vec(), ..Self::default() };
        chain.compare_checkpoints(report);
        chain
    }

    /// The next event.
    pub(super) fn push(&mut self, event: &Checked, report: &mut Report) {
        let at = Some(event.position);
        if event.position != self.position.next() {
            let message = format!("position {} is missing before this event", self.position.next());
            report.find(at, message);
        }
        if event.received_at <= self.received_at {
            report.find(at, "received_at does not rise");
        }
        event.wrong.iter().for_each(|message| report.find(at, message));
        let completed = &mut self.completed;
        self.frontier.push_with(event.leaf, |subtree, hash| completed.push((subtree, hash)));
        self.position = event.position;
        self.received_at = event.received_at;
        self.events += 1;
        self.compare_checkpoints(report);
    }

    /// The root of what was read.
    pub(super) fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// How many subtrees were completed since they were taken out.
    pub(super) fn completed(&self) -> usize {
        self.completed.len()
    }

    /// Takes out the subtrees that were completed since.
    pub(super) fn take_completed(&mut self) -> Vec<(Subtree, Hash)> {
        std::mem::take(&mut self.completed)
    }

    /// Says which checkpoints were never reached.
    pub(super) fn end(&self, report: &mut Report) {
        for checkpoint in &self.checkpoints {
            let message = format!(
                "a checkpoint speaks of {} events, the log holds {}",
                checkpoint.size, self.events
            );
            report.find(None, message);
        }
    }

    /// Compares the root with those of the checkpoints of this size.
    fn compare_checkpoints(&mut self, report: &mut Report) {
        let (size, root) = (self.frontier.size(), || self.frontier.root());
        for checkpoint in self.checkpoints.extract_if(.., |it| it.size == size) {
            if checkpoint.root != root() {
                let message = format!("the log of {size} events is not the one that was signed");
                report.find(None, message);
            }
        }
    }
}
