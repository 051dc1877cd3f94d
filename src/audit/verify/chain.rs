//! Chain of the log's events: dense positions, rising times, and the tree over them.

use super::VerifyReport;
use super::checked::CheckedEvent;
use crate::ids::Position;
use crate::proof::Checkpoint;
use crate::store::{Damage, DamageCause};
use crate::time::ReceivedAt;
use crate::tree::{Frontier, Hash, Subtree};

/// State of the check after the last read event.
#[derive(Default)]
pub(super) struct Chain {
    pub(super) position: Position,
    received_at: ReceivedAt,
    pub(super) events: i64,
    frontier: Frontier,
    /// True if a leaf is missing from the tree, because its row cannot be read.
    is_broken: bool,
    /// Completed subtrees that were not taken out yet.
    completed: Vec<(Subtree, Hash)>,
    /// Checkpoints that were not reached yet.
    checkpoints: Vec<Checkpoint>,
}

impl Chain {
    /// Starts before the first event, with the checkpoints to compare.
    pub(super) fn new(checkpoints: &[Checkpoint], report: &mut VerifyReport) -> Self {
        let mut chain = Self { checkpoints: checkpoints.to_vec(), ..Self::default() };
        chain.compare_checkpoints(report);
        chain
    }

    /// Adds the next events, which cannot be read. If their leaf hash can be, the tree continues with it.
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

    /// Adds the next event.
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

    /// Root of the events that were read; none if a leaf hash could not be read.
    pub(super) fn root(&self) -> Option<Hash> {
        (!self.is_broken).then(|| self.frontier.root())
    }

    /// Number of completed subtrees that were not taken out yet.
    pub(super) fn completed(&self) -> usize {
        self.completed.len()
    }

    /// Takes out the completed subtrees.
    pub(super) fn take_completed(&mut self) -> Vec<(Subtree, Hash)> {
        std::mem::take(&mut self.completed)
    }

    /// Reports the checkpoints that were never reached.
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

/// Message about positions without a row: the first of them, and the one after the last.
fn missing(first: Position, end: Position) -> String {
    let last = Position(end.0 - 1);
    if last > first {
        format!("positions {first} to {last} are missing before this event")
    } else {
        format!("position {first} is missing before this event")
    }
}
