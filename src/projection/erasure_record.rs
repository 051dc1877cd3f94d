//! Record of an erasure: an event of the ledger's own, which the fold reads like one of Stripe's.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::own_record;
use crate::ids::{CustomerId, EventId, Scope, SubscriptionId};
use crate::time::StripeTime;

/// Record of one erasure: author, reason and erased events. The record's own time is that of its event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasureRecord {
    /// Person or office that erased.
    pub by: String,
    /// Reason, such as the number of a request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Erased events, all of the record's account and mode.
    pub events: Vec<ErasedEvent>,
}

/// Event whose body was erased.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErasedEvent {
    /// Id of the event.
    pub event_id: EventId,
    /// Customers whose timelines hold it. Ids alone, so that a history can say that something is gone.
    pub subjects: Vec<ErasedSubject>,
}

/// Customer, or payment object in place of a customer, and the subscription that the event named.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ErasedSubject {
    /// `cus_…`
    pub customer: CustomerId,
    /// `sub_…`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<SubscriptionId>,
}

impl ErasureRecord {
    /// Type of the event.
    pub const TYPE: &str = "subledger.erasure";

    /// Reads the record from the body of an event; none if the body is no such record.
    pub fn read(body: &str) -> Option<Self> {
        own_record::read(Self::TYPE, body)
    }

    /// Body of the record's event.
    pub fn into_body(self, id: &EventId, scope: &Scope, at: StripeTime) -> String {
        own_record::write(Self::TYPE, id, scope, at, self)
    }

    /// Sentence of a history: "erased on 2026-03-01 by Ann (request 7)".
    pub fn describe(&self, at: StripeTime) -> String {
        let day = at.to_string();
        let day = day.get(..10).unwrap_or(&day);
        let reason = self.reason.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        format!("erased on {day} by {}{reason}", self.by)
    }

    /// Customers and subscriptions whose timelines hold the erased events.
    pub fn subjects(&self) -> BTreeSet<&ErasedSubject> {
        self.events.iter().flat_map(|event| &event.subjects).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_record_is_none() {
        for body in ["", "{}", r#"{"id":"evt_1","type":"customer.created","data":{"object":{}}}"#] {
            assert_eq!(ErasureRecord::read(body), None);
        }
    }
}
