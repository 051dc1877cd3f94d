//! Latest snapshot of one object: of its events, or as Stripe's API showed it later. A join.
//!
//! An observation ranks below every event of the same second, because it may have been made before or after each of
//! them. It is neither a rival of events nor the state before them: it may contain the changes of events that happened
//! a second later. So events are ordered as if there were no observation.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::group::{Group, Precedence, Snapshot, Winner};
use super::order::Evidence;
use crate::ids::EventId;
use crate::time::StripeTime;

/// Latest snapshot of one object. At least one of the parts is present.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest<F> {
    /// The latest events.
    events: Option<Group<F>>,
    /// The observations of the latest second that is later than the events, sorted by id. The log holds one of each
    /// object and second; nothing orders several.
    observed: Vec<Observed<F>>,
    /// The first observation that the object is gone, unless a snapshot says that it has ended. The facts of the last
    /// snapshot stay, because such an observation has hardly any.
    gone: Option<Box<Observed<F>>>,
}

/// Object as the API showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Observed<F> {
    precedence: Precedence,
    /// Second in which the request began.
    created: StripeTime,
    /// Id of the observation.
    event_id: EventId,
    api_version: Option<String>,
    facts: F,
}

impl<F> Observed<F> {
    fn rank(&self) -> (Precedence, StripeTime) {
        (self.precedence, self.created)
    }

    fn winner(&self) -> Winner<'_, F> {
        let Self { precedence, created, event_id, api_version, facts } = self;
        Winner {
            event_id,
            created: *created,
            precedence: *precedence,
            facts,
            api_version: api_version.as_deref(),
            is_ambiguous: false,
            is_observed: true,
        }
    }
}

impl<F: Clone + PartialEq> Latest<F> {
    /// Snapshot of one event.
    pub fn of_event(
        precedence: Precedence,
        created: StripeTime,
        event_id: EventId,
        snapshot: Snapshot<F>,
    ) -> Self {
        let group = Group::new(precedence, created, event_id, snapshot);
        Self { events: Some(group), observed: Vec::new(), gone: None }
    }

    /// Object as the API showed it, or its absence.
    pub fn of_observation(
        precedence: Precedence,
        created: StripeTime,
        event_id: EventId,
        api_version: Option<String>,
        (facts, is_gone): (F, bool),
    ) -> Self {
        let observed = Observed { precedence, created, event_id, api_version, facts };
        if is_gone {
            return Self { events: None, observed: Vec::new(), gone: Some(Box::new(observed)) };
        }
        Self { events: None, observed: vec![observed], gone: None }
    }

    /// Joins another one in. Commutative, associative and idempotent.
    pub fn join(&mut self, other: Self) {
        let Self { events, observed, gone } = other;
        match (&mut self.events, events) {
            (Some(present), Some(group)) => present.join(group),
            (place @ None, group) => *place = group,
            (Some(_), None) => {}
        }
        for it in observed {
            self.join_observed(it);
        }
        let first = |gone: &Observed<F>| (gone.created, gone.event_id.clone());
        if let Some(gone) = gone
            && self.gone.as_ref().is_none_or(|present| first(&gone) < first(present))
        {
            self.gone = Some(gone);
        }
        self.drop_outranked();
    }

    fn join_observed(&mut self, observed: Observed<F>) {
        match self.observed.first().map(|present| observed.rank().cmp(&present.rank())) {
            Some(Ordering::Less) => {}
            Some(Ordering::Equal) => {
                let place =
                    self.observed.binary_search_by(|it| it.event_id.cmp(&observed.event_id));
                if let Err(place) = place {
                    self.observed.insert(place, observed);
                }
            }
            Some(Ordering::Greater) | None => self.observed = vec![observed],
        }
    }

    /// Drops what can never count again, because events only become later and nothing revives an ended object.
    fn drop_outranked(&mut self) {
        if let (Some(group), Some(observed)) = (&self.events, self.observed.first())
            && (group.precedence(), group.created()) >= observed.rank()
        {
            self.observed.clear();
        }
        if self.snapshot().is_some_and(|it| it.precedence == Precedence::Terminal) {
            self.gone = None;
        }
    }

    /// True if nothing is known but that the object is gone.
    pub fn is_gone(&self) -> bool {
        self.events.is_none() && self.observed.is_empty()
    }

    /// Precedence of the latest snapshot.
    pub fn precedence(&self) -> Precedence {
        self.winner().precedence
    }

    /// Second of the latest snapshot.
    pub fn created(&self) -> StripeTime {
        self.winner().created
    }

    /// Facts of the latest snapshots: of all events that may be the latest, and of the observations.
    pub fn facts(&self) -> impl Iterator<Item = &F> {
        let gone = self.gone.iter().map(|it| &**it);
        let observed = self.observed.iter().chain(gone).map(|it| &it.facts);
        self.events.iter().flat_map(Group::facts).chain(observed)
    }

    /// Computes the digests that were put off, and drops the bodies.
    pub fn materialize(&mut self) {
        let Self { events, observed: _, gone: _ } = self;
        events.iter_mut().for_each(Group::materialize);
    }

    /// Events that may have been the last, for a later second that starts from them.
    pub fn last_candidates(&self) -> Vec<&Evidence> {
        self.events.iter().flat_map(Group::last_candidates).collect()
    }

    /// The snapshot that counts as the latest.
    pub fn winner(&self) -> Winner<'_, F> {
        match (self.snapshot(), &self.gone) {
            (Some(snapshot), None) => snapshot,
            (Some(snapshot), Some(gone)) => Winner {
                facts: snapshot.facts,
                is_ambiguous: snapshot.is_ambiguous,
                ..gone.winner()
            },
            (None, Some(gone)) => gone.winner(),
            (None, None) => unreachable!("a snapshot is of an event or of an observation"),
        }
    }

    /// The latest snapshot of the object while it was there.
    fn snapshot(&self) -> Option<Winner<'_, F>> {
        let Some((last, others)) = self.observed.split_last() else {
            return self.events.as_ref().map(Group::winner);
        };
        let is_ambiguous = others.iter().any(|other| other.facts != last.facts);
        Some(Winner { is_ambiguous, ..last.winner() })
    }

    /// Snapshots that this one might be if the last event were known, at most `max`. One or none if nothing is
    /// ambiguous.
    pub fn possible_outcomes(&self, max: usize) -> Vec<Self> {
        let outcome = |events, observed| Self { events, observed, gone: self.gone.clone() };
        if self.observed.is_empty() {
            let outcomes = self.events.iter().flat_map(|group| group.possible_outcomes(max));
            return outcomes.map(|group| outcome(Some(group), Vec::new())).collect();
        }
        let mut possible: Vec<&Observed<F>> = Vec::new();
        for observed in self.observed.iter().rev() {
            if possible.len() < max && possible.iter().all(|it| it.facts != observed.facts) {
                possible.push(observed);
            }
        }
        possible.into_iter().map(|it| outcome(None, vec![it.clone()])).collect()
    }

    /// Snapshots that this one might be if a status were no evidence of the order of events, at most `max`.
    pub fn outcomes_against_status(&self, max: usize) -> Vec<Self> {
        let events = self.events.iter().filter(|_| self.observed.is_empty());
        let groups = events.flat_map(|group| group.outcomes_against_status(max));
        let outcome =
            |group| Self { events: Some(group), observed: Vec::new(), gone: self.gone.clone() };
        groups.map(outcome).collect()
    }
}

/// Joins a snapshot into a place that may be empty.
pub fn join_into<F: Clone + PartialEq>(place: &mut Option<Latest<F>>, latest: Latest<F>) {
    match place {
        Some(present) => present.join(latest),
        None => *place = Some(latest),
    }
}
