//! Findings about a customer: changes that the API shows and the ledger does not have.

use super::evidence::ListedEvent;
use super::fields::{FieldDifference, OF_CUSTOMER};
use crate::projection::group::Precedence;
use crate::projection::novelty::Novelty;
use crate::projection::state::{CustomerState, StateChange};

/// Events of a customer that are kept, at most, for the reasons. All of them are folded.
const EVENTS_KEPT: usize = 200;
/// Observations of a customer that are kept, at most.
const OBSERVATIONS_KEPT: usize = 2_000;

/// Findings about a customer: changes that the API shows and the ledger does not have.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// Listed events that were never delivered, folded.
    missed: CustomerState,
    /// The latest of them; the newest first.
    pub(super) missed_events: Vec<ListedEvent>,
    /// Listed events that are too young to be missed, folded.
    young: CustomerState,
    /// The latest of them; the newest first.
    pub(super) young_events: Vec<ListedEvent>,
    /// Observations that say something new.
    pub(super) observed: Vec<StateChange>,
}

impl Found {
    /// Adds a listed event that the log does not have. False if it was added before.
    pub(super) fn add_event(
        &mut self,
        event: ListedEvent,
        is_young: bool,
        change: StateChange,
    ) -> bool {
        let (state, events) = if is_young {
            (&mut self.young, &mut self.young_events)
        } else {
            (&mut self.missed, &mut self.missed_events)
        };
        state.apply(change);
        // Else the bodies of all events would stay in memory.
        state.materialize();
        if events.iter().any(|it| it.id == event.id) {
            return false;
        }
        let place = events.partition_point(|it| it.created >= event.created);
        events.insert(place, event);
        events.truncate(EVENTS_KEPT);
        true
    }

    /// Adds an observation that says something new.
    pub(super) fn add_observation(&mut self, change: StateChange) {
        if self.observed.len() < OBSERVATIONS_KEPT {
            self.observed.push(change);
        }
    }

    /// Ids of the schedules and sessions that were observed and may change these fields.
    pub(super) fn observed_ids(&self, fields: &[FieldDifference]) -> impl Iterator<Item = &str> {
        let is_of_customer = fields.iter().any(|it| OF_CUSTOMER.contains(&it.field.as_str()));
        self.observed.iter().filter_map(move |change| match change {
            StateChange::Schedule(id, _) => Some(id.as_str()),
            StateChange::Session(id, _) if is_of_customer => Some(id.as_str()),
            _ => None,
        })
    }

    /// States of the customer with the missed events, with all events, and with all that the API shows.
    pub(super) fn outcomes(&self, known: &CustomerState) -> [CustomerState; 3] {
        let mut with_missed = known.clone();
        with_missed.join(self.missed.clone());
        let mut with_events = with_missed.clone();
        with_events.join(self.young.clone());
        let mut healed = with_events.clone();
        for change in &self.observed {
            // As the healing appends it: after the events, and if it still says something new.
            if healed.novelty(change) == Novelty::New {
                healed.apply(change.clone());
            }
        }
        [with_missed, with_events, healed]
    }
}

/// True if the customer is known to be deleted.
pub(super) fn is_deleted(state: &CustomerState) -> bool {
    state.customer.as_ref().is_some_and(|it| it.precedence() == Precedence::Terminal)
}
