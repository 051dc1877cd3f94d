//! Tie of a field: the events in the same second as the one that set it, and the evidence of their order.

use serde::Serialize;

use crate::audit::replay::{FoldOutcome, Replay, ReplayStep};
use crate::ids::EventId;
use crate::projection::observe::evidence_for;
use crate::projection::order::{self, Evidence, TieBreak};
use crate::stripe::Envelope;
use crate::time::StripeTime;

/// Events about the same object in the same second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tie {
    /// Other events of the second, each with the evidence of its order.
    pub rivals: Vec<Rival>,
    /// True if nothing shows which was the last, and the row depends on that.
    pub in_doubt: bool,
}

/// Another event of the tie.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rival {
    /// Id of the event.
    pub event_id: EventId,
    /// Evidence of the order between this event and the other.
    #[serde(rename = "settled_by")]
    pub tie_break: TieBreak,
}

/// Last event about an object before a second.
fn last_before(replay: &Replay<'_>, second: StripeTime, object: &str) -> Option<Evidence> {
    let earlier = replay.steps.iter().rev().filter(|step| {
        step.input.logged.facts.created < second && step.folding == FoldOutcome::Folded
    });
    let mut about_it = earlier.filter_map(|step| {
        let envelope = Envelope::parse(step.input.logged.payload.as_deref()?).ok()?;
        let (of, evidence) = evidence_for(&envelope);
        (of == object).then_some(evidence)
    });
    about_it.next()
}

/// Tie of an event. None if no other event of its second is about the same object.
pub(super) fn tie(replay: &Replay<'_>, step: &ReplayStep<'_>) -> Option<Tie> {
    let created = step.input.logged.facts.created;
    let same_second = replay.steps.iter().filter(|other| {
        other.input.logged.facts.created == created && other.folding == FoldOutcome::Folded
    });
    let events: Vec<_> = same_second
        .filter_map(|step| {
            let logged = &step.input.logged;
            let envelope = Envelope::parse(logged.payload.as_deref()?).ok()?;
            let (object, evidence) = evidence_for(&envelope);
            Some((object, &logged.facts.event_id, evidence))
        })
        .collect();
    let own_id = &step.input.logged.facts.event_id;
    let (object, ..) = events.iter().find(|(_, id, _)| *id == own_id)?;
    let rivals: Vec<_> = events
        .iter()
        .filter(|(of, ..)| of == object)
        .map(|(_, id, evidence)| (*id, evidence))
        .collect();
    if rivals.len() < 2 {
        return None;
    }
    // The steps are in canonical order, and so are the rivals.
    let own = rivals.iter().position(|(id, _)| *id == own_id)?;
    let others = (0..rivals.len()).filter(|other| *other != own);
    let before = last_before(replay, created, object);
    let start: Vec<_> = before.iter().collect();
    Some(Tie {
        rivals: others
            .map(|other| Rival {
                event_id: rivals[other].0.clone(),
                tie_break: order::tie_break(&rivals, &start, other.min(own), other.max(own)),
            })
            .collect(),
        in_doubt: replay.rivals.get(own_id).is_some_and(|rivals| !rivals.is_empty()),
    })
}
