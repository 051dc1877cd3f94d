//! The state of one customer: everything that its rows are made of, as a join.
//!
//! The state after a set of events does not depend on their order, their grouping, or how often
//! each came. Every field here is a join of its own: a [`Group`], a least, a greatest, or a map of
//! such.
//!
//! *Invariant: no policy and no clock; those enter when rows are made.*

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use super::group::{Group, join_into};
use super::order::Evidence;
use crate::ids::{CustomerKey, EventId, InvoiceId, ScheduleId, SessionId, SubscriptionId};
use crate::stripe::checkout_session::SessionFacts;
use crate::stripe::customer::CustomerFacts;
use crate::stripe::entitlements::FeatureFacts;
use crate::stripe::invoice::InvoiceFacts;
use crate::stripe::subscription::SubscriptionFacts;
use crate::stripe::subscription_schedule::ScheduleFacts;
use crate::time::StripeTime;

/// What is known of one customer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomerState {
    /// The customer itself; deletion is terminal.
    pub customer: Option<Group<CustomerFacts>>,
    /// The subscriptions, also those known by an invoice alone.
    pub subscriptions: BTreeMap<SubscriptionId, SubscriptionState>,
    /// The checkout sessions.
    pub sessions: BTreeMap<SessionId, Group<SessionFacts>>,
    /// The schedules.
    pub schedules: BTreeMap<ScheduleId, Group<ScheduleFacts>>,
    /// The features that it is entitled to.
    pub features: Option<Group<FeatureFacts>>,
    /// Codes of discounts by their ids, and when they were said: snapshots name discounts by id alone.
    pub discount_codes: BTreeMap<String, (StripeTime, String)>,
    /// Address that an invoice or a checkout session gave last, and when.
    pub last_email: Option<(StripeTime, String)>,
}

/// What is known of one subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// Its latest snapshots; none while only invoices have arrived.
    pub snapshots: Option<Group<SubscriptionFacts>>,
    /// Since when it is past due.
    pub overdue: Overdue,
    /// Its invoices.
    pub invoices: BTreeMap<InvoiceId, InvoiceState>,
}

/// What is known of one invoice.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoiceState {
    /// Its latest snapshots; deletion (of a draft) is terminal.
    pub snapshots: Group<InvoiceFacts>,
    /// The first second of a snapshot that says `paid`.
    pub first_paid: Option<StripeTime>,
    /// The last second in which a payment failed.
    pub last_failed: Option<StripeTime>,
    /// The first second of a snapshot of it, by the clock of events: on a test clock `created` is not.
    pub first_seen: StripeTime,
    /// True if it is put after other invoices of its second, to see whether that would show.
    #[serde(skip)]
    pub is_assumed_last: bool,
}

/// Since when a subscription is past due, which its latest snapshot does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// The latest second of a snapshot that is not past due, and whether one of that second says
    /// that it ceased to be.
    settled: Option<(StripeTime, bool)>,
    /// The seconds of past-due snapshots from then on, and whether one of that second says that it
    /// became so.
    overdue: BTreeMap<StripeTime, bool>,
}

/// What one event adds to a customer's state: a word about one object.
#[derive(Clone, Debug, PartialEq)]
pub enum StateChange {
    /// A snapshot of the customer.
    Customer(Group<CustomerFacts>),
    /// A snapshot of a subscription, and what it says of debt.
    Subscription(SubscriptionId, Group<SubscriptionFacts>, Overdue),
    /// A snapshot of an invoice, for each subscription that it says something of, and its address.
    Invoice(InvoiceId, Vec<(SubscriptionId, InvoiceState)>, Option<(StripeTime, String)>),
    /// A snapshot of a checkout session.
    Session(SessionId, Group<SessionFacts>),
    /// A snapshot of a schedule.
    Schedule(ScheduleId, Group<ScheduleFacts>),
    /// A summary of features.
    Features(Group<FeatureFacts>),
    /// The code of a discount.
    Discount(String, (StripeTime, String)),
}

impl CustomerState {
    /// Joins in what one event adds.
    pub fn apply(&mut self, change: StateChange) {
        match change {
            StateChange::Customer(group) => join_into(&mut self.customer, group),
            StateChange::Subscription(id, group, overdue) => {
                for discount in group.facts().flat_map(|facts| &facts.discounts) {
                    if let (Some(id), Some(code)) = (&discount.id, &discount.code) {
                        let code = (group.created(), code.clone());
                        join_greatest(&mut self.discount_codes, id.clone(), code);
                    }
                }
                let subscription = self.subscriptions.entry(id).or_default();
                join_into(&mut subscription.snapshots, group);
                subscription.overdue.join(overdue);
            }
            StateChange::Invoice(id, invoices, email) => {
                for (subscription, invoice) in invoices {
                    let of_subscription = self.subscriptions.entry(subscription).or_default();
                    join_at(&mut of_subscription.invoices, id.clone(), invoice, InvoiceState::join);
                }
                self.join_email(email);
            }
            StateChange::Session(id, group) => {
                let email = group.facts().find_map(|facts| facts.email.clone());
                self.join_email(email.map(|email| (group.created(), email)));
                join_at(&mut self.sessions, id, group, Group::join);
            }
            StateChange::Discount(id, code) => join_greatest(&mut self.discount_codes, id, code),
            StateChange::Schedule(id, group) => {
                join_at(&mut self.schedules, id, group, Group::join)
            }
            StateChange::Features(group) => join_into(&mut self.features, group),
        }
    }

    /// Joins an address in: the one that was given last counts.
    fn join_email(&mut self, email: Option<(StripeTime, String)>) {
        if email > self.last_email {
            self.last_email = email;
        }
    }

    /// Reads the evidence of order that was put off so far: what is stored holds no text.
    pub fn materialize(&mut self) {
        self.customer.iter_mut().for_each(Group::materialize);
        self.sessions.values_mut().for_each(Group::materialize);
        self.schedules.values_mut().for_each(Group::materialize);
        self.features.iter_mut().for_each(Group::materialize);
        for subscription in self.subscriptions.values_mut() {
            subscription.snapshots.iter_mut().for_each(Group::materialize);
            subscription.invoices.values_mut().for_each(|invoice| invoice.snapshots.materialize());
        }
    }

    /// Events that might have been the last about an object of this customer, or about the customer itself.
    pub fn last_candidates(&self, key: &CustomerKey, object: &str) -> Vec<&Evidence> {
        if object == key.customer.as_str() {
            return self.customer.iter().flat_map(Group::last_candidates).collect();
        }
        let subscription = self.subscriptions.get(&SubscriptionId::from(object));
        let subscription = subscription.and_then(|it| it.snapshots.as_ref());
        let session = self.sessions.get(&SessionId::from(object));
        let schedule = self.schedules.get(&ScheduleId::from(object));
        let invoice = InvoiceId::from(object);
        let invoice = self.subscriptions.values().find_map(|it| it.invoices.get(&invoice));
        subscription
            .map(Group::last_candidates)
            .or_else(|| session.map(Group::last_candidates))
            .or_else(|| schedule.map(Group::last_candidates))
            .or_else(|| invoice.map(|it| it.snapshots.last_candidates()))
            .unwrap_or_default()
    }

    /// The events whose snapshots stand for their objects now.
    pub fn winners(&self) -> impl Iterator<Item = &EventId> {
        fn of<F: Clone + PartialEq>(group: &Group<F>) -> &EventId {
            group.winner().event_id
        }
        let subscriptions = || self.subscriptions.values();
        let invoices = subscriptions().flat_map(|it| it.invoices.values());
        let snapshots = subscriptions().filter_map(|it| it.snapshots.as_ref());
        (self.customer.iter().map(of))
            .chain(snapshots.map(of))
            .chain(invoices.map(|it| of(&it.snapshots)))
            .chain(self.sessions.values().map(of))
            .chain(self.schedules.values().map(of))
            .chain(self.features.iter().map(of))
    }

    /// Joins another state of the same customer into this one.
    pub fn join(&mut self, other: Self) {
        other.customer.into_iter().for_each(|group| join_into(&mut self.customer, group));
        join_each(&mut self.subscriptions, other.subscriptions, SubscriptionState::join);
        join_each(&mut self.sessions, other.sessions, Group::join);
        join_each(&mut self.schedules, other.schedules, Group::join);
        other.features.into_iter().for_each(|group| join_into(&mut self.features, group));
        for (id, code) in other.discount_codes {
            join_greatest(&mut self.discount_codes, id, code);
        }
        self.join_email(other.last_email);
    }
}

impl SubscriptionState {
    fn join(&mut self, other: Self) {
        other.snapshots.into_iter().for_each(|group| join_into(&mut self.snapshots, group));
        self.overdue.join(other.overdue);
        join_each(&mut self.invoices, other.invoices, InvoiceState::join);
    }
}

/// Joins a map of joins, key by key.
fn join_each<K: Ord, V>(into: &mut BTreeMap<K, V>, other: BTreeMap<K, V>, join: fn(&mut V, V)) {
    for (key, value) in other {
        join_at(into, key, value, join);
    }
}

/// Joins one more value into a map in which the greatest counts.
fn join_greatest<K: Ord, V: Ord>(into: &mut BTreeMap<K, V>, key: K, value: V) {
    join_at(into, key, value, |present, value| {
        if value > *present {
            *present = value;
        }
    });
}

/// Joins one more value into a map of joins.
fn join_at<K: Ord, V>(into: &mut BTreeMap<K, V>, key: K, value: V, join: fn(&mut V, V)) {
    match into.entry(key) {
        Entry::Occupied(mut present) => join(present.get_mut(), value),
        Entry::Vacant(place) => {
            place.insert(value);
        }
    }
}

impl InvoiceState {
    fn join(&mut self, other: Self) {
        self.snapshots.join(other.snapshots);
        self.first_paid = self.first_paid.into_iter().chain(other.first_paid).min();
        self.last_failed = self.last_failed.max(other.last_failed);
        self.first_seen = self.first_seen.min(other.first_seen);
    }
}

impl Overdue {
    /// What one snapshot of this second says; `turned` where it also says, in its
    /// `previous_attributes`, that it was otherwise before.
    pub fn from_snapshot(at: StripeTime, past_due: bool, turned: bool) -> Self {
        if past_due {
            Self { settled: None, overdue: BTreeMap::from([(at, turned)]) }
        } else {
            Self { settled: Some((at, turned)), overdue: BTreeMap::new() }
        }
    }

    /// The first past-due second after the last settled one.
    ///
    /// Where both fell into one second, that second counts if it is known to have ended past due, or
    /// if no other is left.
    pub fn since(&self) -> Option<StripeTime> {
        let Some((settled, recovered)) = self.settled else {
            return self.overdue.keys().next().copied();
        };
        let shared = self.overdue.get(&settled).map(|became| *became && !recovered);
        let after = self.overdue.keys().find(|at| **at > settled).copied();
        match shared {
            Some(true) => Some(settled),
            Some(false) => after.or(Some(settled)),
            None => after,
        }
    }

    fn join(&mut self, other: Self) {
        // Of one second, that it ceased to be past due counts if any snapshot says so.
        self.settled = self.settled.max(other.settled);
        for (at, became) in other.overdue {
            *self.overdue.entry(at).or_default() |= became;
        }
        if let Some((settled, _)) = self.settled {
            self.overdue = self.overdue.split_off(&settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds, whether they are past due, and whether they say that this is new.
    fn since(seen: &[(i64, bool, bool)]) -> Option<i64> {
        let mut overdue = Overdue::default();
        for (at, past_due, turned) in seen {
            overdue.join(Overdue::from_snapshot(StripeTime(*at), *past_due, *turned));
        }
        let mut reversed = Overdue::default();
        for (at, past_due, turned) in seen.iter().rev() {
            reversed.join(Overdue::from_snapshot(StripeTime(*at), *past_due, *turned));
        }
        assert_eq!(overdue, reversed);
        overdue.since().map(|at| at.0)
    }

    #[test]
    fn overdue_counts_from_the_first_past_due_second_after_the_last_settled_one() {
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
}
