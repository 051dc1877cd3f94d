//! Walks through a second: rows of its events in which each starts from the state that the one before left.
//!
//! States are the nodes and events are the edges between them, so a row of all events is a walk over all edges.
//! All such walks from one state end in the same state, in whatever order they pass through cycles. If an event
//! is missing, there is no such walk, and the rows with the fewest gaps count. If those end in different
//! states, the last event is ambiguous.
//!
//! There is a limit to this evidence: if the events that are left after a loss form a whole walk, nothing
//! distinguishes it from the true one. (Cancelled, resumed and cancelled, of which the first is lost, looks
//! like cancelled and resumed, whether the first was in this second or before.)

use std::borrow::Cow;

use super::{Evidence, LifecyclePhase, Rival, Sequence};
use crate::projection::lazy_digest::EventDigests;

/// Maximum number of events for which walks are searched. Time and memory double with each; in practice there
/// are two or three.
const EVENTS_MAX: usize = 12;
/// Number of gaps that stands for "impossible".
const IMPOSSIBLE: u8 = u8::MAX;

/// The order by a walk with the fewest gaps from one of the states in `start`, and the other ends of such
/// walks. None if no state to start from is known, or if there is a gap and an event does not say from which
/// state it started.
pub(super) fn sequence(rivals: &[Rival<'_>], start: &[&Evidence]) -> Option<Sequence> {
    let is_new = rivals.iter().any(|(_, it)| it.phase == LifecyclePhase::Created);
    if rivals.len() > EVENTS_MAX || (start.is_empty() && !is_new) {
        return None;
    }
    let events: Vec<Event<'_>> = rivals.iter().map(|(_, it)| Event::new(it)).collect();
    let start: Vec<Event<'_>> = start.iter().map(|it| Event::new(it)).collect();
    let walks = Walks::search(&events, &start, is_new);
    let fewest = *walks.gaps[walks.all()].iter().min()?;
    if fewest == IMPOSSIBLE || (fewest > 0 && !have_known_starts(&events, &start)) {
        return None;
    }
    let greatest = |some: &mut dyn Iterator<Item = usize>| {
        some.max_by_key(|at| (rivals[*at].1.rank, rivals[*at].0))
    };
    let mut used = walks.all();
    let last = greatest(&mut walks.ends(used, fewest))?;
    let other_last_candidates = walks.ends(used, fewest).filter(|end| *end != last).collect();
    // Back from the end, one event at a time.
    let (mut order, mut gaps_left) = (vec![last], fewest);
    loop {
        let later = order[order.len() - 1];
        used &= !(1 << later);
        let leads_here = |at: &usize| {
            let gap = walks.gap_between[*at][later];
            let gaps = walks.gaps[used][*at];
            gap != IMPOSSIBLE && gaps != IMPOSSIBLE && gaps + gap == gaps_left
        };
        let Some(earlier) = greatest(&mut (0..rivals.len()).filter(leads_here)) else { break };
        gaps_left = walks.gaps[used][earlier];
        order.push(earlier);
    }
    order.reverse();
    Some(Sequence { order, other_last_candidates })
}

/// Event with its digests, computed once.
struct Event<'a> {
    phase: LifecyclePhase,
    api_version: Option<&'a str>,
    digests: Cow<'a, EventDigests>,
}

impl<'a> Event<'a> {
    fn new(evidence: &'a Evidence) -> Self {
        let Evidence { phase, rank: _, api_version, digest } = evidence;
        Self { phase: *phase, api_version: api_version.as_deref(), digests: digest.get() }
    }

    /// True if the event says from which state it started.
    fn has_start(&self) -> bool {
        self.phase != LifecyclePhase::Changed || self.digests.previous.is_some()
    }

    /// True if this event left the state from which a later one started. A deletion starts from any state.
    fn is_right_before(&self, later: &Self) -> bool {
        if self.phase == LifecyclePhase::Deleted || later.phase == LifecyclePhase::Created {
            return false;
        }
        if later.phase == LifecyclePhase::Deleted {
            return true;
        }
        let EventDigests { object: Some(object), previous } = &*later.digests else { return false };
        let is_same_version = self.api_version == later.api_version;
        let before = self.digests.object.as_ref();
        before.is_some_and(|it| it.is_state_before(object, previous.as_ref(), is_same_version))
    }
}

/// True if each event starts from a known state: it says so, or another event left an equal one.
fn have_known_starts(rivals: &[Event<'_>], start: &[Event<'_>]) -> bool {
    rivals.iter().all(|b| {
        // Events without a start may have equal objects, which says nothing about where they started.
        let mut known = rivals.iter().filter(|a| a.has_start()).chain(start);
        b.has_start() || known.any(|a| a.is_right_before(b))
    })
}

/// Set of events, as bits by their indexes.
type Set = usize;

struct Walks {
    /// By two events: 0 if the second started from the state that the first left, 1 if something is missing
    /// between them.
    gap_between: Vec<Vec<u8>>,
    /// By the set of events that a walk uses and the event that it ends with: the fewest gaps.
    gaps: Vec<Vec<u8>>,
}

impl Walks {
    fn search(rivals: &[Event<'_>], start: &[Event<'_>], is_new: bool) -> Self {
        let count = rivals.len();
        let gap = |a: &Event<'_>, b: &Event<'_>| match (a.phase, b.phase) {
            (LifecyclePhase::Deleted, _) | (_, LifecyclePhase::Created) => IMPOSSIBLE,
            _ => u8::from(!a.is_right_before(b)),
        };
        let gap_between: Vec<Vec<u8>> =
            rivals.iter().map(|a| rivals.iter().map(|b| gap(a, b)).collect()).collect();
        let gap_before = |b: &Event<'_>| match b.phase {
            LifecyclePhase::Created => 0,
            _ if is_new => IMPOSSIBLE,
            _ => u8::from(!start.iter().any(|a| a.is_right_before(b))),
        };
        let mut gaps = vec![vec![IMPOSSIBLE; count]; 1 << count];
        for at in 0..count {
            gaps[1 << at][at] = gap_before(&rivals[at]);
        }
        for used in 1..gaps.len() {
            for last in (0..count).filter(|at| used & 1 << at != 0) {
                let so_far = gaps[used][last];
                if so_far == IMPOSSIBLE {
                    continue;
                }
                for next in (0..count).filter(|at| used & 1 << at == 0) {
                    let more = gap_between[last][next];
                    if more != IMPOSSIBLE {
                        let known = &mut gaps[used | 1 << next][next];
                        *known = (*known).min(so_far + more);
                    }
                }
            }
        }
        Self { gap_between, gaps }
    }

    fn all(&self) -> Set {
        self.gaps.len() - 1
    }

    /// Events that a walk over all of these may end with, with so many gaps.
    fn ends(&self, used: Set, gaps: u8) -> impl Iterator<Item = usize> {
        let ends = self.gaps[used].iter().enumerate();
        ends.filter(move |(_, found)| **found == gaps).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EventId;
    use crate::projection::lazy_digest::LazyDigest;

    fn event(phase: LifecyclePhase, object: &str, previous: &str) -> Evidence {
        let digest = LazyDigest::from_object(object, Some(previous));
        Evidence { phase, rank: 1, api_version: None, digest }
    }

    /// A change of `n`, from one number to another.
    fn change(from: u8, to: u8) -> Evidence {
        event(LifecyclePhase::Changed, &format!(r#"{{"n":{to}}}"#), &format!(r#"{{"n":{from}}}"#))
    }

    /// The order of these events by their letters, and the letters of the other ends.
    fn walk(start: &[u8], events: &[Evidence]) -> Option<(String, String)> {
        let ids: Vec<EventId> =
            ('a'..='z').take(events.len()).map(|c| EventId::new(c.to_string())).collect();
        let rivals: Vec<_> = ids.iter().zip(events).collect();
        let start: Vec<_> = start.iter().map(|n| change(99, *n)).collect();
        let found = sequence(&rivals, &start.iter().collect::<Vec<_>>())?;
        let names = |some: &[usize]| some.iter().map(|at| ids[*at].as_str()).collect::<String>();
        Some((names(&found.order), names(&found.other_last_candidates)))
    }

    /// An order that nothing contests.
    #[expect(clippy::unnecessary_wraps, reason = "it is compared with what may be none")]
    fn certain(order: &str) -> Option<(String, String)> {
        Some((order.to_owned(), String::new()))
    }

    #[test]
    fn the_state_before_a_second_decides_a_value_that_came_back_within_it() {
        let there_and_back = [change(2, 1), change(1, 2)];
        assert_eq!(walk(&[1], &there_and_back), certain("ba"));
        assert_eq!(walk(&[2], &there_and_back), certain("ab"));
        let eight = [change(3, 1), change(1, 3), change(1, 2), change(2, 1), change(1, 4)];
        let (order, others) = walk(&[1], &eight).unwrap();
        assert!(order.ends_with('e') && others.is_empty(), "{order}");
    }

    #[test]
    fn without_a_state_to_start_from_or_of_too_many_events_there_is_no_walk() {
        assert_eq!(walk(&[], &[change(2, 1), change(1, 2)]), None);
        let many: Vec<_> = (1..=13).map(|n| change(n, n + 1)).collect();
        assert_eq!(walk(&[1], &many), None);
        assert_eq!(walk(&[1], &many[..12]).unwrap().0, "abcdefghijkl");
    }

    #[test]
    fn where_an_event_is_missing_the_fewest_gaps_count_and_ends_that_differ_are_in_doubt() {
        // 1 to 2 is missing: whichever came first, something is.
        let (_, others) = walk(&[1], &[change(3, 4), change(4, 3)]).unwrap();
        assert_eq!(others.len(), 1);
        // 2 to 3 is missing, or what led to 3: both leave one gap.
        let (_, others) = walk(&[1], &[change(1, 2), change(3, 1)]).unwrap();
        assert_eq!(others.len(), 1);
        // Here the other way round leaves two.
        assert_eq!(walk(&[1], &[change(3, 4), change(1, 2)]), certain("ba"));
        assert_eq!(walk(&[1], &[change(4, 5), change(3, 4)]), certain("ba"));
        // Nothing says what the second one changed.
        let silent = event(LifecyclePhase::Changed, r#"{"n":5}"#, "");
        assert_eq!(walk(&[1], &[change(1, 2), silent]), None);
    }

    #[test]
    fn of_several_states_before_each_that_leads_through_the_second_counts() {
        let there_and_back = [change(2, 1), change(1, 2)];
        assert_eq!(walk(&[1, 3], &there_and_back), certain("ba"));
        let (_, others) = walk(&[1, 2], &there_and_back).unwrap();
        assert_eq!(others.len(), 1);
    }

    #[test]
    fn a_creation_comes_first_a_deletion_last_and_a_reminder_changes_nothing() {
        let created = event(LifecyclePhase::Created, r#"{"n":1}"#, "");
        let reminder = event(LifecyclePhase::Changed, r#"{"n":2}"#, "");
        let deleted = event(LifecyclePhase::Deleted, r#"{"n":9}"#, "");
        let events = [deleted, change(2, 1), reminder, change(1, 2), created];
        let (order, others) = walk(&[], &events).unwrap();
        assert!(order.starts_with('e') && order.ends_with('a') && others.is_empty(), "{order}");
        assert_eq!(&order, "edcba");
    }
}
