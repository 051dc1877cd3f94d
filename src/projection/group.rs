//! Group of the snapshots of one object that may be its latest. A join.
//!
//! All snapshots of the greatest (precedence, second) are kept. Of the next lower (precedence, second), only
//! the evidence of order is kept, because the state before a second decides what came last in it. The latest
//! snapshot is found over the whole set, so neither the order of arrival nor the batching of events can show.
//!
//! A group is the set of its snapshots, cut to the two greatest (precedence, second). To join two groups is to
//! cut the union of the two sets.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::order::{self, Evidence, Sequence, TieBreak};
use crate::ids::EventId;
use crate::time::StripeTime;

/// Precedence of a snapshot. It counts before the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Precedence {
    /// May carry an earlier state under a later time, as `customer.subscription.pending_update_expired` does.
    /// Any other snapshot wins over it.
    Echo,
    /// An ordinary snapshot.
    Live,
    /// A final state. Nothing that arrives later revives the object.
    Terminal,
}

/// Snapshot of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot<F> {
    /// Facts that the ledger keeps of the object.
    pub facts: F,
    /// Evidence of the event's place in its second.
    pub evidence: Evidence,
}

/// Snapshots of the greatest (precedence, second), and the evidence of the next lower one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group<F> {
    precedence: Precedence,
    created: StripeTime,
    /// Sorted by event id. A vector, because there is nearly always one, and a map allocates for eleven.
    rivals: Vec<(EventId, Snapshot<F>)>,
    /// None if no lower (precedence, second) is known.
    before: Option<Box<Before>>,
}

/// Evidence of the snapshots of the next lower (precedence, second).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Before {
    precedence: Precedence,
    created: StripeTime,
    /// Sorted by event id.
    rivals: Vec<(EventId, Evidence)>,
}

impl Before {
    /// Joins this into `place`: the greater one stays, or all snapshots of both if they are equal.
    fn join_into(self, place: &mut Option<Box<Self>>) {
        let Some(present) = place else {
            *place = Some(Box::new(self));
            return;
        };
        let Self { precedence, created, rivals } = self;
        match (precedence, created).cmp(&(present.precedence, present.created)) {
            Ordering::Less => {}
            Ordering::Equal => {
                for rival in rivals {
                    insert(&mut present.rivals, rival);
                }
            }
            Ordering::Greater => **present = Self { precedence, created, rivals },
        }
    }

    fn last_candidates(&self) -> Vec<&Evidence> {
        last_candidates(
            &self.rivals.iter().map(|(id, evidence)| (id, evidence)).collect::<Vec<_>>(),
        )
    }
}

/// Inserts a rival in the order of event ids, unless the event is already there.
fn insert<T>(rivals: &mut Vec<(EventId, T)>, rival: (EventId, T)) {
    if let Err(at) = rivals.binary_search_by(|(id, _)| id.cmp(&rival.0)) {
        rivals.insert(at, rival);
    }
}

/// Events of one second that may have been the last of it, without the state before that second.
fn last_candidates<'a>(rivals: &[order::Rival<'a>]) -> Vec<&'a Evidence> {
    let Sequence { order, other_last_candidates } = order::sequence(rivals, &[]);
    let last = order.last().into_iter().chain(&other_last_candidates);
    last.map(|at| rivals[*at].1).collect()
}

/// Latest snapshot of a group.
#[derive(Debug)]
pub struct Winner<'a, F> {
    /// The event.
    pub event_id: &'a EventId,
    /// Second of the event.
    pub created: StripeTime,
    /// Precedence of the snapshot.
    pub precedence: Precedence,
    /// Facts of the snapshot.
    pub facts: &'a F,
    /// API version that the object is rendered at.
    pub api_version: Option<&'a str>,
    /// True if another snapshot with other facts may have been the last.
    pub is_ambiguous: bool,
    /// True if Stripe's API showed it and no event carried it.
    pub is_observed: bool,
}

impl<F: Clone + PartialEq> Group<F> {
    /// Group of one snapshot.
    pub fn new(
        precedence: Precedence,
        created: StripeTime,
        event_id: EventId,
        snapshot: Snapshot<F>,
    ) -> Self {
        Self { precedence, created, rivals: vec![(event_id, snapshot)], before: None }
    }

    /// Joins another group in. Commutative, associative and idempotent.
    pub fn join(&mut self, other: Self) {
        match (other.precedence, other.created).cmp(&(self.precedence, self.created)) {
            Ordering::Less => other.join_as_before(&mut self.before),
            Ordering::Equal => {
                let Self { precedence: _, created: _, rivals, before } = other;
                let known = self.rivals.len();
                for rival in rivals {
                    insert(&mut self.rivals, rival);
                }
                if self.rivals.len() > known {
                    // The digests of rivals are compared, so they are needed.
                    self.materialize();
                }
                if let Some(before) = before {
                    before.join_into(&mut self.before);
                }
            }
            Ordering::Greater => {
                let superseded = std::mem::replace(self, other);
                superseded.join_as_before(&mut self.before);
            }
        }
    }

    /// Joins this into the evidence `before` a greater group. Its own `before` is lower still and falls away.
    fn join_as_before(self, place: &mut Option<Box<Before>>) {
        let Self { precedence, created, rivals, before: _ } = self;
        let evidence = |(id, snapshot): (EventId, Snapshot<F>)| {
            let Snapshot { facts: _, evidence } = snapshot;
            (id, evidence)
        };
        let rivals = rivals.into_iter().map(evidence).collect();
        Before { precedence, created, rivals }.join_into(place);
    }

    /// Precedence of the latest snapshots.
    pub fn precedence(&self) -> Precedence {
        self.precedence
    }

    /// Second of the latest snapshots.
    pub fn created(&self) -> StripeTime {
        self.created
    }

    /// Facts of the latest snapshots.
    pub fn facts(&self) -> impl Iterator<Item = &F> {
        self.rivals.iter().map(|(_, snapshot)| &snapshot.facts)
    }

    /// Computes the digests that were put off, and drops the bodies.
    pub fn materialize(&mut self) {
        let Self { precedence: _, created: _, rivals, before } = self;
        for (_, snapshot) in rivals {
            snapshot.evidence.digest.materialize();
        }
        for (_, evidence) in before.iter_mut().flat_map(|before| &mut before.rivals) {
            evidence.digest.materialize();
        }
    }

    /// Events that may have been the last, for a later second that starts from them.
    pub fn last_candidates(&self) -> Vec<&Evidence> {
        last_candidates(&self.evidence())
    }

    /// The snapshot that counts as the latest.
    pub fn winner(&self) -> Winner<'_, F> {
        let (last, is_ambiguous) = if self.rivals.len() == 1 {
            (0, false)
        } else {
            let (last, contenders) = self.last_and_contenders();
            (last, !contenders.is_empty())
        };
        let (event_id, Snapshot { facts, evidence }) = &self.rivals[last];
        Winner {
            event_id,
            created: self.created,
            precedence: self.precedence,
            facts,
            api_version: evidence.api_version.as_deref(),
            is_ambiguous,
            is_observed: false,
        }
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
        possible.into_iter().map(|at| self.alone(at)).collect()
    }

    /// Groups that this one might be if a status were no evidence of the order: each event with other facts that only
    /// its status puts before the last one, at most `max`.
    pub fn outcomes_against_status(&self, max: usize) -> Vec<Self> {
        if self.rivals.len() == 1 {
            return Vec::new();
        }
        let (last, _) = self.last_and_contenders();
        let (rivals, start) = (self.evidence(), self.start());
        let is_by_status =
            |at: &usize| order::tie_break(&rivals, &start, *at, last) == TieBreak::Status;
        let others = (0..self.rivals.len()).filter(|at| self.facts_at(*at) != self.facts_at(last));
        others.filter(is_by_status).take(max).map(|at| self.alone(at)).collect()
    }

    /// Group of one of the rivals alone.
    fn alone(&self, at: usize) -> Self {
        let rivals = vec![self.rivals[at].clone()];
        Self { precedence: self.precedence, created: self.created, rivals, before: None }
    }

    /// The index of the winner, and those of the other candidates with other facts.
    fn last_and_contenders(&self) -> (usize, Vec<usize>) {
        let Sequence { order, other_last_candidates } = self.sequence();
        let last = *order.last().expect("a group is never empty");
        let differs = |at: &usize| self.facts_at(*at) != self.facts_at(last);
        (last, other_last_candidates.into_iter().filter(differs).collect())
    }

    fn sequence(&self) -> Sequence {
        order::sequence(&self.evidence(), &self.start())
    }

    fn evidence(&self) -> Vec<order::Rival<'_>> {
        self.rivals.iter().map(|(id, snapshot)| (id, &snapshot.evidence)).collect()
    }

    /// Events that may have been the last before this second.
    fn start(&self) -> Vec<&Evidence> {
        // An echo may carry any earlier state. A lower precedence may have a later second.
        let before = self.before.as_ref();
        let before =
            before.filter(|it| it.precedence != Precedence::Echo && it.created < self.created);
        before.map(|it| it.last_candidates()).unwrap_or_default()
    }

    fn facts_at(&self, at: usize) -> &F {
        &self.rivals[at].1.facts
    }
}
