//! `invoice`: what was asked, whether it was paid, and for which subscription.

use serde::{Deserialize, Serialize};

use super::json::{Id, List, Seconds, Text};
use super::price::owned;
use super::routing::Trail;
use crate::time::StripeTime;

/// What the ledger keeps of one snapshot of an invoice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceFacts {
    /// When the invoice was made.
    pub created: Option<StripeTime>,
    /// `draft`, `open`, `paid`, `uncollectible`, `void`, or what Stripe calls it later.
    pub status: String,
    /// When it was paid, where Stripe says so.
    pub paid_at: Option<StripeTime>,
    /// What was paid, in minor units; none where nothing says.
    pub amount_paid: Option<i64>,
    /// When Stripe tries to collect again.
    pub next_payment_attempt: Option<StripeTime>,
    /// The greatest period end of a line for the subscription that is no credit: until when it pays.
    pub line_period_end: Option<StripeTime>,
    /// The address that the invoice goes to.
    pub email: Option<String>,
}

impl InvoiceFacts {
    /// Whether it is paid.
    pub fn is_paid(&self) -> bool {
        self.status == "paid"
    }

    /// Whether money was paid for it: the invoice of a trial is paid, too, and asks for nothing.
    pub fn has_earned(&self) -> bool {
        self.is_paid() && self.amount_paid.is_none_or(|amount| amount > 0)
    }
}

/// An invoice as it stands in an event.
#[derive(Clone, Debug, Deserialize)]
pub struct Invoice<'a> {
    /// The kind of object that this says it is.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `in_…`; an upcoming invoice has none.
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    /// The customer's id, or the expanded customer.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    /// The account that stands for a customer, since 2026-03-25.dahlia.
    #[serde(borrow)]
    pub customer_account: Option<Text<'a>>,
    #[serde(borrow)]
    parent: Option<Parent<'a>>,
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow)]
    charge: Option<Id<'a>>,
    #[serde(borrow)]
    payment_intent: Option<Id<'a>>,
    #[serde(borrow)]
    lines: Option<List<Line<'a>>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    paid: Option<bool>,
    closed: Option<bool>,
    forgiven: Option<bool>,
    amount_paid: Option<i64>,
    amount_due: Option<i64>,
    created: Option<Seconds>,
    date: Option<Seconds>,
    next_payment_attempt: Option<Seconds>,
    status_transitions: Option<StatusTransitions>,
    #[serde(borrow)]
    customer_email: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct StatusTransitions {
    paid_at: Option<Seconds>,
}

/// `parent`, since 2025-03-31.basil, of an invoice or of one of its lines.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Parent<'a> {
    #[serde(borrow)]
    subscription_details: Option<ParentSubscription<'a>>,
    #[serde(borrow)]
    subscription_item_details: Option<ParentSubscription<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct ParentSubscription<'a> {
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
}

/// `lines.data[]`.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    id: Option<Text<'a>>,
    #[serde(borrow)]
    parent: Option<Parent<'a>>,
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    amount: Option<i64>,
    period: Option<Period>,
}

#[derive(Clone, Debug, Deserialize)]
struct Period {
    end: Option<Seconds>,
}

impl<'a> Parent<'a> {
    /// The subscription that an invoice's or a line's parent names.
    pub(super) fn subscription(&self) -> Option<&Text<'a>> {
        let details = self.subscription_details.as_ref();
        let details = details.or(self.subscription_item_details.as_ref())?;
        details.subscription.as_ref().map(|id| &id.0)
    }
}

impl<'a> Line<'a> {
    /// The subscription that a line is for: `parent.subscription_item_details.subscription`
    /// (2025-03-31.basil), `subscription`, or, on the oldest invoices, the line's own id.
    pub(super) fn subscription(&self) -> Option<&Text<'a>> {
        self.parent
            .as_ref()
            .and_then(Parent::subscription)
            .or_else(|| self.subscription.as_ref().map(|id| &id.0))
            .or_else(|| {
                let id = self.id.as_ref()?;
                let is_subscription = self.kind.as_deref() == Some("subscription")
                    && (id.starts_with("sub_") || id.starts_with("su_"));
                is_subscription.then_some(id)
            })
    }
}

impl<'a> Invoice<'a> {
    /// The subscription that the invoice is for, from the first place that names one:
    /// `parent.subscription_details.subscription`, `subscription`, then the lines.
    pub fn subscription(&self) -> Option<&str> {
        self.parent
            .as_ref()
            .and_then(Parent::subscription)
            .or_else(|| self.subscription.as_ref().map(|id| &id.0))
            .or_else(|| self.lines().iter().find_map(Line::subscription))
            .map(|id| &**id)
    }

    /// The invoice itself and, before 2025-03-31.basil, the payment that it names.
    pub fn trail(&self) -> Trail<'a> {
        Trail {
            invoice: self.id.clone(),
            payment_intent: self.payment_intent.clone().map(|id| id.0),
            charge: self.charge.clone().map(|id| id.0),
        }
    }

    /// The status: `status` (2018-11-08), or what `paid`, `forgiven` and `closed` meant before.
    pub fn status(&self) -> &str {
        self.status.as_deref().unwrap_or_else(|| self.status_before_2018())
    }

    /// The facts, in the [reading order](super#where-each-fact-is-found).
    pub fn facts(&self) -> InvoiceFacts {
        let subscription = self.subscription();
        // A line for another subscription says nothing about how far this one is paid, nor does a
        // credit: after a change of plan it ends where the old period would have.
        let own_lines = self.lines().iter().filter(|line| {
            line.amount.is_none_or(|amount| amount >= 0)
                && line.subscription().is_none_or(|of_line| Some(&**of_line) == subscription)
        });
        InvoiceFacts {
            created: self.created.or(self.date).map(StripeTime::from),
            status: self.status().to_owned(),
            paid_at: self.status_transitions.as_ref().and_then(|t| t.paid_at).map(StripeTime::from),
            amount_paid: self.amount_paid.or(self.amount_due),
            next_payment_attempt: self.next_payment_attempt.map(StripeTime::from),
            line_period_end: own_lines
                .filter_map(|line| line.period.as_ref()?.end)
                .max()
                .map(StripeTime::from),
            email: owned(self.customer_email.as_ref()),
        }
    }

    fn lines(&self) -> &[Line<'a>] {
        self.lines.as_ref().map_or(&[], |lines| &lines.data)
    }

    fn status_before_2018(&self) -> &'static str {
        if self.paid == Some(true) {
            "paid"
        } else if self.forgiven == Some(true) {
            "uncollectible"
        } else if self.closed == Some(true) {
            "void"
        } else {
            "open"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invoice(json: &str) -> Invoice<'_> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_subscription_is_found_by_every_road() {
        for json in [
            r#"{"parent":{"type":"subscription_details","subscription_details":{"subscription":"sub_1"}}}"#,
            r#"{"subscription":"sub_1","parent":null}"#,
            r#"{"subscription":{"id":"sub_1","object":"subscription"}}"#,
            r#"{"lines":{"data":[{"parent":{"subscription_item_details":{"subscription":"sub_1"}}}]}}"#,
            r#"{"lines":{"data":[{"subscription":null},{"subscription":"sub_1"}]}}"#,
            r#"{"lines":{"data":[{"id":"sub_1","type":"subscription"}]}}"#,
        ] {
            assert_eq!(invoice(json).subscription(), Some("sub_1"), "{json}");
        }
        let manual = r#"{"parent":null,"lines":{"data":[{"id":"il_1","type":"invoiceitem"}]}}"#;
        assert_eq!(invoice(manual).subscription(), None);
    }

    #[test]
    fn the_status_of_old_invoices_is_read_from_their_flags() {
        for (json, status) in [
            (r#"{"status":"open","paid":false}"#, "open"),
            (r#"{"paid":true,"closed":true,"forgiven":false}"#, "paid"),
            (r#"{"paid":false,"closed":true,"forgiven":true}"#, "uncollectible"),
            (r#"{"paid":false,"closed":true,"forgiven":false}"#, "void"),
            (r#"{"paid":false,"closed":false,"forgiven":false}"#, "open"),
        ] {
            assert_eq!(invoice(json).facts().status, status, "{json}");
        }
    }

    #[test]
    fn an_invoice_of_before_2019_is_dated_by_date() {
        let made = |json| invoice(json).facts().created;
        assert_eq!(made(r#"{"date":7}"#), Some(StripeTime(7)));
        assert_eq!(made(r#"{"date":7,"created":8}"#), Some(StripeTime(8)));
    }

    #[test]
    fn an_invoice_of_nothing_is_paid_and_earns_nothing() {
        for (json, earned) in [
            (r#"{"status":"paid","amount_paid":900,"amount_due":0}"#, true),
            (r#"{"status":"paid","amount_paid":0,"amount_due":900}"#, false),
            (r#"{"paid":true,"amount_due":900}"#, true),
            (r#"{"paid":true,"amount_due":0}"#, false),
            (r#"{"status":"paid"}"#, true),
            (r#"{"status":"open","amount_paid":900}"#, false),
        ] {
            assert_eq!(invoice(json).facts().has_earned(), earned, "{json}");
        }
    }

    #[test]
    fn only_lines_of_the_same_subscription_say_how_far_it_is_paid() {
        let facts = invoice(
            r#"{"subscription":"sub_1","lines":{"data":[
            {"subscription":"sub_1","period":{"start":1,"end":9}},
            {"subscription":"sub_2","period":{"start":1,"end":99}},
            {"subscription":"sub_1","amount":-500,"period":{"start":1,"end":70}},
            {"type":"invoiceitem","period":{"start":3,"end":3}}]}}"#,
        )
        .facts();
        assert_eq!(facts.line_period_end, Some(StripeTime(9)));
    }
}
