//! `invoice`: amount, payment and subscriptions.

mod line;

use serde::{Deserialize, Serialize};

pub use line::LineFacts;
pub(super) use line::{Line, Parent};

use self::line::LinePurpose;
use super::json::{Id, List, Seconds, Text, owned_text};
use super::payment::PaymentReferences;
use crate::time::StripeTime;

/// Facts of one snapshot of an invoice, for one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceFacts {
    /// True if the subscription generated it. A manual invoice may contain prorations of the subscription, and
    /// the invoice of another subscription a line for this one: both pay for it without being its own.
    pub is_own: bool,
    /// Second in which the invoice was made.
    pub created: Option<StripeTime>,
    /// `draft`, `open`, `paid`, `uncollectible`, `void`, or a later status of Stripe's.
    pub status: String,
    /// Second of the payment, if Stripe says it.
    pub paid_at: Option<StripeTime>,
    /// Total in minor units, before the credit balance is applied; none if it is unknown.
    pub total: Option<i64>,
    /// Second of the next attempt to collect.
    pub next_payment_attempt: Option<StripeTime>,
    /// Second from which an unpaid invoice is owed: `due_date`, or its finalization, after which Stripe collects.
    pub due_at: Option<StripeTime>,
    /// Lines for the subscription's items, of a paid invoice.
    pub lines: Vec<LineFacts>,
    /// True if Stripe cut the list of lines before the subscription's own line for its new period, so that the
    /// time that a paid invoice pays for is unknown.
    pub are_lines_cut: bool,
    /// E-mail address that the invoice is sent to.
    pub email: Option<String>,
}

impl InvoiceFacts {
    /// True if the status is `paid`.
    pub fn is_paid(&self) -> bool {
        self.status == "paid"
    }

    /// True if it was sent and is not paid.
    pub fn is_owed(&self) -> bool {
        matches!(self.status.as_str(), "open" | "uncollectible")
    }

    /// True if it has a total above zero and is paid by any means: a card, a bank transfer, a credit balance.
    /// The invoice of a trial is paid, too, and has a total of zero.
    pub fn has_earned(&self) -> bool {
        self.is_paid() && self.total.is_none_or(|total| total > 0)
    }
}

/// An invoice as it is in an event.
#[derive(Clone, Debug, Deserialize)]
pub struct Invoice<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `in_…`; an upcoming invoice has none.
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    /// Id of the customer, or the expanded customer.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    /// Account in place of a customer, since 2026-03-25.dahlia.
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
    total: Option<i64>,
    amount_paid: Option<i64>,
    amount_due: Option<i64>,
    created: Option<Seconds>,
    date: Option<Seconds>,
    next_payment_attempt: Option<Seconds>,
    due_date: Option<Seconds>,
    status_transitions: Option<StatusTransitions>,
    #[serde(borrow)]
    customer_email: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct StatusTransitions {
    paid_at: Option<Seconds>,
    finalized_at: Option<Seconds>,
}

impl<'a> Invoice<'a> {
    /// The subscription that generated the invoice: `parent.subscription_details.subscription`,
    /// `subscription`, or, on the oldest invoices, a line for a period of one.
    pub fn own_subscription(&self) -> Option<&str> {
        let mut periods = self.lines().iter().filter(|it| it.purpose() == LinePurpose::Recurring);
        self.named_subscription().or_else(|| periods.find_map(|it| Some(&**it.subscription()?)))
    }

    /// The subscription on whose timeline the invoice stands: the one that generated it, or else the first that
    /// a line names.
    pub fn subscription(&self) -> Option<&str> {
        self.named_subscription()
            .or_else(|| self.lines().iter().find_map(Line::subscription).map(|id| &**id))
    }

    /// The subscriptions that the invoice concerns, without duplicates: the one that generated it, and those
    /// that its lines name.
    pub fn subscriptions(&self) -> Vec<&str> {
        let of_lines = self.lines().iter().filter(|it| it.purpose() != LinePurpose::OneOff);
        let of_lines = of_lines.filter_map(Line::subscription).map(|id| &**id);
        let mut all: Vec<&str> = self.own_subscription().into_iter().chain(of_lines).collect();
        all.sort_unstable();
        all.dedup();
        all.retain(|id| !id.is_empty());
        all
    }

    fn named_subscription(&self) -> Option<&str> {
        let of_parent = self.parent.as_ref().and_then(Parent::subscription);
        of_parent.or_else(|| self.subscription.as_ref().map(|id| &id.0)).map(|id| &**id)
    }

    /// The invoice itself and, before 2025-03-31.basil, the payment that it names.
    pub fn payment_references(&self) -> PaymentReferences<'a> {
        PaymentReferences {
            invoice: self.id.clone(),
            payment_intent: self.payment_intent.clone().map(|id| id.0),
            charge: self.charge.clone().map(|id| id.0),
        }
    }

    /// The status: `status` (2018-11-08), or what `paid`, `forgiven` and `closed` meant before.
    pub fn status(&self) -> &str {
        self.status.as_deref().unwrap_or_else(|| self.status_before_2018())
    }

    /// The facts for one of its [subscriptions](Self::subscriptions), in the
    /// [reading order](super#where-each-fact-is-found).
    pub fn facts(&self, subscription: &str) -> InvoiceFacts {
        let is_own = self.own_subscription() == Some(subscription);
        // A line belongs to the subscription that it names, and to the invoice's own where it names none.
        let is_of = |line: &&Line<'_>| {
            let named = line.subscription().map(|id| &**id);
            line.purpose() != LinePurpose::OneOff
                && named.map_or(is_own, |named| named == subscription)
        };
        let lines = || self.lines().iter().filter(is_of);
        // Usage is billed afterwards: its period has ended when the invoice is made.
        let made = self.made();
        let pays_a_period = |line: &Line<'_>| {
            line.purpose() == LinePurpose::Recurring
                && !line.is_credit()
                && (made.is_none() || line.end() > made)
        };
        let is_paid = self.status() == "paid";
        let are_lines_cut = self.lines.as_ref().is_some_and(List::is_truncated);
        InvoiceFacts {
            is_own,
            created: self.made(),
            status: self.status().to_owned(),
            paid_at: self.status_transitions.as_ref().and_then(|t| t.paid_at).map(StripeTime::from),
            total: self.total.or(self.amount_paid.max(self.amount_due)),
            next_payment_attempt: self.next_payment_attempt.map(StripeTime::from),
            due_at: if is_paid { None } else { self.due_at() },
            lines: if is_paid { lines().filter_map(Line::facts).collect() } else { Vec::new() },
            are_lines_cut: is_paid && is_own && are_lines_cut && !lines().any(pays_a_period),
            email: self.email(),
        }
    }

    /// E-mail address that the invoice is sent to.
    pub fn email(&self) -> Option<String> {
        owned_text(self.customer_email.as_ref())
    }

    /// Second in which the invoice was made.
    pub fn made(&self) -> Option<StripeTime> {
        self.created.or(self.date).map(StripeTime::from)
    }

    fn due_at(&self) -> Option<StripeTime> {
        let finalized = self.status_transitions.as_ref().and_then(|it| it.finalized_at);
        self.due_date.or(finalized).map(StripeTime::from)
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
mod tests;
