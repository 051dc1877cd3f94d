//! Whether a row might as well say something else, where nothing can say which of several events
//! was the last.
//!
//! Two objects in doubt may leave a row alone one by one and change it together, so what is tried is
//! every combination.

use std::collections::BTreeMap;

use super::group::{Group, Standing, Winner};
use super::state::{CustomerState, SubscriptionState};
use crate::ids::{EventId, InvoiceId, SubscriptionId};
use crate::stripe::invoice::InvoiceFacts;
use crate::time::StripeTime;

/// As many combinations are tried; where there are more, nobody can say, which is doubt as well. Ten
/// objects of two rivals each make as many, and in real life two doubts at a time are rare.
const COMBINATIONS: usize = 1_024;

/// One object in doubt: its rivals, the one that was taken for the last before the others.
type Doubt<'a> = Vec<Rival<'a>>;

/// An event that might have been the last of its second.
struct Rival<'a> {
    event_id: EventId,
    /// Puts its snapshot in the object's place.
    put: Box<dyn Fn(&mut CustomerState) + 'a>,
}

/// Whether any state that might as well be is told apart from this one, as far as this
/// subscription's row is made of it.
pub(super) fn any_other(
    state: &CustomerState,
    id: &SubscriptionId,
    is_told_apart: impl Fn(&CustomerState) -> bool,
) -> bool {
    let doubts = doubts(state, id);
    if doubts.is_empty() {
        return false;
    }
    let combinations = doubts.iter().try_fold(1_usize, |all, doubt| all.checked_mul(doubt.len()));
    combinations.is_none_or(|all| all > COMBINATIONS)
        || any_combination(&doubts, &mut state.clone(), &is_told_apart)
}

/// The events between which nothing can decide and which matter, object by object: those that tell a
/// state apart by themselves, or all of them where only several doubts together do.
pub(super) fn rivals(
    state: &CustomerState,
    id: &SubscriptionId,
    is_told_apart: impl Fn(&CustomerState) -> bool,
) -> Vec<Vec<EventId>> {
    let doubts = doubts(state, id);
    let matters = |rival: &Rival<'_>| {
        let mut other = state.clone();
        (rival.put)(&mut other);
        is_told_apart(&other)
    };
    let alone: Vec<Vec<EventId>> = doubts
        .iter()
        .map(|doubt| {
            let (taken, others) = doubt.split_at(1);
            let others = others.iter().filter(|rival| matters(rival));
            taken.iter().chain(others).map(|rival| rival.event_id.clone()).collect()
        })
        .filter(|events: &Vec<_>| events.len() > 1)
        .collect();
    if !alone.is_empty() {
        return alone;
    }
    let all = doubts.iter().map(|doubt| doubt.iter().map(|it| it.event_id.clone()).collect());
    all.collect()
}

fn any_combination(
    doubts: &[Doubt<'_>],
    state: &mut CustomerState,
    is_told_apart: &impl Fn(&CustomerState) -> bool,
) -> bool {
    let Some((doubt, others)) = doubts.split_first() else { return is_told_apart(state) };
    doubt.iter().any(|rival| {
        (rival.put)(state);
        any_combination(others, state, is_told_apart)
    })
}

/// The objects in doubt of which this subscription's row is made.
fn doubts<'a>(state: &'a CustomerState, id: &'a SubscriptionId) -> Vec<Doubt<'a>> {
    let mut doubts = Doubts::default();
    doubts.of_one(state.customer.as_ref(), |other| other.customer.as_mut());
    doubts.of_one(state.features.as_ref(), |other| other.features.as_mut());
    doubts.of_each(&state.sessions, |other| &mut other.sessions);
    doubts.of_each(&state.schedules, |other| &mut other.schedules);
    let Some(subscription) = state.subscriptions.get(id) else { return doubts.0 };
    doubts.of_one(subscription.snapshots.as_ref(), |other| {
        other.subscriptions.get_mut(id)?.snapshots.as_mut()
    });
    for (invoice, known) in &subscription.invoices {
        doubts.of_one(Some(&known.snapshots), move |other| {
            let invoices = &mut other.subscriptions.get_mut(id)?.invoices;
            Some(&mut invoices.get_mut(invoice)?.snapshots)
        });
    }
    doubts.0.extend(ties_of_invoices(id, subscription));
    doubts.0
}

/// Invoices that were made in one second, where it may matter which was made last: for the latest one, and
/// where one gives back what another is paid for.
fn ties_of_invoices<'a>(
    id: &'a SubscriptionId,
    subscription: &'a SubscriptionState,
) -> impl Iterator<Item = Doubt<'a>> {
    let mut by_second: BTreeMap<StripeTime, Vec<(&InvoiceId, Winner<'_, InvoiceFacts>)>> =
        BTreeMap::new();
    for (invoice, known) in &subscription.invoices {
        let winner = known.snapshots.winner();
        if winner.standing != Standing::Terminal {
            let made = winner.snapshot.facts.created.unwrap_or(known.heard_first);
            by_second.entry(made).or_default().push((invoice, winner));
        }
    }
    let is_own = |invoices: &Vec<(&InvoiceId, Winner<'_, InvoiceFacts>)>| {
        invoices.iter().any(|(_, winner)| winner.snapshot.facts.own)
    };
    let last_own = by_second.iter().rfind(|(_, invoices)| is_own(invoices)).map(|(made, _)| *made);
    let tied = by_second.into_iter().filter(move |(made, invoices)| {
        let mut facts = invoices.iter().map(|(_, winner)| &winner.snapshot.facts);
        let decides = |it: &InvoiceFacts| it.lines_cut || it.lines.iter().any(|line| line.credit);
        invoices.len() > 1 && (Some(*made) == last_own || facts.any(decides))
    });
    tied.map(move |(_, invoices)| {
        let ids: Vec<&InvoiceId> = invoices.iter().map(|it| it.0).collect();
        // Where nothing else decides, the greatest id is taken for the last.
        let rivals = invoices.into_iter().rev().map(|(last, winner)| {
            let ids = ids.clone();
            let put = move |state: &mut CustomerState| {
                let Some(subscription) = state.subscriptions.get_mut(id) else { return };
                for invoice in &ids {
                    if let Some(known) = subscription.invoices.get_mut(*invoice) {
                        known.put_last = *invoice == last;
                    }
                }
            };
            Rival { event_id: winner.event_id.clone(), put: Box::new(put) }
        });
        rivals.collect()
    })
}

#[derive(Default)]
struct Doubts<'a>(Vec<Doubt<'a>>);

impl<'a> Doubts<'a> {
    fn of_one<F: Clone + PartialEq + 'a>(
        &mut self,
        group: Option<&'a Group<F>>,
        place: impl Fn(&mut CustomerState) -> Option<&mut Group<F>> + Copy + 'a,
    ) {
        let possible = group.map(Group::possibilities).unwrap_or_default();
        if possible.len() < 2 {
            return;
        }
        let rival = |group: Group<F>| Rival {
            event_id: group.winner().event_id.clone(),
            put: Box::new(move |state| {
                if let Some(place) = place(state) {
                    place.clone_from(&group);
                }
            }),
        };
        self.0.push(possible.into_iter().map(rival).collect());
    }

    fn of_each<K: Ord + 'static, F: Clone + PartialEq + 'static>(
        &mut self,
        groups: &'a BTreeMap<K, Group<F>>,
        all: impl Fn(&mut CustomerState) -> &mut BTreeMap<K, Group<F>> + Copy + 'a,
    ) {
        for (id, group) in groups {
            self.of_one(Some(group), move |state| all(state).get_mut(id));
        }
    }
}
