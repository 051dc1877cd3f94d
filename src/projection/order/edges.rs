//! Edges between the events of one second: which of them is known to come before which.

use super::{Evidence, LifecyclePhase, Rival};

/// Edges that are left once those inside a cycle are dropped.
pub(super) struct Edges {
    /// `before[a][b]`: a happened before b.
    pub(super) before: Vec<Vec<bool>>,
    /// `reaches[a][b]`: a path of edges, cycles included, leads from a to b.
    reaches: Vec<Vec<bool>>,
}

impl Edges {
    pub(super) fn new(rivals: &[Rival<'_>]) -> Self {
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

    /// True if a and b are in one cycle of edges.
    pub(super) fn is_cycle(&self, a: usize, b: usize) -> bool {
        self.reaches[a][b] && self.reaches[b][a]
    }

    /// True if a path of edges without a cycle leads from one event to another.
    pub(super) fn has_path(&self, from: usize, to: usize) -> bool {
        let mut reached = vec![from];
        let mut at = 0;
        while let Some(&from) = reached.get(at) {
            let next = (0..self.before.len()).filter(|to| self.before[from][*to]);
            let next: Vec<usize> = next.filter(|to| !reached.contains(to)).collect();
            reached.extend(next);
            at += 1;
        }
        reached.contains(&to)
    }
}

/// True if an event that led from one of these to another is not here. All events but the first follow another
/// one of the second, and the first follows the state before, if that is known. If more events than that say
/// what changed and follow none, one is missing.
pub(super) fn is_link_missing(rivals: &[Rival<'_>], start: &[&Evidence]) -> bool {
    let is_new = rivals.iter().any(|(_, evidence)| evidence.phase == LifecyclePhase::Created);
    let follows_nothing = |b: &Evidence| {
        let says_what_changed =
            b.phase == LifecyclePhase::Changed && b.digest.get().previous.is_some();
        let mut before = rivals
            .iter()
            .map(|it| it.1)
            .filter(|a| !std::ptr::eq(*a, b))
            .chain(start.iter().copied());
        says_what_changed && !before.any(|a| matches_previous(a, b))
    };
    let heads = rivals.iter().filter(|(_, evidence)| follows_nothing(evidence)).count();
    heads > usize::from(start.is_empty() && !is_new)
}

fn is_before(a: &Evidence, b: &Evidence) -> bool {
    a.phase == LifecyclePhase::Created
        || b.phase == LifecyclePhase::Deleted
        || matches_previous(a, b)
        || is_repeated_by(a, b)
}

/// True if the object of the later event equals that of the earlier one, which says what it changed, and the
/// later one changed nothing.
fn is_repeated_by(a: &Evidence, b: &Evidence) -> bool {
    let (a_digests, b_digests) = (a.digest.get(), b.digest.get());
    a.api_version == b.api_version
        && a_digests.previous.is_some()
        && b_digests.previous.is_none()
        && a_digests.object.is_some()
        && a_digests.object == b_digests.object
}

/// True if the object of the earlier event matches the `previous_attributes` of the later one.
fn matches_previous(a: &Evidence, b: &Evidence) -> bool {
    match (&a.digest.get().object, &b.digest.get().previous) {
        (Some(object), Some(previous)) => object.matches(previous, a.api_version == b.api_version),
        _ => false,
    }
}
