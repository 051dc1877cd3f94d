//! Walks through a second: rows of its events in which each starts from the state that the one before left.
//!
//! States are the places and events are the ways between them, so a row that uses every event is a walk
//! over all ways. All such walks from one state end in one state, in whatever order they pass through the
//! circles on their way. Where an event is missing there is no such walk, and rows with the fewest gaps count:
//! if they end differently, nobody knows.
//!
//! This is evidence only as far as it goes. Where the events that are left after a loss make a whole walk of
//! their own, nothing tells it from the true one. (Cancelled, resumed and cancelled, of which the first is
//! lost, looks like cancelled and resumed, whether the first was in this second or in one before.)

use std::borrow::Cow;

use super::{Evidence, LifecyclePhase, Rival, Sequence};
use crate::projection::lazy_digest::EventDigests;

/// Events of one object in one second for which walks are looked for; there are two or three in real life,
/// and the search takes time and memory that doubles with each.
const EVENTS_MAX: usize = 12;
/// Number of gaps that stands for "impossible".
const NEVER: u8 = u8::MAX;

/// The order by a walk with the fewest gaps from one of these states, and the other ends of such walks. None
/// where no state is known to start from, or where there is a gap and an event does not say from which state
/// it started.
pub(super) fn sequence(rivals: &[Rival<'_>], start: &[&Evidence]) -> Option<Sequence> {
    let is_new = rivals.iter().any(|(_, it)| it.phase == LifecyclePhase::Created);
    if rivals.len() > EVENTS_MAX || (start.is_empty() && !is_new) {
        return None;
    }
    let told: Vec<Told<'_>> = rivals.iter().map(|(_, it)| Told::of(it)).collect();
    let start: Vec<Told<'_>> = start.iter().map(|it| Told::of(it)).collect();
    let walks = Walks::search(&told, &start, is_new);
    let fewest = *walks.gaps[walks.all()].iter().min()?;
    if fewest == NEVER || (fewest > 0 && !all_say_their_start(&told, &start)) {
        return None;
    }
    let greatest = |some: &mut dyn Iterator<Item = usize>| {
        some.max_by_key(|at| (rivals[*at].1.rank, rivals[*at].0))
    };
    let mut used = walks.all();
    let last = greatest(&mut walks.ends(used, fewest))?;
    let other_last_candidates = walks.ends(used, fewest).filter(|end| *end != last).collect();
    let (mut order, mut left) = (vec![last], fewest);
    loop {
        let later = order[order.len() - 1];
        used &= !(1 << later);
        let leads_here = |at: &usize| {
            let gap = walks.gap_between[*at][later];
            gap != NEVER && walks.gaps[used][*at] != NEVER && walks.gaps[used][*at] + gap == left
        };
        let Some(earlier) = greatest(&mut (0..rivals.len()).filter(leads_here)) else { break };
        left = walks.gaps[used][earlier];
        order.push(earlier);
    }
    order.reverse();
    Some(Sequence { order, other_last_candidates })
}

/// An event and its leaves, which are read once.
struct Told<'a> {
    phase: LifecyclePhase,
    api_version: Option<&'a str>,
    digests: Cow<'a, EventDigests>,
}

impl<'a> Told<'a> {
    fn of(evidence: &'a Evidence) -> Self {
        let api_version = evidence.api_version.as_deref();
        Self { phase: evidence.phase, api_version, digests: evidence.digest.get() }
    }

    /// True if it says from which state it started.
    fn says_its_start(&self) -> bool {
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

/// True if each event says from which state it started: by what changed, or because it left a state that is
/// known from another.
fn all_say_their_start(rivals: &[Told<'_>], start: &[Told<'_>]) -> bool {
    rivals.iter().all(|b| {
        // Silent events that say the same do not say where they started.
        let mut known = rivals.iter().filter(|a| a.says_its_start()).chain(start);
        b.says_its_start() || known.any(|a| a.is_right_before(b))
    })
}

/// Sets of events are bits by their indexes.
type Set = usize;

struct Walks {
    /// By two events: 0 where the second started from the state that the first left, 1 where something is
    /// missing between them.
    gap_between: Vec<Vec<u8>>,
    /// By the set of events that a walk uses and the one that it ends with: the fewest gaps.
    gaps: Vec<Vec<u8>>,
}

impl Walks {
    fn search(rivals: &[Told<'_>], start: &[Told<'_>], is_new: bool) -> Self {
        let count = rivals.len();
        let gap = |a: &Told<'_>, b: &Told<'_>| match (a.phase, b.phase) {
            (LifecyclePhase::Deleted, _) | (_, LifecyclePhase::Created) => NEVER,
            _ => u8::from(!a.is_right_before(b)),
        };
        let gap_between: Vec<Vec<u8>> =
            rivals.iter().map(|a| rivals.iter().map(|b| gap(a, b)).collect()).collect();
        let gap_before = |b: &Told<'_>| match b.phase {
            LifecyclePhase::Created => 0,
            _ if is_new => NEVER,
            _ => u8::from(!start.iter().any(|a| a.is_right_before(b))),
        };
        let mut gaps = vec![vec![NEVER; count]; 1 << count];
        for at in 0..count {
            gaps[1 << at][at] = gap_before(&rivals[at]);
        }
        for used in 1..gaps.len() {
            for last in (0..count).filter(|at| used & 1 << at != 0) {
                let so_far = gaps[used][last];
                if so_far == NEVER {
                    continue;
                }
                for next in (0..count).filter(|at| used & 1 << at == 0) {
                    let more = gap_between[last][next];
                    if more != NEVER {
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

    /// The events that a walk over all of these may end with, with so many gaps.
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
