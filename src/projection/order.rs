//! Order of the events of one object that share a second.
//!
//! Stripe's `created` has whole seconds, distinct events share one, and Stripe says not to rely on it for
//! order. This procedure finds the order within a second. It works on the whole set of rivals, because a
//! pairwise comparison is not transitive and would let the order of arrival through.
//!
//! 1. **Walks.** The `previous_attributes` of an event, put into its object, give the state that it started
//!    from. If the events form a row in which each starts from the state that the one before left, and the
//!    first from the state before the second (or from nothing, if it is the creation), then that row is what
//!    happened. Only this decides a value that came back within the second (cancelled and resumed): without
//!    the state before, both directions look right. If an event is missing, the rows with the fewest gaps
//!    count. See `order/walk.rs`.
//! 2. **Edges**, if no state before is known or an event does not say what changed: `*.created` before all,
//!    all before `*.deleted`, and A before B if B's `previous_attributes` match A's object. Edges inside a
//!    cycle are dropped. See `order/edges.rs`.
//! 3. From the end: repeatedly take, among the events without a remaining successor, the greatest by
//!    (rank, event id). So the last event is the one of greatest rank that no other is known to follow, and
//!    an id decides only among equals. (Taken from the beginning, an id could decide which of two ranks comes
//!    last.)
//! 4. The other events that may have been last are part of the result, so that the reader can mark what is
//!    ambiguous. If an edge is known to be missing, the rank is a guess and rules no candidate out.
//!
//! Above [`RIVALS_MAX`] events only phase, rank and id count.

mod edges;
mod walk;

use serde::{Deserialize, Serialize};

use self::edges::Edges;
use super::lazy_digest::LazyDigest;
use crate::ids::EventId;

/// Maximum number of rivals that are compared with each other, because time grows with the cube of it. Above
/// it the order is by (phase, rank, event id), and every other event of the last one's phase is a candidate
/// for the last. Stripe takes at most 100 requests a second from an account, so only made-up events have more.
pub const RIVALS_MAX: usize = 128;

/// Phase of an object's life that an event belongs to, by its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LifecyclePhase {
    /// `*.created`: before all others.
    Created,
    /// Any other type.
    Changed,
    /// `*.deleted`: after all others.
    Deleted,
}

impl LifecyclePhase {
    /// The phase that the last word of an event type names.
    pub fn from_event_type(event_type: &str) -> Self {
        match event_type.rsplit('.').next() {
            Some("created") => Self::Created,
            Some("deleted") => Self::Deleted,
            _ => Self::Changed,
        }
    }
}

/// Evidence of an event's place among the events of the same object and second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Created, changed or deleted.
    pub phase: LifecyclePhase,
    /// Progress of the object's status through its life. Equal ranks are no evidence.
    pub rank: u8,
    /// API version that the object is rendered at.
    pub api_version: Option<String>,
    /// Digests of the object and of `previous_attributes`.
    pub digest: LazyDigest,
}

/// Order of some rivals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Indexes of the rivals, from first to last.
    pub order: Vec<usize>,
    /// Indexes of the others that may have been last. With a walk: the other ends of walks. Without one: those
    /// in a cycle of edges with the last; those of its rank (or of any rank, if an edge is missing) without a
    /// successor; or all of them, if different API versions may hide a link.
    pub other_last_candidates: Vec<usize>,
}

/// One event and the evidence of its place.
pub type Rival<'a> = (&'a EventId, &'a Evidence);

/// Puts rivals into order. `start` holds the events that may have been the last before this second; empty if
/// no earlier one is known. The result depends on the sets alone, not on the order of the slices (but for the
/// indexes, which mean the first slice).
pub fn sequence(rivals: &[Rival<'_>], start: &[&Evidence]) -> Sequence {
    if rivals.len() <= 1 {
        let order = (0..rivals.len()).collect();
        return Sequence { order, other_last_candidates: Vec::new() };
    }
    if rivals.len() > RIVALS_MAX {
        return coarse_sequence(rivals);
    }
    let is_link_hidden = do_versions_hide_a_link(rivals);
    if !is_link_hidden && let Some(sequence) = walk::sequence(rivals, start) {
        return sequence;
    }
    let edges = Edges::new(rivals);
    let count = rivals.len();
    let mut taken = vec![false; count];
    let mut order = Vec::with_capacity(count);
    for _ in 0..count {
        let next = (0..count)
            .filter(|a| !taken[*a] && (0..count).all(|b| taken[b] || !edges.before[*a][b]))
            .max_by_key(|a| (rivals[*a].1.rank, rivals[*a].0))
            .expect("without cycles some event has no successor left");
        taken[next] = true;
        order.push(next);
    }
    order.reverse();
    let last = order[count - 1];
    let is_link_missing = edges::is_link_missing(rivals, start);
    let other_last_candidates = (0..count)
        .filter(|a| *a != last)
        .filter(|a| {
            let is_equal = rivals[*a].1.rank == rivals[last].1.rank;
            let has_successor = edges.before[*a].contains(&true);
            let is_comparable = is_equal || is_link_missing;
            is_link_hidden || edges.is_cycle(*a, last) || (is_comparable && !has_successor)
        })
        .collect();
    Sequence { order, other_last_candidates }
}

/// Order of more rivals than are compared with each other.
fn coarse_sequence(rivals: &[Rival<'_>]) -> Sequence {
    let mut order: Vec<usize> = (0..rivals.len()).collect();
    order.sort_unstable_by_key(|at| (rivals[*at].1.phase, rivals[*at].1.rank, rivals[*at].0));
    let others = order.iter().rev().skip(1).copied();
    let last_phase = order.last().map(|last| rivals[*last].1.phase);
    let is_candidate = |at: &usize| Some(rivals[*at].1.phase) == last_phase;
    Sequence { other_last_candidates: others.filter(is_candidate).collect(), order }
}

/// Evidence that decided which of two rivals came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// `*.created` comes before all others, and `*.deleted` after them.
    Type,
    /// A chain of `previous_attributes` leads from the earlier to the later one.
    PreviousAttributes,
    /// The later one has the status that is further along.
    Status,
    /// Nothing else decides, so the event id does, which is chance.
    EventId,
}

/// The evidence that put the rival `earlier` before the rival `later`.
pub fn tie_break(
    rivals: &[Rival<'_>],
    start: &[&Evidence],
    earlier: usize,
    later: usize,
) -> TieBreak {
    let (a, b) = (rivals[earlier].1, rivals[later].1);
    let is_by_type = a.phase == LifecyclePhase::Created || b.phase == LifecyclePhase::Deleted;
    let by_rank = if a.rank == b.rank { TieBreak::EventId } else { TieBreak::Status };
    if rivals.len() > RIVALS_MAX {
        return if a.phase == b.phase { by_rank } else { TieBreak::Type };
    }
    let walk = if do_versions_hide_a_link(rivals) { None } else { walk::sequence(rivals, start) };
    let is_known = match walk {
        Some(walk) => !walk.other_last_candidates.contains(&earlier),
        None => Edges::new(rivals).has_path(earlier, later),
    };
    match (is_known, is_by_type) {
        (false, _) => by_rank,
        (true, true) => TieBreak::Type,
        (true, false) => TieBreak::PreviousAttributes,
    }
}

/// True if the order between events of different API versions is unknown: one of them only says how
/// attributes changed that another version renders otherwise, so a chain may have lost a link.
fn do_versions_hide_a_link(rivals: &[Rival<'_>]) -> bool {
    let differ = rivals.windows(2).any(|two| two[0].1.api_version != two[1].1.api_version);
    let only_unstable = |evidence: &Evidence| {
        evidence.digest.get().previous.as_ref().is_some_and(|it| !it.has_stable_attribute())
    };
    differ && rivals.iter().any(|(_, evidence)| only_unstable(evidence))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn event(phase: LifecyclePhase, rank: u8, object: &str, previous: &str) -> Evidence {
        Evidence {
            phase,
            rank,
            api_version: None,
            digest: LazyDigest::from_object(object, Some(previous)),
        }
    }

    fn changed(rank: u8, object: &str, previous: &str) -> Evidence {
        event(LifecyclePhase::Changed, rank, object, previous)
    }

    /// The ids (a, b, c, … in the order given) from first to last, and how many others might be last.
    fn ordered(events: &[Evidence]) -> (String, usize) {
        let ids: Vec<EventId> =
            ('a'..='z').take(events.len()).map(|c| EventId::new(c.to_string())).collect();
        let rivals: Vec<_> = ids.iter().zip(events).collect();
        let sequence = sequence(&rivals, &[]);
        let text = sequence.order.iter().map(|at| ids[*at].as_str()).collect();
        (text, sequence.other_last_candidates.len())
    }

    #[test]
    fn created_is_first_and_deleted_last_whatever_their_status() {
        let events = [
            event(LifecyclePhase::Deleted, 1, "{}", ""),
            changed(2, "{}", ""),
            event(LifecyclePhase::Created, 3, "{}", ""),
        ];
        assert_eq!(ordered(&events), ("cba".to_owned(), 0));
    }

    #[test]
    fn the_chain_decides_where_ids_and_ranks_would_say_otherwise() {
        let events = [
            changed(1, r#"{"n":3}"#, r#"{"n":2}"#),
            changed(1, r#"{"n":2}"#, r#"{"n":1}"#),
            changed(1, r#"{"n":1}"#, r#"{"n":0}"#),
        ];
        assert_eq!(ordered(&events), ("cba".to_owned(), 0));
        let back_in_rank =
            [changed(1, r#"{"n":2}"#, r#"{"n":1}"#), changed(2, r#"{"n":1}"#, r#"{"n":0}"#)];
        assert_eq!(ordered(&back_in_rank), ("ba".to_owned(), 0));
    }

    #[test]
    fn without_a_chain_the_rank_decides_and_then_the_id() {
        let events = [changed(2, "{}", ""), changed(1, "{}", ""), changed(1, "{}", "")];
        assert_eq!(ordered(&events), ("bca".to_owned(), 0));
        let equals = [changed(1, "{}", ""), changed(1, "{}", "")];
        assert_eq!(ordered(&equals), ("ab".to_owned(), 1));
    }

    #[test]
    fn the_tie_break_is_named() {
        let by = |events: &[Evidence], earlier: usize, later: usize| {
            let ids: Vec<EventId> =
                ('a'..='z').take(events.len()).map(|c| EventId::new(c.to_string())).collect();
            tie_break(&ids.iter().zip(events).collect::<Vec<_>>(), &[], earlier, later)
        };
        let created = event(LifecyclePhase::Created, 1, "{}", "");
        let deleted = event(LifecyclePhase::Deleted, 1, "{}", "");
        let chain = [1, 2, 3]
            .map(|n| changed(1, &format!(r#"{{"n":{n}}}"#), &format!(r#"{{"n":{}}}"#, n - 1)));
        assert_eq!(by(&[created, changed(1, "{}", "")], 0, 1), TieBreak::Type);
        assert_eq!(by(&[changed(1, "{}", ""), deleted], 0, 1), TieBreak::Type);
        assert_eq!(by(&chain, 0, 1), TieBreak::PreviousAttributes);
        assert_eq!(by(&chain, 0, 2), TieBreak::PreviousAttributes, "over the one between");
        assert_eq!(by(&[changed(1, "{}", ""), changed(2, "{}", "")], 0, 1), TieBreak::Status);
        assert_eq!(by(&[changed(1, "{}", ""), changed(1, "{}", "")], 0, 1), TieBreak::EventId);
    }

    #[test]
    fn up_to_the_limit_a_chain_decides_and_above_it_phase_rank_and_id_do() {
        // The later in the chain, the lower the id.
        let chain = |count: usize| -> Vec<(EventId, Evidence)> {
            let event = |n: usize| {
                let (object, previous) =
                    (format!(r#"{{"n":{n}}}"#), format!(r#"{{"n":{}}}"#, n - 1));
                (EventId::new(format!("evt_{:05}", 20_000 - n)), changed(1, &object, &previous))
            };
            (1..=count).map(event).collect()
        };
        let sequence = |events: &[(EventId, Evidence)]| {
            sequence(&events.iter().map(|(id, evidence)| (id, evidence)).collect::<Vec<_>>(), &[])
        };
        let within = sequence(&chain(RIVALS_MAX));
        assert_eq!(within.order.last(), Some(&(RIVALS_MAX - 1)));
        assert!(within.other_last_candidates.is_empty());
        let count = 5_000;
        let mut events = chain(count);
        events[7].1.phase = LifecyclePhase::Created;
        events[8].1.rank = 2;
        let beyond = sequence(&events);
        assert_eq!((beyond.order[0], beyond.order.last()), (7, Some(&8)));
        assert!(beyond.order[1..count - 1].is_sorted_by_key(|at| &events[*at].0));
        // Nothing decides but the creation, which cannot be the last.
        assert_eq!(beyond.other_last_candidates.len(), count - 2);
        assert!(!beyond.other_last_candidates.contains(&7));
        events.reverse();
        let reversed = sequence(&events).order.into_iter().map(|at| count - 1 - at);
        assert_eq!(reversed.collect::<Vec<_>>(), beyond.order);
        let rivals: Vec<_> = events.iter().map(|(id, evidence)| (id, evidence)).collect();
        let (created, ranked) = (count - 1 - 7, count - 1 - 8);
        assert_eq!(tie_break(&rivals, &[], created, 0), TieBreak::Type);
        assert_eq!(tie_break(&rivals, &[], 0, ranked), TieBreak::Status);
        assert_eq!(tie_break(&rivals, &[], 0, 1), TieBreak::EventId);
    }

    #[test]
    fn a_cycle_is_no_evidence() {
        let events =
            [changed(1, r#"{"n":1}"#, r#"{"n":2}"#), changed(1, r#"{"n":2}"#, r#"{"n":1}"#)];
        assert_eq!(ordered(&events), ("ab".to_owned(), 1));
        let two_created = [
            event(LifecyclePhase::Created, 1, "{}", ""),
            event(LifecyclePhase::Created, 1, "{}", ""),
        ];
        assert_eq!(ordered(&two_created), ("ab".to_owned(), 1));
    }

    proptest! {
        #[test]
        fn the_order_depends_on_the_set_alone(
            facts in proptest::collection::vec((0_u8..3, 0_u8..3, 0_u8..4, 0_u8..5), 2..6),
            seed in any::<u64>(),
        ) {
            let events: Vec<(EventId, Evidence)> = facts.iter().enumerate().map(|(at, fact)| {
                let (phase, rank, object, previous) = fact;
                let phase = [LifecyclePhase::Created, LifecyclePhase::Changed, LifecyclePhase::Changed][usize::from(*phase)];
                let previous = if *previous == 4 { String::new() } else { format!(r#"{{"n":{previous}}}"#) };
                (EventId::new(format!("evt_{at}")), event(phase, *rank, &format!(r#"{{"n":{object}}}"#), &previous))
            }).collect();
            let mut shuffled: Vec<&(EventId, Evidence)> = events.iter().collect();
            let mut state = seed;
            for at in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                shuffled.swap(at, usize::try_from(state >> 33).unwrap() % (at + 1));
            }
            let names = |events: &[&(EventId, Evidence)]| {
                let rivals: Vec<_> = events.iter().map(|(id, evidence)| (id, evidence)).collect();
                let found = sequence(&rivals, &[]);
                let order: Vec<_> = found.order.iter().map(|at| rivals[*at].0.clone()).collect();
                let mut equals: Vec<_> = found.other_last_candidates.iter().map(|at| rivals[*at].0.clone()).collect();
                equals.sort();
                (order, equals)
            };
            prop_assert_eq!(names(&events.iter().collect::<Vec<_>>()), names(&shuffled));
        }
    }
}
