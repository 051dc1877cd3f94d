//! Ambiguity of a row: whether it would differ if another of some events that nothing can order had been
//! the last of its second.
//!
//! Two ambiguous objects may each leave a row unchanged and change it together, so every combination is
//! tried.

use std::collections::BTreeMap;

use super::group::{Precedence, Winner};
use super::latest::Latest;
use super::state::{CustomerState, InvoiceState, SubscriptionState};
use crate::ids::{EventId, InvoiceId, SubscriptionId};
use crate::stripe::invoice::InvoiceFacts;
use crate::time::StripeTime;

/// Maximum number of combinations that are tried. A row with more counts as ambiguous. Ten objects of two
/// candidates each make as many; two ambiguous objects at a time are rare.
const COMBINATIONS_MAX: usize = 1_024;

/// Candidates of one ambiguous object. The first is the one that the fold takes for the last.
type Ambiguity<'a> = Vec<Candidate<'a>>;

/// Event that might have been the last of its second.
struct Candidate<'a> {
    event_id: EventId,
    /// Makes this event the last one of its object in a state.
    select: Box<dyn Fn(&mut CustomerState) + 'a>,
}

/// True if another possible state `differs` from this one, as far as the row of this subscription goes.
pub(super) fn has_other_outcome(
    state: &CustomerState,
    id: &SubscriptionId,
    differs: impl Fn(&CustomerState) -> bool,
) -> bool {
    let ambiguities = find_ambiguities(state, id);
    if ambiguities.is_empty() {
        return false;
    }
    let combinations = ambiguities.iter().try_fold(1_usize, |all, it| all.checked_mul(it.len()));
    combinations.is_none_or(|all| all > COMBINATIONS_MAX)
        || has_differing_combination(&ambiguities, &mut state.clone(), &differs)
}

/// True if a state `matches` in which another event of the subscription's last second was the last, although its
/// status says that it came before.
pub(super) fn has_outcome_against_status(
    state: &CustomerState,
    id: &SubscriptionId,
    matches: impl Fn(&CustomerState) -> bool,
) -> bool {
    let snapshots = state.subscriptions.get(id).and_then(|it| it.snapshots.as_ref());
    let outcomes = snapshots.map(|it| it.outcomes_against_status(COMBINATIONS_MAX));
    outcomes.into_iter().flatten().any(|latest| {
        let mut other = state.clone();
        other.subscriptions.entry(id.clone()).or_default().snapshots = Some(latest);
        matches(&other)
    })
}

/// Events that make the row ambiguous, object by object: those that change it by themselves, or all
/// candidates if only several objects together change it.
pub(super) fn rivals(
    state: &CustomerState,
    id: &SubscriptionId,
    differs: impl Fn(&CustomerState) -> bool,
) -> Vec<Vec<EventId>> {
    let ambiguities = find_ambiguities(state, id);
    let alone: Vec<Vec<EventId>> = ambiguities
        .iter()
        .map(|candidates| {
            let mut other = state.clone();
            let (presumed, others) = candidates.split_at(1);
            let others = others.iter().filter(|candidate| {
                (candidate.select)(&mut other);
                differs(&other)
            });
            presumed.iter().chain(others).map(|it| it.event_id.clone()).collect()
        })
        .filter(|events: &Vec<_>| events.len() > 1)
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    let ids =
        |candidates: &Ambiguity<'_>| candidates.iter().map(|it| it.event_id.clone()).collect();
    ambiguities.iter().map(ids).collect()
}

fn has_differing_combination(
    ambiguities: &[Ambiguity<'_>],
    state: &mut CustomerState,
    differs: &impl Fn(&CustomerState) -> bool,
) -> bool {
    let Some((candidates, others)) = ambiguities.split_first() else { return differs(state) };
    candidates.iter().any(|candidate| {
        (candidate.select)(state);
        has_differing_combination(others, state, differs)
    })
}

/// The ambiguous objects that the row of this subscription is made of.
fn find_ambiguities<'a>(state: &'a CustomerState, id: &'a SubscriptionId) -> Vec<Ambiguity<'a>> {
    let CustomerState {
        customer,
        subscriptions,
        sessions,
        schedules,
        features,
        // The greatest value counts, whatever the order of events.
        discount_codes: _,
        last_email: _,
        user_link: _,
    } = state;
    let mut found = Ambiguities::default();
    found.add(customer.as_ref(), |other| other.customer.as_mut());
    found.add(features.as_ref(), |other| other.features.as_mut());
    found.add_each(sessions, |other| &mut other.sessions);
    found.add_each(schedules, |other| &mut other.schedules);
    let Some(subscription) = subscriptions.get(id) else { return found.0 };
    // The seconds of past-due snapshots form a set, whatever the order of events.
    let SubscriptionState { snapshots, overdue: _, invoices } = subscription;
    found.add(snapshots.as_ref(), |other| other.subscriptions.get_mut(id)?.snapshots.as_mut());
    for (invoice, known) in invoices {
        let InvoiceState {
            snapshots,
            // Least and greatest seconds, whatever the order of events.
            first_paid: _,
            last_failed: _,
            first_seen: _,
            is_assumed_last: _,
        } = known;
        found.add(Some(snapshots), move |other| {
            let invoices = &mut other.subscriptions.get_mut(id)?.invoices;
            Some(&mut invoices.get_mut(invoice)?.snapshots)
        });
    }
    found.0.extend(invoice_ties(id, invoices));
    found.0
}

/// Invoices made in one second, where it may matter which was made last: for the latest invoice, and where
/// one credits what another charged.
fn invoice_ties<'a>(
    id: &'a SubscriptionId,
    invoices: &'a BTreeMap<InvoiceId, InvoiceState>,
) -> impl Iterator<Item = Ambiguity<'a>> {
    let mut by_second: BTreeMap<StripeTime, Vec<(&InvoiceId, Winner<'_, InvoiceFacts>)>> =
        BTreeMap::new();
    for (invoice, known) in invoices {
        let winner = known.snapshots.winner();
        if winner.precedence != Precedence::Terminal {
            let made = winner.facts.created.unwrap_or(known.first_seen);
            by_second.entry(made).or_default().push((invoice, winner));
        }
    }
    let is_own = |invoices: &Vec<(&InvoiceId, Winner<'_, InvoiceFacts>)>| {
        invoices.iter().any(|(_, winner)| winner.facts.is_own)
    };
    let last_own = by_second.iter().rfind(|(_, invoices)| is_own(invoices)).map(|(made, _)| *made);
    let tied = by_second.into_iter().filter(move |(made, invoices)| {
        let mut facts = invoices.iter().map(|(_, winner)| winner.facts);
        let decides =
            |it: &InvoiceFacts| it.are_lines_cut || it.lines.iter().any(|line| line.is_credit);
        invoices.len() > 1 && (Some(*made) == last_own || facts.any(decides))
    });
    tied.map(move |(_, invoices)| {
        let ids: Vec<&InvoiceId> = invoices.iter().map(|it| it.0).collect();
        // Without other evidence the greatest id is taken for the last.
        let candidates = invoices.into_iter().rev().map(|(last, winner)| {
            let ids = ids.clone();
            let select = move |state: &mut CustomerState| {
                let Some(subscription) = state.subscriptions.get_mut(id) else { return };
                for invoice in &ids {
                    if let Some(known) = subscription.invoices.get_mut(*invoice) {
                        known.is_assumed_last = *invoice == last;
                    }
                }
            };
            Candidate { event_id: winner.event_id.clone(), select: Box::new(select) }
        });
        candidates.collect()
    })
}

#[derive(Default)]
struct Ambiguities<'a>(Vec<Ambiguity<'a>>);

impl<'a> Ambiguities<'a> {
    /// Adds an object if its last event is ambiguous. `place` finds the object in another state.
    fn add<F: Clone + PartialEq + 'a>(
        &mut self,
        latest: Option<&'a Latest<F>>,
        place: impl Fn(&mut CustomerState) -> Option<&mut Latest<F>> + Copy + 'a,
    ) {
        // One more than is tried makes the row ambiguous.
        let outcomes =
            latest.map(|it| it.possible_outcomes(COMBINATIONS_MAX + 1)).unwrap_or_default();
        if outcomes.len() < 2 {
            return;
        }
        let candidate = |latest: Latest<F>| Candidate {
            event_id: latest.winner().event_id.clone(),
            select: Box::new(move |state| {
                if let Some(place) = place(state) {
                    place.clone_from(&latest);
                }
            }),
        };
        self.0.push(outcomes.into_iter().map(candidate).collect());
    }

    fn add_each<K: Ord + 'static, F: Clone + PartialEq + 'static>(
        &mut self,
        objects: &'a BTreeMap<K, Latest<F>>,
        all: impl Fn(&mut CustomerState) -> &mut BTreeMap<K, Latest<F>> + Copy + 'a,
    ) {
        for (id, latest) in objects {
            self.add(Some(latest), move |state| all(state).get_mut(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::ids::SubscriptionId;
    use crate::projection::observe::observe;
    use crate::projection::order::RIVALS_MAX;
    use crate::projection::state::CustomerState;
    use crate::projection::{Logic, rows};

    /// Ambiguity of the row, and number of rivals, of thousands of snapshots of one second with so many
    /// different quantities.
    fn ambiguity_of(quantities: usize) -> (bool, usize) {
        let mut state = CustomerState::default();
        let mut key = None;
        for n in 0..RIVALS_MAX * 24 {
            let body = format!(
                r#"{{"id":"evt_{n:05}","object":"event","type":"customer.subscription.updated",
                "created":7,"livemode":true,"data":{{"object":{{"id":"sub_1","customer":"cus_1",
                "status":"active","items":{{"data":[{{"id":"si_1","quantity":{}}}]}}}}}}}}"#,
                n % quantities
            );
            let observation = observe(&body).unwrap();
            key = observation.customer;
            state.apply(observation.change.unwrap());
        }
        let (key, logic) = (key.unwrap(), Logic::default());
        let row = &rows::rows(&key, &state, &logic)[0];
        let rivals = rows::rivals(&key, &state, &SubscriptionId::from("sub_1"), &logic);
        (row.order_ambiguous, rivals.first().map_or(0, Vec::len))
    }

    #[test]
    fn a_status_orders_a_second_but_another_order_may_be_the_true_one() {
        let mut state = CustomerState::default();
        let mut key = None;
        for (event, status) in [("evt_1", "active"), ("evt_2", "trialing")] {
            let body = format!(
                r#"{{"id":"{event}","object":"event","type":"customer.subscription.updated",
                "created":7,"livemode":true,"data":{{"object":{{"id":"sub_1","customer":"cus_1",
                "status":"{status}"}}}}}}"#
            );
            let observation = observe(&body).unwrap();
            key = observation.customer;
            state.apply(observation.change.unwrap());
        }
        let (key, logic) = (key.unwrap(), Logic::default());
        let id = SubscriptionId::from("sub_1");
        assert_eq!(rows::rows(&key, &state, &logic)[0].status, "active");
        let may_be =
            |status: &str| rows::has_outcome(&key, &state, &id, &logic, |row| row.status == status);
        assert!(may_be("trialing"));
        assert!(!may_be("past_due"));
    }

    #[test]
    fn a_second_of_thousands_of_snapshots_is_ambiguous_unless_all_are_equal() {
        assert_eq!(ambiguity_of(1), (false, 0));
        assert_eq!(ambiguity_of(2), (true, 2));
        assert_eq!(ambiguity_of(usize::MAX), (true, super::COMBINATIONS_MAX + 1));
    }
}
