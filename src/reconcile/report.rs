//! Report of a reconciliation.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::amount::MonthlyAmount;
use super::class::Class;
use super::fields::{FieldDifference, HIDDEN, hide};
use crate::ids::{AccountId, CustomerId, EventId, SubscriptionId};
use crate::time::StripeTime;

/// Differences that a stored report lists, at most.
pub const STORED_DIFFERENCES_MAX: usize = 1_000;

/// Difference between the ledger and Stripe, of one subscription.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// Subscription.
    pub subscription_id: SubscriptionId,
    /// Its customer.
    pub customer_id: CustomerId,
    /// Its user, by the ledger, or else by Stripe.
    pub user_id: Option<String>,
    /// Class.
    pub class: Class,
    /// True if the ledger is wrong.
    pub is_drift: bool,
    /// Sentence that says why.
    pub reason: String,
    /// Events that explain it, the newest first, at most 20.
    pub events: Vec<EventId>,
    /// Number of all of them.
    pub event_count: u64,
    /// Second of the first of them.
    pub since: Option<StripeTime>,
    /// Fields that differ.
    pub fields: Vec<FieldDifference>,
    /// Access by the ledger.
    pub access_before: bool,
    /// Access by Stripe's state.
    pub access_after: bool,
    /// True if the ledger agrees after the missing evidence was appended; none if nothing was to be appended.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub is_healed: Option<bool>,
}

/// Outcome of the healing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Healing {
    /// Number of events and observations that were appended.
    pub appended: u64,
    /// Number of differences that are gone.
    pub healed: u64,
    /// Number of differences that stay.
    pub remaining: u64,
}

/// Report of the reconciliation of one account and mode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Connected account; empty for the platform's own.
    pub account: AccountId,
    /// Live or test mode.
    pub livemode: bool,
    /// Second in which ledger and Stripe were compared, by the ledger's clock.
    pub compared_at: StripeTime,
    /// Number of subscriptions that Stripe showed.
    pub compared: u64,
    /// Number of differences.
    pub differing: u64,
    /// Number of differences that are drift.
    pub drift: u64,
    /// Number of differences of each class.
    pub classes: BTreeMap<Class, u64>,
    /// Number of subscriptions that lose access by healing.
    pub lose_access: u64,
    /// Number of subscriptions that gain access by healing.
    pub gain_access: u64,
    /// Recurring amount of the subscriptions that lose access.
    pub amount_lost: MonthlyAmount,
    /// Recurring amount of the subscriptions that gain access.
    pub amount_gained: MonthlyAmount,
    /// Number of listed events about customers that were never delivered.
    pub missed_events: u64,
    /// Number of objects that could not be read.
    pub unreadable: u64,
    /// Number of customers that differ and were left out, because there are too many.
    pub customers_left_out: u64,
    /// Healing, if it was asked for and something differed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub healing: Option<Healing>,
    /// Differences, by customer; a stored report has the first 1,000 of them.
    pub differences: Vec<Difference>,
}

impl Report {
    /// True if the ledger is not wrong.
    pub fn agrees(&self) -> bool {
        self.drift == 0 && self.customers_left_out == 0
    }

    /// Adds a difference, with the monthly amount of its subscription.
    pub(super) fn add(&mut self, difference: Difference, amount: &MonthlyAmount) {
        self.differing += 1;
        *self.classes.entry(difference.class).or_default() += 1;
        if difference.is_drift {
            self.drift += 1;
            match (difference.access_before, difference.access_after) {
                (true, false) => {
                    self.lose_access += 1;
                    self.amount_lost.add(amount);
                }
                (false, true) => {
                    self.gain_access += 1;
                    self.amount_gained.add(amount);
                }
                _ => {}
            }
        }
        self.differences.push(difference);
    }

    /// Recurring amount of all subscriptions that lose or gain access.
    pub fn amount_at_risk(&self) -> MonthlyAmount {
        let mut amount = self.amount_lost.clone();
        amount.add(&self.amount_gained);
        amount
    }

    /// Replaces addresses by a text, once all values were compared.
    pub(super) fn hide_addresses(&mut self) {
        for difference in &mut self.differences {
            difference.fields.iter_mut().for_each(hide);
            if let Some(user) = &mut difference.user_id
                && user.contains('@')
            {
                HIDDEN.clone_into(user);
            }
        }
    }

    /// JSON of the report as it is stored.
    pub fn to_stored_json(&self) -> String {
        let mut stored = self.clone();
        stored.differences.sort_by_key(|it| !it.is_drift);
        stored.differences.truncate(STORED_DIFFERENCES_MAX);
        serde_json::to_string(&stored).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn difference(class: Class, access: (bool, bool)) -> Difference {
        Difference {
            subscription_id: "sub_1".into(),
            customer_id: "cus_1".into(),
            user_id: Some("a@b.example".to_owned()),
            class,
            is_drift: class.is_drift(),
            reason: String::new(),
            events: Vec::new(),
            event_count: 0,
            since: None,
            fields: Vec::new(),
            access_before: access.0,
            access_after: access.1,
            is_healed: None,
        }
    }

    fn amount(of: i64) -> MonthlyAmount {
        MonthlyAmount { by_currency: [("eur".to_owned(), of)].into(), items_without_amount: 0 }
    }

    #[test]
    fn only_drift_counts_for_access_and_amounts() {
        let mut report = Report::default();
        report.add(difference(Class::MissedDelivery, (true, false)), &amount(100));
        report.add(difference(Class::UnknownHere, (false, true)), &amount(30));
        report.add(difference(Class::CutList, (true, true)), &amount(7));
        report.add(difference(Class::TestClock, (true, false)), &amount(5));
        assert_eq!((report.differing, report.drift), (4, 3));
        assert_eq!((report.lose_access, report.gain_access), (1, 1));
        assert_eq!(report.amount_at_risk(), amount(130));
        assert!(!report.agrees());
    }

    #[test]
    fn a_stored_report_is_limited_and_drift_comes_first() {
        let mut report = Report::default();
        for _ in 0..STORED_DIFFERENCES_MAX {
            report.add(difference(Class::TestClock, (false, false)), &amount(0));
        }
        report.add(difference(Class::Parked, (false, false)), &amount(0));
        report.hide_addresses();
        let stored = report.to_stored_json();
        assert!(!stored.contains('@'));
        let stored: Report = serde_json::from_str(&stored).unwrap();
        assert_eq!((stored.differing, stored.differences.len()), (1_001, 1_000));
        assert_eq!(stored.differences[0].class, Class::Parked);
    }
}
