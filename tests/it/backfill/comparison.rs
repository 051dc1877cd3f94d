//! Comparison of a ledger with Stripe's truth.

use std::collections::{BTreeMap, BTreeSet};

use subledger::projection::row::{ItemRow, SubscriptionRow};
use subledger::simulate::TruthRow;

/// Fields of the truth that tell what led to a state. An observation does not show them.
const OF_EVENTS: [&str; 5] =
    ["api_version", "last_event_at", "last_event_id", "order_ambiguous", "payment_failed_at"];

/// Known state of all subscriptions.
pub(crate) struct Known<'a> {
    /// Expected state of each subscription.
    pub(crate) truth: &'a [TruthRow],
    /// Rows of a ledger that heard every event. Access and items are compared with them, because Stripe knows no access.
    pub(crate) heard: &'a [SubscriptionRow],
    /// Customers that the API shows.
    pub(crate) shown: &'a BTreeSet<String>,
}

impl Known<'_> {
    /// Differences of the rows of a ledger.
    pub(crate) fn wrong(&self, rows: &[SubscriptionRow]) -> Vec<String> {
        let heard: BTreeMap<_, _> =
            self.heard.iter().map(|row| (row.subscription_id.as_str(), row)).collect();
        let mut rows: BTreeMap<&str, &SubscriptionRow> =
            rows.iter().map(|row| (row.subscription_id.as_str(), row)).collect();
        let mut wrong = Vec::new();
        for truth in self.truth {
            let id = truth.subscription_id.as_str();
            match (rows.remove(id), heard.get(id)) {
                (Some(row), Some(heard)) => self.compare(truth, heard, row, &mut wrong),
                _ => wrong.push(format!("{id} is missing ({})", truth.status)),
            }
        }
        wrong.extend(rows.keys().map(|id| format!("{id} is not at Stripe")));
        wrong
    }

    fn compare(
        &self,
        truth: &TruthRow,
        heard: &SubscriptionRow,
        row: &SubscriptionRow,
        wrong: &mut Vec<String>,
    ) {
        let id = truth.subscription_id.as_str();
        // A test clock leaps, and its objects have its time. Only an event tells when that was by the time of events, in
        // which grace is counted.
        let is_leap = row.test_clock_id.is_some() && row.status == "past_due";
        let is_shown_customer = self.shown.contains(row.customer_id.as_str());
        let json = |it: serde_json::Result<serde_json::Value>| it.unwrap_or_default();
        let (truth, json) = (json(serde_json::to_value(truth)), json(serde_json::to_value(row)));
        for (field, expected) in truth.as_object().into_iter().flatten() {
            // The API shows nothing of a deleted customer, and all features instead of ten.
            let is_shown = match field.as_str() {
                "past_due_since" => !is_leap,
                "email" => is_shown_customer,
                // Where the metadata of a customer named the user.
                "user_id_conflict" => is_shown_customer,
                "user_id" | "user_id_source" => {
                    is_shown_customer || truth["user_id_source"] != "customer.metadata"
                }
                "features" | "features_truncated" => false,
                field => !OF_EVENTS.contains(&field),
            };
            if json[field] != *expected && is_shown {
                wrong.push(format!("{id} {field}: {} is not {expected}", json[field]));
            }
        }
        let access = |row: &SubscriptionRow| (row.entitled, row.entitled_until);
        if access(row) != access(heard) && !is_leap {
            wrong.push(format!("{id} access: {:?} is not {:?}", access(row), access(heard)));
        }
        let items = |row: &SubscriptionRow| {
            let item = |it: &ItemRow| (it.item_id.clone(), it.price_id.clone(), it.quantity);
            row.items.0.iter().map(item).collect::<Vec<_>>()
        };
        if items(row) != items(heard) {
            wrong.push(format!("{id} items: {:?} are not {:?}", items(row), items(heard)));
        }
    }
}
