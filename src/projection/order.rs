//! The order of events that share a second.
//!
//! Stripe's `created` is in whole seconds, distinct events share it, and Stripe says not to rely on
//! it for order. Between seconds it is the coarse signal; within one, this procedure looks for
//! finer ones. It works on the whole set of rivals at once, because a pairwise comparison is not
//! transitive and would let the order of arrival through.
//!
//! 1. **Walks.** An event's `previous_attributes`, put into its object, give the state that it started from.
//!    If the events can be put into a row in which each starts from the state that the one before left, the
//!    first from the state before the second (or from nothing, where it is the object's creation), then
//!    that row is what happened. A value that came back within the second (cancelled, and resumed) is
//!    decided by this alone: without the state before, both ways round look right. Where an event is
//!    missing, the rows with the fewest gaps count. See `order/walk.rs`.
//! 2. Where no state before is known, or an event does not say what changed: edges "before":
//!    `*.created` before all, all before `*.deleted`; A before B where B's `previous_attributes` match A's
//!    object. Edges inside a cycle are dropped.
//! 3. From the end: repeatedly take, among the events without a remaining successor, the greatest by
//!    (rank, event id). So the last is the one of greatest rank that nothing is known to follow,
//!    and where an id decides, it decides among equals. (Taken from the beginning, an id could
//!    decide which of two different ranks comes last.)
//! 4. Those that might as well have been last are kept beside it, so that whoever reads the result can
//!    say so where it matters. Where an edge is known to be missing, the rank is a guess, too, and counts
//!    for nothing here.

mod walk;

use serde::{Deserialize, Serialize};

use super::lazy_digest::LazyDigest;
use crate::ids::EventId;

/// Where an event's type puts it among events of the same object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LifecyclePhase {
    /// `*.created`: before all others.
    Created,
    /// Anything between.
    Changed,
    /// `*.deleted`: after all others.
    Deleted,
}

impl LifecyclePhase {
    /// The phase that the end of an event's type says.
    pub fn from_event_type(event_type: &str) -> Self {
        match event_type.rsplit('.').next() {
            Some("created") => Self::Created,
            Some("deleted") => Self::Deleted,
            _ => Self::Changed,
        }
    }
}

/// What an event says about its place among the events of the same object and second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Created, changed or deleted.
    pub phase: LifecyclePhase,
    /// How far the object's status is along its life; equal rank is no evidence.
    pub rank: u8,
    /// The API version that the object is rendered at.
    pub api_version: Option<String>,
    /// The leaves of the object and of `previous_attributes`.
    pub digest: LazyDigest,
}

/// The order of some rivals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    /// Their indexes, first to last.
    pub order: Vec<usize>,
    /// The others that might as well have been last: other ends of walks; without a walk those in a
    /// cycle of edges with the last one, those of its rank (or of any, where an edge is missing) from which no
    /// edge leads to another event, and all of them where different API versions may hide a link.
    pub other_last_candidates: Vec<usize>,
}

/// One event and what it says about its place.
pub type Rival<'a> = (&'a EventId, &'a Evidence);

/// Puts rivals into order. `start` holds the events that might have been the last before the second; none
/// where no earlier one is known. The result depends on the sets alone, not on the order of the slices
/// (but for the indexes, which mean the first slice).
pub fn sequence(rivals: &[Rival<'_>], start: &[&Evidence]) -> Sequence {
    if rivals.len() <= 1 {
        let order = (0..rivals.len()).collect();
        return Sequence { order, other_last_candidates: Vec::new() };
    }
    let hidden = versions_hide_a_link(rivals);
    if !hidden && let Some(sequence) = walk::sequence(rivals, start) {
        return sequence;
    }
    let edges = Edges::between(rivals);
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
    let a_link_is_missing = is_a_link_missing(rivals, start);
    let other_last_candidates = (0..count)
        .filter(|a| *a != last)
        .filter(|a| {
            let equal = rivals[*a].1.rank == rivals[last].1.rank;
            let unfollowed = !edges.before[*a].contains(&true);
            let comparable = equal || a_link_is_missing;
            hidden || edges.in_one_cycle(*a, last) || (comparable && unfollowed)
        })
        .collect();
    Sequence { order, other_last_candidates }
}

/// What settled which of two rivals came later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TieBreak {
    /// `*.created` comes before all others, and `*.deleted` after them.
    Type,
    /// A chain of `previous_attributes` leads from the one to the other.
    PreviousAttributes,
    /// The status of the later one is further along.
    Status,
    /// Nothing else does, so their ids decide, which is chance.
    EventId,
}

/// What settled that one of the rivals came later than another.
pub fn tie_break(
    rivals: &[Rival<'_>],
    start: &[&Evidence],
    earlier: usize,
    later: usize,
) -> TieBreak {
    let (a, b) = (rivals[earlier].1, rivals[later].1);
    let by_rank = || if a.rank == b.rank { TieBreak::EventId } else { TieBreak::Status };
    let walk = if versions_hide_a_link(rivals) { None } else { walk::sequence(rivals, start) };
    if let Some(Sequence { other_last_candidates, .. }) = walk {
        let by_type = a.phase == LifecyclePhase::Created || b.phase == LifecyclePhase::Deleted;
        return match other_last_candidates.contains(&earlier) {
            true => by_rank(),
            false if by_type => TieBreak::Type,
            false => TieBreak::PreviousAttributes,
        };
    }
    let before = Edges::between(rivals).before;
    let mut reached = vec![earlier];
    let mut at = 0;
    while let Some(&from) = reached.get(at) {
        let next = (0..rivals.len()).filter(|to| before[from][*to] && !reached.contains(to));
        let next: Vec<usize> = next.collect();
        reached.extend(next);
        at += 1;
    }
    if reached.contains(&later) {
        let by_type = a.phase == LifecyclePhase::Created || b.phase == LifecyclePhase::Deleted;
        return if by_type { TieBreak::Type } else { TieBreak::PreviousAttributes };
    }
    by_rank()
}

/// Whether one event says only how attributes changed that another API version renders otherwise, and
/// some rival is of another version: then nobody knows whether it came after that one, and what seems
/// to be a chain may have lost a link.
fn versions_hide_a_link(rivals: &[Rival<'_>]) -> bool {
    let differ = rivals.windows(2).any(|two| two[0].1.api_version != two[1].1.api_version);
    let only_moved = |evidence: &Evidence| {
        evidence.digest.get().previous.as_ref().is_some_and(|it| !it.has_stable_attribute())
    };
    differ && rivals.iter().any(|(_, evidence)| only_moved(evidence))
}

/// True if more events say what changed, and follow none that is here, than can be: each but the first
/// follows another event of the second, and the first one follows the state before it, where that is known.
fn is_a_link_missing(rivals: &[Rival<'_>], start: &[&Evidence]) -> bool {
    let is_new = rivals.iter().any(|(_, evidence)| evidence.phase == LifecyclePhase::Created);
    let follows_nothing = |b: &Evidence| {
        let is_told = b.phase == LifecyclePhase::Changed && b.digest.get().previous.is_some();
        let mut before = rivals
            .iter()
            .map(|it| it.1)
            .filter(|a| !std::ptr::eq(*a, b))
            .chain(start.iter().copied());
        is_told && !before.any(|a| is_told_before(a, b))
    };
    let heads = rivals.iter().filter(|(_, evidence)| follows_nothing(evidence)).count();
    heads > usize::from(start.is_empty() && !is_new)
}

/// The edges that are left once those inside a cycle are dropped.
struct Edges {
    /// `before[a][b]`: a happened before b.
    before: Vec<Vec<bool>>,
    /// `reaches[a][b]`: some path of edges, cycles included, leads from a to b.
    reaches: Vec<Vec<bool>>,
}

impl Edges {
    fn between(rivals: &[Rival<'_>]) -> Self {
        let count = rivals.len();
        let mut before = vec![vec![false; count]; count];
        for (a, (_, earlier)) in rivals.iter().enumerate() {
            for (b, (_, later)) in rivals.iter().enumerate() {
                before[a][b] = a != b && is_before(earlier, later);
            }
        }
        let mut reaches = before.clone();
        for via in 0..count {
            let onward = reaches[via].clone();
            for from in &mut reaches {
                if from[via] {
                    from.iter_mut().zip(&onward).for_each(|(to, on)| *to |= on);
                }
            }
        }
        for a in 0..count {
            for b in 0..count {
                before[a][b] &= !reaches[b][a];
            }
        }
        Self { before, reaches }
    }

    fn in_one_cycle(&self, a: usize, b: usize) -> bool {
        self.reaches[a][b] && self.reaches[b][a]
    }
}

fn is_before(a: &Evidence, b: &Evidence) -> bool {
    a.phase == LifecyclePhase::Created
        || b.phase == LifecyclePhase::Deleted
        || is_told_before(a, b)
        || is_repeated_by(a, b)
}

/// True if the later event changed nothing that the earlier one, which says what it changed, left.
fn is_repeated_by(a: &Evidence, b: &Evidence) -> bool {
    let (a_digests, b_digests) = (a.digest.get(), b.digest.get());
    a.api_version == b.api_version
        && a_digests.previous.is_some()
        && b_digests.previous.is_none()
        && a_digests.object.is_some()
        && a_digests.object == b_digests.object
}

/// True if the later event's `previous_attributes` match the earlier one's object.
fn is_told_before(a: &Evidence, b: &Evidence) -> bool {
    match (&a.digest.get().object, &b.digest.get().previous) {
        (Some(object), Some(previous)) => object.has(previous, a.api_version == b.api_version),
        _ => false,
    }
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
    fn what_settled_it_is_said() {
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
