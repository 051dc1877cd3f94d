//! The state of one customer: everything that its rows are made of, as a join.
//!
//! The state after a set of events does not depend on their order, their grouping, or how often
//! each came. Every field here is a join of its own: a [`Group`], a least, a greatest, or a map of
//! such.
//!
//! *Invariant: no policy and no clock; those enter when rows are made.*

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::group::{Group, join_into};
use crate::ids::{InvoiceId, SessionId, SubscriptionId};
use crate::stripe::checkout_session::SessionFacts;
use crate::stripe::customer::CustomerFacts;
use crate::stripe::invoice::InvoiceFacts;
use crate::stripe::subscription::SubscriptionFacts;
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
    pub paid_first: Option<StripeTime>,
    /// The last second in which a payment failed.
    pub failed_last: Option<StripeTime>,
}

/// Since when a subscription is past due, which its latest snapshot does not say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overdue {
    /// The latest second of a snapshot that is not past due.
    settled: Option<StripeTime>,
    /// The seconds of past-due snapshots from then on.
    overdue: BTreeSet<StripeTime>,
}

impl CustomerState {
    /// Joins another state of the same customer into this one.
    pub fn join(&mut self, other: Self) {
        if let Some(customer) = other.customer {
            join_into(&mut self.customer, customer);
        }
        for (id, subscription) in other.subscriptions {
            self.subscriptions.entry(id).or_default().join(subscription);
        }
        for (id, session) in other.sessions {
            match self.sessions.get_mut(&id) {
                Some(present) => present.join(session),
                None => {
                    self.sessions.insert(id, session);
                }
            }
        }
    }
}

impl SubscriptionState {
    fn join(&mut self, other: Self) {
        if let Some(snapshots) = other.snapshots {
            join_into(&mut self.snapshots, snapshots);
        }
        self.overdue.join(other.overdue);
        for (id, invoice) in other.invoices {
            match self.invoices.get_mut(&id) {
                Some(present) => present.join(invoice),
                None => {
                    self.invoices.insert(id, invoice);
                }
            }
        }
    }
}

impl InvoiceState {
    fn join(&mut self, other: Self) {
        self.snapshots.join(other.snapshots);
        self.paid_first = self.paid_first.into_iter().chain(other.paid_first).min();
        self.failed_last = self.failed_last.max(other.failed_last);
    }
}

impl Overdue {
    /// What one snapshot of this second says.
    pub fn seen(at: StripeTime, past_due: bool) -> Self {
        if past_due {
            Self { settled: None, overdue: BTreeSet::from([at]) }
        } else {
            Self { settled: Some(at), overdue: BTreeSet::new() }
        }
    }

    /// The first past-due second after the last settled one. Where both fell into one second, that
    /// second.
    pub fn since(&self) -> Option<StripeTime> {
        let after = self.overdue.iter().find(|at| Some(**at) > self.settled);
        after.or(self.overdue.first()).copied()
    }

    fn join(&mut self, other: Self) {
        self.settled = self.settled.max(other.settled);
        self.overdue.extend(other.overdue);
        if let Some(settled) = self.settled {
            self.overdue = self.overdue.split_off(&settled);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(seen: &[(i64, bool)]) -> Option<i64> {
        let mut overdue = Overdue::default();
        for (at, past_due) in seen {
            overdue.join(Overdue::seen(StripeTime(*at), *past_due));
        }
        overdue.since().map(|at| at.0)
    }

    #[test]
    fn overdue_counts_from_the_first_past_due_second_after_the_last_settled_one() {
        assert_eq!(since(&[(1, false), (5, true), (8, true)]), Some(5));
        assert_eq!(since(&[(8, true), (5, true), (1, false)]), Some(5));
        assert_eq!(since(&[(5, true), (8, true), (6, false)]), Some(8));
        assert_eq!(since(&[(5, true), (6, false)]), None);
        assert_eq!(since(&[(6, true), (6, false)]), Some(6));
        assert_eq!(since(&[(6, true), (6, false), (7, true)]), Some(7));
    }
}
