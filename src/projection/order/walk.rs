//! Walks through a second: rows of its events in which each starts from the state that the one before left.
//!
//! States are the places and events are the ways between them, so a row that uses every event is a walk
//! over all ways. Where such walks start in one state, they end in one state, whichever way round they
//! take their circles. A walk is evidence only as far as all events of the second are here: one that was
//! lost and led from the end of the walk to where another event ended cannot be noticed.

use super::{Evidence, Phase, Rival, Sequence};

/// Events of one object in one second for which walks are looked for; there are two or three in real life,
/// and the search takes time and memory that doubles with each.
const EVENTS_MAX: usize = 12;

/// The order by a walk that starts from one of these states, and the other ends of such walks. None where no
/// walk uses every event.
pub(super) fn sequence(rivals: &[Rival<'_>], start: &[&Evidence]) -> Option<Sequence> {
    if rivals.len() > EVENTS_MAX {
        return None;
    }
    let walks = Walks::search(rivals, start);
    let greatest = |some: &mut dyn Iterator<Item = usize>| {
        some.max_by_key(|at| (rivals[*at].1.rank, rivals[*at].0))
    };
    let mut used = walks.all();
    let last = greatest(&mut walks.ends(used))?;
    let might_be_last = walks.ends(used).filter(|end| *end != last).collect();
    let mut order = vec![last];
    loop {
        let later = order[order.len() - 1];
        used &= !(1 << later);
        let mut earlier = walks.ends(used).filter(|at| walks.follows[later] & 1 << at != 0);
        match greatest(&mut earlier) {
            Some(at) => order.push(at),
            None => break,
        }
    }
    order.reverse();
    Some(Sequence { order, might_be_last })
}

/// Sets of events are bits by their indexes.
type Set = usize;

struct Walks {
    /// By event: those that it may follow.
    follows: Vec<Set>,
    /// By the set of events that a walk uses: those that it may end with.
    ends: Vec<Set>,
}

impl Walks {
    fn search(rivals: &[Rival<'_>], start: &[&Evidence]) -> Self {
        let count = rivals.len();
        let set = |holds: &dyn Fn(usize) -> bool| -> Set {
            (0..count).filter(|at| holds(*at)).map(|at| 1 << at).sum()
        };
        let follows: Vec<Set> = (0..count)
            .map(|b| set(&|a| a != b && is_right_before(rivals[a].1, rivals[b].1)))
            .collect();
        let is_new = rivals.iter().any(|(_, it)| it.phase == Phase::Created);
        let first = set(&|at| match rivals[at].1 {
            it if is_new => it.phase == Phase::Created,
            it => start.iter().any(|before| is_right_before(before, it)),
        });
        let mut ends = vec![0; 1 << count];
        for at in (0..count).filter(|at| first & 1 << at != 0) {
            ends[1 << at] = 1 << at;
        }
        for used in 1..ends.len() {
            if ends[used] == 0 {
                continue;
            }
            for (next, may_follow) in follows.iter().enumerate() {
                if used & 1 << next == 0 && may_follow & ends[used] != 0 {
                    ends[used | 1 << next] |= 1 << next;
                }
            }
        }
        Self { follows, ends }
    }

    fn all(&self) -> Set {
        self.ends.len() - 1
    }

    /// The events that a walk over all of these may end with.
    fn ends(&self, used: Set) -> impl Iterator<Item = usize> {
        let ends = self.ends[used];
        (0..self.follows.len()).filter(move |at| ends & 1 << at != 0)
    }
}

/// Whether an event left the state from which a later one started. A deletion starts from any state.
fn is_right_before(a: &Evidence, b: &Evidence) -> bool {
    if a.phase == Phase::Deleted || b.phase == Phase::Created {
        return false;
    }
    if b.phase == Phase::Deleted {
        return true;
    }
    let (a_leaves, b_leaves) = (a.leaves.leaves(), b.leaves.leaves());
    let (Some(before), Some(later)) = (&a_leaves.object, &b_leaves.object) else { return false };
    before.is_what_was(later, b_leaves.previous.as_ref(), a.api_version == b.api_version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::EventId;
    use crate::projection::late::LateLeaves;

    fn event(phase: Phase, object: &str, previous: &str) -> Evidence {
        let leaves = LateLeaves::of(object, Some(previous));
        Evidence { phase, rank: 1, api_version: None, leaves }
    }

    /// A change of `n`, from one number to another.
    fn change(from: u8, to: u8) -> Evidence {
        event(Phase::Changed, &format!(r#"{{"n":{to}}}"#), &format!(r#"{{"n":{from}}}"#))
    }

    /// The order of these events by their letters, and the letters of the other ends.
    fn walk(start: &[u8], events: &[Evidence]) -> Option<(String, String)> {
        let ids: Vec<EventId> =
            ('a'..='z').take(events.len()).map(|c| EventId::new(c.to_string())).collect();
        let rivals: Vec<_> = ids.iter().zip(events).collect();
        let start: Vec<_> = start.iter().map(|n| change(99, *n)).collect();
        let found = sequence(&rivals, &start.iter().collect::<Vec<_>>())?;
        let names = |some: &[usize]| some.iter().map(|at| ids[*at].as_str()).collect::<String>();
        Some((names(&found.order), names(&found.might_be_last)))
    }

    #[test]
    fn the_state_before_a_second_decides_a_value_that_came_back_within_it() {
        let there_and_back = [change(2, 1), change(1, 2)];
        assert_eq!(walk(&[1], &there_and_back), Some(("ba".into(), "".into())));
        assert_eq!(walk(&[2], &there_and_back), Some(("ab".into(), "".into())));
        let eight = [change(3, 1), change(1, 3), change(1, 2), change(2, 1), change(1, 4)];
        let (order, others) = walk(&[1], &eight).unwrap();
        assert!(order.ends_with('e') && others.is_empty(), "{order}");
    }

    #[test]
    fn without_a_state_to_start_from_or_with_a_missing_event_there_is_no_walk() {
        let there_and_back = [change(2, 1), change(1, 2)];
        assert_eq!(walk(&[], &there_and_back), None);
        assert_eq!(walk(&[3], &there_and_back), None);
        assert_eq!(walk(&[1], &[change(1, 2), change(3, 4)]), None);
        let too_many: Vec<_> = (1..=13).map(|n| change(n, n + 1)).collect();
        assert_eq!(walk(&[1], &too_many), None);
        assert_eq!(walk(&[1], &too_many[..12]).unwrap().0, "abcdefghijkl");
    }

    #[test]
    fn of_several_states_before_each_that_leads_through_the_second_counts() {
        let there_and_back = [change(2, 1), change(1, 2)];
        assert_eq!(walk(&[1, 3], &there_and_back), Some(("ba".into(), "".into())));
        let (_, others) = walk(&[1, 2], &there_and_back).unwrap();
        assert_eq!(others.len(), 1);
    }

    #[test]
    fn a_creation_comes_first_a_deletion_last_and_a_reminder_changes_nothing() {
        let created = event(Phase::Created, r#"{"n":1}"#, "");
        let reminder = event(Phase::Changed, r#"{"n":2}"#, "");
        let deleted = event(Phase::Deleted, r#"{"n":9}"#, "");
        let events = [deleted, change(2, 1), reminder, change(1, 2), created];
        let (order, others) = walk(&[], &events).unwrap();
        assert!(order.starts_with('e') && order.ends_with('a') && others.is_empty(), "{order}");
        assert_eq!(&order, "edcba");
    }
}
