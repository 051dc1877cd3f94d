//! Time that is paid for, as intervals per item.
//!
//! A change of plan charges some time and credits some, so the time that is paid for does not only grow. The
//! lines of paid invoices are entered in the order in which the invoices were made, and of each invoice its
//! credits before its charges.

use std::collections::BTreeMap;

use crate::stripe::invoice::LineFacts;
use crate::stripe::subscription::SubscriptionFacts;
use crate::time::StripeTime;

/// Paid intervals by item. Lines that name no item, as on old invoices, have an entry of their own.
#[derive(Debug, Default)]
pub(super) struct Coverage<'a>(BTreeMap<Option<&'a str>, Vec<Interval>>);

/// Interval of seconds, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Interval {
    from: StripeTime,
    to: StripeTime,
    /// True if its price was zero.
    is_free: bool,
}

impl<'a> Coverage<'a> {
    /// Enters the lines of one paid invoice.
    pub(super) fn enter(&mut self, lines: &'a [LineFacts]) {
        for credit in lines.iter().filter(|line| line.is_credit) {
            self.credit(credit);
        }
        for charge in lines.iter().filter(|line| !line.is_credit) {
            let item = charge.item.as_deref();
            if let (Some(start), false) = (charge.start, charge.is_free || charge.is_proration) {
                self.end_trial(item, start);
            }
            self.charge(item, charge.start, Some(charge.end), charge.is_free);
        }
    }

    /// Enters an interval that an item is paid for.
    pub(super) fn charge(
        &mut self,
        item: Option<&'a str>,
        start: Option<StripeTime>,
        end: Option<StripeTime>,
        is_free: bool,
    ) {
        let Some(to) = end else { return };
        // Only the end matters, so an interval without a start is as long as it can be.
        let from = start.unwrap_or(StripeTime(i64::MIN));
        self.0.entry(item).or_default().push(Interval { from, to, is_free });
    }

    /// Cuts the free intervals of an item: a trial that ends early is followed by a charge and not by a credit.
    fn end_trial(&mut self, item: Option<&'a str>, at: StripeTime) {
        for paid in self.0.get_mut(&item).into_iter().flatten().filter(|it| it.is_free) {
            paid.to = paid.to.min(at);
        }
    }

    /// Removes the interval of a credit from its item and from the lines without an item, or from every item if
    /// the credit names none.
    fn credit(&mut self, credit: &'a LineFacts) {
        let Some(from) = credit.start else { return };
        let item = credit.item.as_deref();
        for (of, paid) in &mut self.0 {
            if item.is_none() || of.is_none() || *of == item {
                *paid = paid.iter().flat_map(|it| it.without(from, credit.end)).collect();
            }
        }
    }

    /// End of the time that is paid for, of the items that a snapshot lists. An item that was removed counts only
    /// if no other covers the current period, because another may have replaced it.
    pub(super) fn end(&self, snapshot: &SubscriptionFacts) -> Option<StripeTime> {
        let SubscriptionFacts { items, items_truncated, .. } = snapshot;
        let is_current = |item: Option<&str>| {
            item.is_none() || items.iter().any(|it| it.item_id.as_deref() == item)
        };
        let ends = |some: &dyn Fn(Option<&str>) -> bool| {
            let of_items = self.0.iter().filter(|(item, _)| some(**item)).flat_map(|it| it.1);
            of_items.map(|it| it.to).max()
        };
        let of_current = if *items_truncated { None } else { ends(&is_current) };
        let start = snapshot.current_period_start();
        let of_current = of_current.filter(|end| start.is_none_or(|start| *end > start));
        of_current.or_else(|| ends(&|_| true))
    }
}

impl Interval {
    /// The parts that are left without an interval.
    fn without(self, from: StripeTime, to: StripeTime) -> impl Iterator<Item = Self> {
        let before = Self { to: self.to.min(from), ..self };
        let after = Self { from: self.from.max(to), ..self };
        // An interval that ends before it begins removes nothing.
        let parts = if from < to { [Some(before), Some(after)] } else { [Some(self), None] };
        parts.into_iter().flatten().filter(|it| it.from < it.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stripe::price::ItemFacts;

    fn line(item: &str, start: i64, end: i64, is_credit: bool) -> LineFacts {
        let item = Some(item.to_owned()).filter(|it| !it.is_empty());
        let (start, end) = (Some(StripeTime(start)), StripeTime(end));
        LineFacts { item, start, end, is_credit, is_proration: is_credit, is_free: false }
    }

    fn charge(item: &str, start: i64, end: i64) -> LineFacts {
        line(item, start, end, false)
    }

    fn credit(item: &str, start: i64, end: i64) -> LineFacts {
        line(item, start, end, true)
    }

    fn snapshot(ids: &[&str], start: i64) -> SubscriptionFacts {
        let item = |id: &&str| ItemFacts {
            item_id: Some((*id).to_owned()),
            current_period_start: Some(StripeTime(start)),
            ..ItemFacts::default()
        };
        let items = ids.iter().map(item).collect();
        SubscriptionFacts { items, ..SubscriptionFacts::default() }
    }

    fn end(invoices: &[Vec<LineFacts>], current: &[&str]) -> Option<i64> {
        let mut coverage = Coverage::default();
        for lines in invoices {
            coverage.enter(lines);
        }
        coverage.end(&snapshot(current, -1)).map(|at| at.0)
    }

    #[test]
    fn a_change_from_a_year_to_a_month_gives_the_year_back() {
        let year = vec![charge("si_1", 0, 365)];
        let change = vec![charge("si_1", 60, 90), credit("si_1", 60, 365)];
        assert_eq!(end(&[year.clone(), change], &["si_1"]), Some(90));
        // A change of quantity gives the rest back and charges it anew.
        let change = vec![credit("si_1", 60, 365), charge("si_1", 60, 365)];
        assert_eq!(end(&[year, change], &["si_1"]), Some(365));
    }

    #[test]
    fn what_a_pause_credits_is_not_paid_until_it_is_charged_again() {
        let month = vec![charge("si_1", 0, 30)];
        let pause = vec![credit("si_1", 10, 30)];
        let paused = [month.clone(), pause.clone()];
        assert_eq!(end(&paused, &["si_1"]), Some(10));
        let resumed = [month, pause, vec![charge("si_1", 40, 70)]];
        assert_eq!(end(&resumed, &["si_1"]), Some(70));
        // The whole of it is given back.
        assert_eq!(
            end(&[vec![charge("si_1", 0, 30)], vec![credit("si_1", 0, 30)]], &["si_1"]),
            None
        );
    }

    #[test]
    fn an_item_that_was_removed_covers_nothing() {
        let both = vec![charge("si_month", 0, 30), charge("si_year", 0, 365)];
        assert_eq!(end(std::slice::from_ref(&both), &["si_month", "si_year"]), Some(365));
        assert_eq!(end(std::slice::from_ref(&both), &["si_month"]), Some(30));
        let removed = vec![credit("si_year", 10, 365)];
        assert_eq!(end(&[both.clone(), removed], &["si_month"]), Some(30));
        // The one item was replaced, and nothing was charged for the other one.
        assert_eq!(end(&[vec![charge("si_1", 0, 30)]], &["si_2"]), Some(30));
    }

    #[test]
    fn lines_that_name_no_item_are_given_back_by_any_credit() {
        let old = [vec![charge("", 0, 365)], vec![credit("", 60, 365), charge("", 60, 90)]];
        assert_eq!(end(&old, &["si_1"]), Some(90));
        let mixed =
            [vec![charge("", 0, 365)], vec![credit("si_1", 60, 365), charge("si_1", 60, 90)]];
        assert_eq!(end(&mixed, &["si_1"]), Some(90));
        let mixed = [vec![charge("si_1", 0, 365)], vec![credit("", 60, 365)]];
        assert_eq!(end(&mixed, &["si_1"]), Some(60));
    }

    #[test]
    fn a_credit_takes_away_what_was_paid_before_it_and_nothing_else() {
        let gap =
            [vec![charge("si_1", 0, 30), charge("si_1", 60, 90)], vec![credit("si_1", 10, 70)]];
        assert_eq!(end(&gap, &["si_1"]), Some(90));
        let nothing = [vec![charge("si_1", 0, 30)], vec![credit("si_1", 20, 20)]];
        assert_eq!(end(&nothing, &["si_1"]), Some(30));
        let unknown = LineFacts { start: None, ..credit("si_1", 0, 30) };
        assert_eq!(end(&[vec![charge("si_1", 0, 30)], vec![unknown]], &["si_1"]), Some(30));
    }

    #[test]
    fn a_trial_that_is_ended_early_covers_what_was_used_of_it() {
        let trial = || LineFacts { is_free: true, ..charge("si_1", 0, 60) };
        assert_eq!(end(&[vec![trial()]], &["si_1"]), Some(60));
        assert_eq!(end(&[vec![trial()], vec![charge("si_1", 5, 35)]], &["si_1"]), Some(35));
        // A proration in the trial does not end it.
        let proration = LineFacts { is_proration: true, ..charge("si_1", 5, 35) };
        assert_eq!(end(&[vec![trial()], vec![proration]], &["si_1"]), Some(60));
    }

    #[test]
    fn a_removed_item_counts_where_no_current_one_covers_the_period() {
        let lines = [charge("si_base", 30, 60), charge("si_usage", 0, 30)];
        let mut coverage = Coverage::default();
        coverage.enter(&lines);
        let end = |ids: &[&str]| coverage.end(&snapshot(ids, 30)).map(|at| at.0);
        assert_eq!(end(&["si_new", "si_usage"]), Some(60));
        assert_eq!(end(&["si_base", "si_usage"]), Some(60));
    }
}
