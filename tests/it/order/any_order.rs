//! Folding one set of events in many orders, which must all give the same.

use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::projection::rows::rows;
use subledger::projection::state::CustomerState;

use super::dice::Dice;
use super::told::{Observed, States, Told, apply_all};

/// Up to how many events every order is tried: 7! is 5,040.
const ALL_ORDERS_MAX: usize = 7;
/// Number of orders that are tried of more events.
const SEEDED_ORDERS: u64 = 3_000;

/// The rows of all customers, by the policy that is built in.
pub(crate) fn rows_of(states: &States) -> Vec<SubscriptionRow> {
    rows_by(states, &Logic::default())
}

/// The rows of all customers, by this logic.
pub(crate) fn rows_by(states: &States, logic: &Logic) -> Vec<SubscriptionRow> {
    states.iter().flat_map(|(key, state)| rows(key, state, logic)).collect()
}

/// The states after the events, the same in every order of arrival. They are given in the order in
/// which they happened.
pub(crate) fn states_in_any_order(events: &[Told]) -> States {
    let observed: Vec<_> = events.iter().map(|event| Observed::new(&event.body())).collect();
    let fold = |order: &[usize]| apply_all(order.iter().map(|at| &observed[*at]));
    let mut order: Vec<usize> = (0..events.len()).collect();
    let mut expected = fold(&order);
    // Else the digests of what is expected would be computed again for each comparison.
    expected.values_mut().for_each(CustomerState::materialize);
    let mut visit = |order: &[usize]| assert_eq!(fold(order), expected, "in the order {order:?}");
    if events.len() <= ALL_ORDERS_MAX {
        permute(&mut order, 0, &mut visit);
    } else {
        for seed in 0..SEEDED_ORDERS {
            Dice::new(seed).shuffle(&mut order);
            visit(&order);
        }
    }
    expected
}

/// Visits every order of what is not fixed yet.
pub(crate) fn permute(order: &mut [usize], from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        return visit(order);
    }
    for at in from..order.len() {
        order.swap(from, at);
        permute(order, from + 1, visit);
        order.swap(from, at);
    }
}

/// The rows after the events, in every order of arrival.
pub(crate) fn rows_in_any_order(events: &[Told]) -> Vec<SubscriptionRow> {
    rows_of(&states_in_any_order(events))
}

/// The same where there is one row.
pub(crate) fn the_row(events: &[Told]) -> SubscriptionRow {
    let mut rows = rows_in_any_order(events);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

/// Some of the bodies once more, and all of them shuffled.
pub(crate) fn delivered<'a>(dice: &mut Dice, bodies: &'a [String]) -> Vec<&'a str> {
    let mut delivered: Vec<&str> = bodies.iter().map(String::as_str).collect();
    for _ in 0..dice.below(bodies.len()) {
        delivered.push(bodies[dice.below(bodies.len())].as_str());
    }
    dice.shuffle(&mut delivered);
    delivered
}

/// Cuts what was delivered into batches of one to seven.
pub(crate) fn batches<'a>(dice: &mut Dice, mut delivered: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let mut batches = Vec::new();
    while !delivered.is_empty() {
        let (batch, rest) = delivered.split_at(dice.between(1, 7).min(delivered.len()));
        batches.push(batch);
        delivered = rest;
    }
    batches
}
