//! Start of a subscription's current debt.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::StripeTime;

/// Seconds that tell since when a subscription is past due. Its latest snapshot does not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// Latest second of a snapshot that is not past due, and true if a snapshot of that second says that it
    /// ceased to be.
    last_current: Option<(StripeTime, bool)>,
    /// Seconds of past-due snapshots from then on, and true if a snapshot of that second says that it became past due
    /// then.
    overdue: BTreeMap<StripeTime, bool>,
}

/// Start of the current debt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverdueSince {
    /// Second of the first past-due snapshot.
    pub at: StripeTime,
    /// True if that snapshot says that the debt began then. Else an event was lost, or is an observation, and the debt
    /// may be older.
    pub is_start: bool,
    /// Latest second of a snapshot that is not past due: the debt is not older.
    pub last_current: Option<StripeTime>,
}

impl Overdue {
    /// The second of a snapshot. `is_turn` if its `previous_attributes` say that it was past due before and is no more,
    /// or the other way round. An observation never says that.
    pub fn new(at: StripeTime, is_past_due: bool, is_turn: bool) -> Self {
        if is_past_due {
            Self { last_current: None, overdue: BTreeMap::from([(at, is_turn)]) }
        } else {
            Self { last_current: Some((at, is_turn)), overdue: BTreeMap::new() }
        }
    }

    /// The first past-due second after the last one that is not past due.
    ///
    /// A second that has both counts if it is known to have ended past due, or if there is no later one.
    pub fn since(&self) -> Option<OverdueSince> {
        let at = self.first_second()?;
        let is_start = self.overdue.get(&at).copied().unwrap_or_default();
        Some(OverdueSince { at, is_start, last_current: self.last_current.map(|it| it.0) })
    }

    fn first_second(&self) -> Option<StripeTime> {
        let Some((current, has_recovered)) = self.last_current else {
            return self.overdue.keys().next().copied();
        };
        let shared = self.overdue.get(&current).map(|became_so| *became_so && !has_recovered);
        let after = self.overdue.keys().find(|at| **at > current).copied();
        match shared {
            Some(true) => Some(current),
            Some(false) => after.or(Some(current)),
            None => after,
        }
    }

    /// Joins other seconds of the same subscription in.
    pub fn join(&mut self, other: Self) {
        let Self { last_current, overdue } = other;
        // Of one second, true is the greater value: one snapshot that says so is enough.
        self.last_current = self.last_current.max(last_current);
        for (at, became_so) in overdue {
            *self.overdue.entry(at).or_default() |= became_so;
        }
        if let Some((current, _)) = self.last_current {
            self.overdue = self.overdue.split_off(&current);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each snapshot as its second, `is_past_due` and `is_turn`.
    fn since(seen: &[(i64, bool, bool)]) -> Option<i64> {
        let mut overdue = Overdue::default();
        for (at, is_past_due, is_turn) in seen {
            overdue.join(Overdue::new(StripeTime(*at), *is_past_due, *is_turn));
        }
        let mut reversed = Overdue::default();
        for (at, is_past_due, is_turn) in seen.iter().rev() {
            reversed.join(Overdue::new(StripeTime(*at), *is_past_due, *is_turn));
        }
        assert_eq!(overdue, reversed);
        overdue.since().map(|since| since.at.0)
    }

    #[test]
    fn overdue_counts_from_the_first_past_due_second_after_the_last_current_one() {
        assert_eq!(since(&[(1, false, false), (5, true, true), (8, true, false)]), Some(5));
        assert_eq!(since(&[(5, true, true), (8, true, true), (6, false, true)]), Some(8));
        assert_eq!(since(&[(5, true, true), (6, false, true)]), None);
        assert_eq!(since(&[(5, true, true)]), Some(5));
    }

    #[test]
    fn a_second_that_ended_past_due_counts_and_one_that_began_so_does_not() {
        let renewed_and_failed = [(6, false, false), (6, true, true), (7, true, false)];
        assert_eq!(since(&renewed_and_failed), Some(6));
        let paid_and_failed_again = [(6, true, false), (6, false, true), (9, true, true)];
        assert_eq!(since(&paid_and_failed_again), Some(9));
        // Both turned within the second: the later one is known to have begun later.
        assert_eq!(since(&[(6, true, true), (6, false, true), (9, true, false)]), Some(9));
        // Nothing else is left, so it must be this one.
        assert_eq!(since(&[(6, true, false), (6, false, false)]), Some(6));
    }

    #[test]
    fn a_debt_that_no_snapshot_says_the_start_of_is_known_to_be_so() {
        let since = |seen: &[Overdue]| {
            let mut overdue = Overdue::default();
            for it in seen {
                overdue.join(it.clone());
            }
            overdue.since().map(|since| (since.at.0, since.is_start))
        };
        let turn = |at| Overdue::new(StripeTime(at), true, true);
        let seen = |at, is_past_due| Overdue::new(StripeTime(at), is_past_due, false);
        assert_eq!(since(&[seen(5, true)]), Some((5, false)));
        assert_eq!(since(&[seen(5, true), turn(7)]), Some((5, false)));
        assert_eq!(since(&[seen(5, true), turn(3)]), Some((3, true)));
        assert_eq!(since(&[seen(5, true), turn(5)]), Some((5, true)));
        assert_eq!(since(&[turn(3), seen(5, false), seen(9, true)]), Some((9, false)));
    }
}
