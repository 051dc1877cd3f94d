//! What else might be so, where nothing can say which of several events was the last.
//!
//! A row that would say something else then is marked as ambiguous, and one that would not is not.

use std::collections::BTreeMap;

use super::group::Group;
use super::state::CustomerState;
use crate::ids::SubscriptionId;

/// The states that might as well be: one for each rival that might have been the last, of each object
/// that this subscription's row is made of.
pub(super) fn alternatives(state: &CustomerState, id: &SubscriptionId) -> Vec<CustomerState> {
    let mut others = Vec::new();
    let mut put = |change: &dyn Fn(&mut CustomerState)| {
        let mut other = state.clone();
        change(&mut other);
        others.push(other);
    };
    for group in state.customer.iter().flat_map(Group::alternatives) {
        put(&|other| other.customer = Some(group.clone()));
    }
    for group in state.features.iter().flat_map(Group::alternatives) {
        put(&|other| other.features = Some(group.clone()));
    }
    for (session, group) in of_each(&state.sessions) {
        put(&|other| drop(other.sessions.insert(session.clone(), group.clone())));
    }
    for (schedule, group) in of_each(&state.schedules) {
        put(&|other| drop(other.schedules.insert(schedule.clone(), group.clone())));
    }
    let Some(subscription) = state.subscriptions.get(id) else { return others };
    for group in subscription.snapshots.iter().flat_map(Group::alternatives) {
        put(&|other| {
            if let Some(subscription) = other.subscriptions.get_mut(id) {
                subscription.snapshots = Some(group.clone());
            }
        });
    }
    for (invoice, known) in &subscription.invoices {
        for group in known.snapshots.alternatives() {
            put(&|other| {
                let subscription = other.subscriptions.get_mut(id);
                if let Some(it) = subscription.and_then(|it| it.invoices.get_mut(invoice)) {
                    it.snapshots = group.clone();
                }
            });
        }
    }
    others
}

fn of_each<K, F: Clone + PartialEq>(
    groups: &BTreeMap<K, Group<F>>,
) -> impl Iterator<Item = (&K, Group<F>)> {
    let each = |(id, group): (_, &Group<F>)| {
        group.alternatives().into_iter().map(move |alternative| (id, alternative))
    };
    groups.iter().flat_map(each)
}
