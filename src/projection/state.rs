//! Folded state of one customer, from which its rows are computed. A join.
//!
//! The state depends on the set of events alone: not on their order, grouping or number of deliveries.
//! Every field is a join of its own: a [`Latest`] snapshot, a least or greatest value, or a map of such.
//!
//! *Invariant: no policy and no clock. Both enter when rows are computed.*

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde::{Deserialize, Serialize};

use super::group::Winner;
use super::latest::{Latest, join_into};
use super::order::Evidence;
use super::overdue::Overdue;
use super::user_link::UserLink;
use crate::ids::{CustomerKey, EventId, InvoiceId, ScheduleId, SessionId, SubscriptionId};
use crate::stripe::checkout_session::SessionFacts;
use crate::stripe::customer::CustomerFacts;
use crate::stripe::entitlements::FeatureFacts;
use crate::stripe::invoice::InvoiceFacts;
use crate::stripe::subscription::SubscriptionFacts;
use crate::stripe::subscription_schedule::ScheduleFacts;
use crate::time::StripeTime;

/// Folded state of one customer.
///
/// It is stored without field names: their order is part of the form that `FOLD_VERSION` stands for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CustomerState {
    /// The customer itself. Its deletion is terminal.
    pub customer: Option<Latest<CustomerFacts>>,
    /// Subscriptions, also those of which only an invoice is known.
    pub subscriptions: BTreeMap<SubscriptionId, SubscriptionState>,
    /// Checkout sessions.
    pub sessions: BTreeMap<SessionId, Latest<SessionFacts>>,
    /// Subscription schedules.
    pub schedules: BTreeMap<ScheduleId, Latest<ScheduleFacts>>,
    /// Features that the customer is entitled to.
    pub features: Option<Latest<FeatureFacts>>,
    /// Code of each discount with the second of its event. Snapshots may name a discount by its id alone.
    pub discount_codes: BTreeMap<String, (StripeTime, String)>,
    /// Address of the latest invoice or checkout session, with the second of its event.
    pub last_email: Option<(StripeTime, String)>,
    /// Latest link to a user that an operator imported.
    pub user_link: Option<UserLink>,
}

/// Folded state of one subscription.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SubscriptionState {
    /// Latest snapshots. None while only invoices have arrived.
    pub snapshots: Option<Latest<SubscriptionFacts>>,
    /// Seconds from which the start of the current debt is computed.
    pub overdue: Overdue,
    /// Invoices of the subscription.
    pub invoices: BTreeMap<InvoiceId, InvoiceState>,
}

/// Folded state of one invoice, for one subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct InvoiceState {
    /// Latest snapshots. Deletion (of a draft) is terminal.
    pub snapshots: Latest<InvoiceFacts>,
    /// First second of a snapshot with the status `paid`.
    pub first_paid: Option<StripeTime>,
    /// Last second in which a payment failed.
    pub last_failed: Option<StripeTime>,
    /// First second of a snapshot, by the clock of events. `created` is by the test clock, if there is one.
    pub first_seen: StripeTime,
    /// True if the invoice is sorted after others of its second, to find out whether a row would change.
    #[serde(skip)]
    pub is_assumed_last: bool,
}

/// Change that one event makes to a customer's state.
#[derive(Clone, Debug, PartialEq)]
pub enum StateChange {
    /// Snapshot of the customer.
    Customer(Latest<CustomerFacts>),
    /// Snapshot of a subscription, and its second for [`Overdue`].
    Subscription(SubscriptionId, Latest<SubscriptionFacts>, Overdue),
    /// Snapshot of an invoice, for each subscription that it concerns, and its address.
    Invoice(InvoiceId, Vec<(SubscriptionId, InvoiceState)>, Option<(StripeTime, String)>),
    /// Snapshot of a checkout session.
    Session(SessionId, Latest<SessionFacts>),
    /// Snapshot of a schedule.
    Schedule(ScheduleId, Latest<ScheduleFacts>),
    /// Summary of features.
    Features(Latest<FeatureFacts>),
    /// Code of a discount.
    Discount(String, (StripeTime, String)),
    /// Link to a user.
    UserLink(UserLink),
}

impl CustomerState {
    /// Joins the change of one event in.
    pub fn apply(&mut self, change: StateChange) {
        match change {
            StateChange::Customer(latest) => join_into(&mut self.customer, latest),
            StateChange::Subscription(id, latest, overdue) => {
                for discount in latest.facts().flat_map(|facts| &facts.discounts) {
                    if let (Some(id), Some(code)) = (&discount.id, &discount.code) {
                        let code = (latest.created(), code.clone());
                        join_greatest(&mut self.discount_codes, id.clone(), code);
                    }
                }
                let subscription = self.subscriptions.entry(id).or_default();
                join_into(&mut subscription.snapshots, latest);
                subscription.overdue.join(overdue);
            }
            StateChange::Invoice(id, invoices, email) => {
                for (subscription, invoice) in invoices {
                    let of_subscription = self.subscriptions.entry(subscription).or_default();
                    join_at(&mut of_subscription.invoices, id.clone(), invoice, InvoiceState::join);
                }
                self.join_email(email);
            }
            StateChange::Session(id, latest) => {
                let Winner { facts, created, is_observed, .. } = latest.winner();
                // An old session that is observed now has an old address.
                let said_at = facts.created.filter(|_| is_observed).unwrap_or(created);
                self.join_email(facts.email.clone().map(|email| (said_at, email)));
                join_at(&mut self.sessions, id, latest, Latest::join);
            }
            StateChange::Discount(id, code) => join_greatest(&mut self.discount_codes, id, code),
            StateChange::Schedule(id, latest) => {
                join_at(&mut self.schedules, id, latest, Latest::join);
            }
            StateChange::Features(latest) => join_into(&mut self.features, latest),
            StateChange::UserLink(link) => self.join_user_link(Some(link)),
        }
    }

    fn join_email(&mut self, email: Option<(StripeTime, String)>) {
        if email > self.last_email {
            self.last_email = email;
        }
    }

    fn join_user_link(&mut self, link: Option<UserLink>) {
        if link > self.user_link {
            self.user_link = link;
        }
    }

    /// Computes the digests that were put off, and drops the bodies.
    pub fn materialize(&mut self) {
        let Self {
            customer,
            subscriptions,
            sessions,
            schedules,
            features,
            discount_codes: _,
            last_email: _,
            user_link: _,
        } = self;
        customer.iter_mut().for_each(Latest::materialize);
        sessions.values_mut().for_each(Latest::materialize);
        schedules.values_mut().for_each(Latest::materialize);
        features.iter_mut().for_each(Latest::materialize);
        subscriptions.values_mut().for_each(SubscriptionState::materialize);
    }

    /// Events that may have been the last about an object of this customer, or about the customer itself.
    pub fn last_candidates(&self, key: &CustomerKey, object: &str) -> Vec<&Evidence> {
        let Self {
            customer,
            subscriptions,
            sessions,
            schedules,
            // A summary has no id.
            features: _,
            discount_codes: _,
            last_email: _,
            user_link: _,
        } = self;
        if object == key.customer.as_str() {
            return customer.iter().flat_map(Latest::last_candidates).collect();
        }
        let subscription = subscriptions.get(&SubscriptionId::from(object));
        let subscription = subscription.and_then(|it| it.snapshots.as_ref());
        let session = sessions.get(&SessionId::from(object));
        let schedule = schedules.get(&ScheduleId::from(object));
        let invoice = InvoiceId::from(object);
        let invoice = subscriptions.values().find_map(|it| it.invoices.get(&invoice));
        subscription
            .map(Latest::last_candidates)
            .or_else(|| session.map(Latest::last_candidates))
            .or_else(|| schedule.map(Latest::last_candidates))
            .or_else(|| invoice.map(|it| it.snapshots.last_candidates()))
            .unwrap_or_default()
    }

    /// The winning event of each object.
    pub fn winners(&self) -> impl Iterator<Item = &EventId> {
        let Self {
            customer,
            subscriptions,
            sessions,
            schedules,
            features,
            discount_codes: _,
            last_email: _,
            user_link: _,
        } = self;
        (customer.iter().map(winner))
            .chain(subscriptions.values().flat_map(SubscriptionState::winners))
            .chain(sessions.values().map(winner))
            .chain(schedules.values().map(winner))
            .chain(features.iter().map(winner))
    }

    /// Joins another state of the same customer in.
    pub fn join(&mut self, other: Self) {
        let Self {
            customer,
            subscriptions,
            sessions,
            schedules,
            features,
            discount_codes,
            last_email,
            user_link,
        } = other;
        if let Some(latest) = customer {
            join_into(&mut self.customer, latest);
        }
        join_each(&mut self.subscriptions, subscriptions, SubscriptionState::join);
        join_each(&mut self.sessions, sessions, Latest::join);
        join_each(&mut self.schedules, schedules, Latest::join);
        if let Some(latest) = features {
            join_into(&mut self.features, latest);
        }
        for (id, code) in discount_codes {
            join_greatest(&mut self.discount_codes, id, code);
        }
        self.join_email(last_email);
        self.join_user_link(user_link);
    }
}

fn winner<F: Clone + PartialEq>(latest: &Latest<F>) -> &EventId {
    latest.winner().event_id
}

impl SubscriptionState {
    fn materialize(&mut self) {
        let Self { snapshots, overdue: _, invoices } = self;
        snapshots.iter_mut().for_each(Latest::materialize);
        invoices.values_mut().for_each(InvoiceState::materialize);
    }

    fn winners(&self) -> impl Iterator<Item = &EventId> {
        let Self { snapshots, overdue: _, invoices } = self;
        snapshots.iter().map(winner).chain(invoices.values().map(InvoiceState::winner))
    }

    fn join(&mut self, other: Self) {
        let Self { snapshots, overdue, invoices } = other;
        if let Some(latest) = snapshots {
            join_into(&mut self.snapshots, latest);
        }
        self.overdue.join(overdue);
        join_each(&mut self.invoices, invoices, InvoiceState::join);
    }
}

/// Joins a map of joins, key by key.
fn join_each<K: Ord, V>(into: &mut BTreeMap<K, V>, other: BTreeMap<K, V>, join: fn(&mut V, V)) {
    for (key, value) in other {
        join_at(into, key, value, join);
    }
}

/// Joins a value into a map of which the greatest values count.
fn join_greatest<K: Ord, V: Ord>(into: &mut BTreeMap<K, V>, key: K, value: V) {
    join_at(into, key, value, |present, value| {
        if value > *present {
            *present = value;
        }
    });
}

/// Joins a value into a map of joins.
fn join_at<K: Ord, V>(into: &mut BTreeMap<K, V>, key: K, value: V, join: fn(&mut V, V)) {
    match into.entry(key) {
        Entry::Occupied(mut present) => join(present.get_mut(), value),
        Entry::Vacant(place) => {
            place.insert(value);
        }
    }
}

impl InvoiceState {
    fn materialize(&mut self) {
        let Self { snapshots, first_paid: _, last_failed: _, first_seen: _, is_assumed_last: _ } =
            self;
        snapshots.materialize();
    }

    fn winner(&self) -> &EventId {
        let Self { snapshots, first_paid: _, last_failed: _, first_seen: _, is_assumed_last: _ } =
            self;
        winner(snapshots)
    }

    fn join(&mut self, other: Self) {
        let Self { snapshots, first_paid, last_failed, first_seen, is_assumed_last: _ } = other;
        self.snapshots.join(snapshots);
        self.first_paid = self.first_paid.into_iter().chain(first_paid).min();
        self.last_failed = self.last_failed.max(last_failed);
        self.first_seen = self.first_seen.min(first_seen);
    }
}
