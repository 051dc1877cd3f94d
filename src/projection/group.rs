//! The snapshots of one object that might be its latest: a join.
//!
//! Of all snapshots of an object, those of the greatest (precedence, second) are kept, *all* of them. Of the
//! snapshots of the second before, the evidence of their order is kept, because the state that a second starts
//! from decides what came last in it. Which of them is the latest is found over the whole set, so neither the order of arrival nor
//! the way in which events were batched can show.
//!
//! A group is the set of its snapshots, cut to the two greatest (precedence, second): joining is the union of
//! such sets, cut again.

use serde::{Deserialize, Serialize};

use super::order::{self, Evidence, Sequence};
use crate::ids::EventId;
use crate::time::StripeTime;

/// How much a snapshot counts before its time is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precedence {
    /// It may carry an earlier state under a later time, as
    /// `customer.subscription.pending_update_expired` does, and yields to any other.
    Echo,
    /// An ordinary snapshot.
    Live,
    /// A final state, which absorbs: nothing that arrives revives the object.
    Terminal,
}

/// One snapshot of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot<F> {
    /// What the ledger keeps of the object.
    pub facts: F,
    /// What the event says about its place in its second.
    pub evidence: Evidence,
}

/// The snapshots of the greatest (precedence, second), and the order of the second before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group<F> {
    precedence: Precedence,
    created: StripeTime,
    /// By their event ids. Nearly always there is one, which a map would give the room of eleven.
    rivals: Vec<(EventId, Snapshot<F>)>,
    /// None where nothing is known that yields to these.
    before: Option<Box<Before>>,
}

/// The snapshots of the next lower (precedence, second), as far as they say what the state was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    precedence: Precedence,
    created: StripeTime,
    /// By their event ids.
    rivals: Vec<(EventId, Evidence)>,
}

impl Before {
    /// Joins another one in: the greater of the two, or all snapshots of both where they are equal.
    fn join_into(self, place: &mut Option<Box<Self>>) {
        let Some(present) = place else {
            *place = Some(Box::new(self));
            return;
        };
        match (self.precedence, self.created).cmp(&(present.precedence, present.created)) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => {
                for rival in self.rivals {
                    if let Err(at) = present.rivals.binary_search_by(|(id, _)| id.cmp(&rival.0)) {
                        present.rivals.insert(at, rival);
                    }
                }
            }
            std::cmp::Ordering::Greater => **present = self,
        }
    }

    /// Snapshots that might have been the last of them, as far as anything says.
    fn last_candidates(&self) -> Vec<&Evidence> {
        last_candidates(
            &self.rivals.iter().map(|(id, evidence)| (id, evidence)).collect::<Vec<_>>(),
        )
    }
}

/// Events of one second that might have been the last of it, as far as they say by themselves: what was before
/// that second is not kept.
fn last_candidates<'a>(rivals: &[order::Rival<'a>]) -> Vec<&'a Evidence> {
    let Sequence { order, other_last_candidates } = order::sequence(rivals, &[]);
    let last = order.last().into_iter().chain(&other_last_candidates);
    last.map(|at| rivals[*at].1).collect()
}

/// The snapshot that a group stands for.
#[derive(Debug)]
pub struct Winner<'a, F> {
    /// The event.
    pub event_id: &'a EventId,
    /// Its second.
    pub created: StripeTime,
    /// How much it counts.
    pub precedence: Precedence,
    /// The snapshot.
    pub snapshot: &'a Snapshot<F>,
    /// Whether nothing says that it was the last and another one differs from it.
    pub ambiguous: bool,
}

impl<F: Clone + PartialEq> Group<F> {
    /// The group of one snapshot.
    pub fn new(
        precedence: Precedence,
        created: StripeTime,
        event_id: EventId,
        snapshot: Snapshot<F>,
    ) -> Self {
        Self { precedence, created, rivals: vec![(event_id, snapshot)], before: None }
    }

    /// Joins two groups: commutative, associative, idempotent.
    pub fn join(&mut self, other: Self) {
        match (other.precedence, other.created).cmp(&(self.precedence, self.created)) {
            std::cmp::Ordering::Less => other.into_before().join_into(&mut self.before),
            std::cmp::Ordering::Equal => {
                other.rivals.into_iter().for_each(|it| self.insert(it));
                other.before.into_iter().for_each(|it| it.join_into(&mut self.before));
            }
            std::cmp::Ordering::Greater => {
                let superseded = std::mem::replace(self, other);
                superseded.into_before().join_into(&mut self.before);
            }
        }
    }

    /// The group as what comes before another.
    fn into_before(self) -> Before {
        let evidence = |(id, snapshot): (EventId, Snapshot<F>)| (id, snapshot.evidence);
        let rivals = self.rivals.into_iter().map(evidence).collect();
        Before { precedence: self.precedence, created: self.created, rivals }
    }

    /// Precedence of the latest snapshots.
    pub fn precedence(&self) -> Precedence {
        self.precedence
    }

    /// The second of the latest snapshots.
    pub fn created(&self) -> StripeTime {
        self.created
    }

    /// Facts of the latest snapshots.
    pub fn facts(&self) -> impl Iterator<Item = &F> {
        self.rivals.iter().map(|(_, snapshot)| &snapshot.facts)
    }

    /// One more rival; the same event again is none.
    fn insert(&mut self, rival: (EventId, Snapshot<F>)) {
        if let Err(at) = self.rivals.binary_search_by(|(id, _)| id.cmp(&rival.0)) {
            self.rivals.insert(at, rival);
            // Now they will be asked for.
            self.materialize();
        }
    }

    /// Reads the evidence of order that was put off so far, and lets its text go.
    pub fn materialize(&mut self) {
        self.rivals.iter_mut().for_each(|(_, snapshot)| snapshot.evidence.digest.materialize());
        let before = self.before.iter_mut().flat_map(|before| &mut before.rivals);
        before.for_each(|(_, evidence)| evidence.digest.materialize());
    }

    /// Snapshots that might have been the last, for a second that starts after them.
    pub fn last_candidates(&self) -> Vec<&Evidence> {
        last_candidates(
            &self.rivals.iter().map(|(id, snapshot)| (id, &snapshot.evidence)).collect::<Vec<_>>(),
        )
    }

    /// The snapshot that was the latest, as far as anything says.
    pub fn winner(&self) -> Winner<'_, F> {
        let (precedence, created) = (self.precedence, self.created);
        if let [(event_id, snapshot)] = &self.rivals[..] {
            return Winner { event_id, created, precedence, snapshot, ambiguous: false };
        }
        let (last, contenders) = self.last_and_contenders();
        let (event_id, snapshot) = &self.rivals[last];
        Winner { event_id, created, precedence, snapshot, ambiguous: !contenders.is_empty() }
    }

    /// Groups that this one might be if the last event were known: the winner alone, then each candidate
    /// with other facts, at most `max` in all. One or none if nothing is ambiguous.
    pub fn possible_outcomes(&self, max: usize) -> Vec<Self> {
        if self.rivals.len() == 1 {
            return Vec::new();
        }
        let (last, contenders) = self.last_and_contenders();
        let mut possible: Vec<usize> = vec![last];
        for contender in contenders {
            if possible.len() >= max {
                break;
            }
            if possible.iter().all(|at| self.facts_at(*at) != self.facts_at(contender)) {
                possible.push(contender);
            }
        }
        let alone = |at: usize| {
            let rivals = vec![self.rivals[at].clone()];
            Self { precedence: self.precedence, created: self.created, rivals, before: None }
        };
        possible.into_iter().map(alone).collect()
    }

    fn last_and_contenders(&self) -> (usize, Vec<usize>) {
        let Sequence { order, other_last_candidates } = self.sequence();
        let last = *order.last().expect("a group is never empty");
        let differs = |at: &usize| self.facts_at(*at) != self.facts_at(last);
        (last, other_last_candidates.into_iter().filter(differs).collect())
    }

    fn sequence(&self) -> Sequence {
        let rivals: Vec<_> = self.rivals.iter().map(|(id, s)| (id, &s.evidence)).collect();
        // An echo may carry any earlier state. A second before this one is one that ended before it.
        let before = self.before.as_ref();
        let before =
            before.filter(|it| it.precedence != Precedence::Echo && it.created < self.created);
        let start = before.map(|it| it.last_candidates()).unwrap_or_default();
        order::sequence(&rivals, &start)
    }

    fn facts_at(&self, at: usize) -> &F {
        &self.rivals[at].1.facts
    }
}

/// Joins a group into a place that may still be empty.
pub fn join_into<F: Clone + PartialEq>(place: &mut Option<Group<F>>, group: Group<F>) {
    match place {
        Some(present) => present.join(group),
        None => *place = Some(group),
    }
}
