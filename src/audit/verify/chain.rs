//! The log as it is read: dense positions, rising times, and the tree over it.

use super::VerifyReport;
use super::checked::CheckedEvent;
use crate::ids::Position;
use crate::proof::Checkpoint;
use crate::store::{Damage, DamageCause};
use crate::time::ReceivedAt;
use crate::tree::{Frontier, Hash, Subtree};

/// As far as it has been read.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) position: Position,
    received_at: ReceivedAt,
    pub(super) events: i64,
    frontier: Frontier,
    /// True if a leaf is missing from the tree, because its row cannot be read.
    is_broken: bool,
    /// The subtrees that were completed and not taken yet.
    completed: Vec<(Subtree, Hash)>,
    /// Those that have not been reached yet.
    checkpoints: Vec<Checkpoint>,
}

impl Chain {
    /// The chain before the first event, which is to meet these checkpoints on its way.
    pub(super) fn new(checkpoints: &[Checkpoint], report: &mut VerifyReport) -> Self {
        let mut chain = Self { checkpoints: checkpoints.to_vec(), ..Self::default() };
        chain.compare_checkpoints(report);
        chain
    }

    /// The next events, which cannot be read. Where their leaf can be, the tree goes on with it.
    pub(super) fn pass(&mut self, damage: &Damage, report: &mut VerifyReport) {
        let (first, last) = (damage.first, damage.last);
        let message = if first == last {
            damage.cause.to_string()
        } else {
            format!("{}: {}", damage.place(), damage.cause)
        };
        report.find(Some(first), message);
        if let Some(rest) = &damage.rest {
            let is_leaf = matches!(damage.cause, DamageCause::Column { name: "leaf_hash", .. });
            self.grow(if is_leaf { rest.recomputed_leaf_hash() } else { rest.leaf_hash });
            self.received_at = self.received_at.max(rest.received_at);
        } else {
            self.is_broken = true;
        }
        self.position = last;
        if matches!(damage.cause, DamageCause::Column { .. } | DamageCause::Unreadable) {
            self.events += damage.count();
        }
        self.compare_checkpoints(report);
    }

    fn grow(&mut self, leaf: Hash) {
        if !self.is_broken {
            let completed = &mut self.completed;
            self.frontier.push_with(leaf, |subtree, hash| completed.push((subtree, hash)));
        }
    }

    /// The next event.
    pub(super) fn push(&mut self, event: &CheckedEvent, report: &mut VerifyReport) {
        let at = Some(event.position);
        if event.position != self.position.next() {
            report.find(at, missing(self.position.next(), event.position));
        }
        if event.received_at <= self.received_at {
            report.find(at, "received_at does not rise");
        }
        event.wrong.iter().for_each(|message| report.find(at, message));
        self.grow(event.leaf);
        self.position = event.position;
        self.received_at = event.received_at;
        self.events += 1;
        self.compare_checkpoints(report);
    }

    /// The root of what was read; none where a leaf could not be.
    pub(super) fn root(&self) -> Option<Hash> {
        (!self.is_broken).then(|| self.frontier.root())
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
    pub(super) fn end(&self, report: &mut VerifyReport) {
        for checkpoint in &self.checkpoints {
            if self.is_broken && checkpoint.size <= self.position.0.unsigned_abs() {
                let message = format!(
                    "a checkpoint of {} events cannot be compared, because not all of them can be read",
                    checkpoint.size
                );
                report.find(None, message);
                continue;
            }
            let message = format!(
                "a checkpoint speaks of {} events, the log holds {}",
                checkpoint.size, self.events
            );
            report.find(None, message);
        }
    }

    /// Compares the root with those of the checkpoints of this size.
    fn compare_checkpoints(&mut self, report: &mut VerifyReport) {
        if self.is_broken {
            return;
        }
        let (size, root) = (self.frontier.size(), || self.frontier.root());
        for checkpoint in self.checkpoints.extract_if(.., |it| it.size == size) {
            if checkpoint.root != root() {
                let message = format!("the log of {size} events is not the one that was signed");
                report.find(None, message);
            }
        }
    }
}

/// Says which positions have no row, the first of them and the one after the last.
fn missing(first: Position, end: Position) -> String {
    let last = Position(end.0 - 1);
    if last > first {
        format!("positions {first} to {last} are missing before this event")
    } else {
        format!("position {first} is missing before this event")
    }
}
