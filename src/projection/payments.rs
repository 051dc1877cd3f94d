//! What the invoices of a subscription say together.

use super::group::{Standing, Winner};
use super::state::{InvoiceState, SubscriptionState};
use crate::ids::InvoiceId;
use crate::time::StripeTime;

/// What the invoices of a subscription say together.
pub(super) struct Payments<'a> {
    /// The latest invoice and its status; a deleted draft is none.
    pub(super) latest: Option<(&'a InvoiceId, &'a str)>,
    /// When Stripe tries to collect the latest one again.
    pub(super) next_attempt: Option<StripeTime>,
    /// When one was paid last.
    pub(super) paid_at: Option<StripeTime>,
    /// Whether money was ever paid.
    pub(super) ever_paid: bool,
    /// The latest period end that a paid one covers.
    pub(super) paid_through: Option<StripeTime>,
    /// When a payment failed last.
    pub(super) failed_at: Option<StripeTime>,
    /// The address that the latest one went to.
    pub(super) email: Option<&'a str>,
}

impl<'a> Payments<'a> {
    pub(super) fn of(subscription: &'a SubscriptionState) -> Self {
        let mut kept: Vec<(StripeTime, &InvoiceId, Winner<'_, _>, &InvoiceState)> = subscription
            .invoices
            .iter()
            .map(|(id, invoice)| (id, invoice.snapshots.winner(), invoice))
            .filter(|(_, winner, _)| winner.standing != Standing::Terminal)
            .map(|(id, winner, invoice)| {
                let made = winner.snapshot.facts.created.unwrap_or(winner.created);
                (made, id, winner, invoice)
            })
            .collect();
        kept.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        let latest = kept.last().map(|(_, id, winner, _)| (*id, &winner.snapshot.facts));
        let paid = || kept.iter().filter(|(_, _, winner, _)| winner.snapshot.facts.is_paid());
        Self {
            latest: latest.map(|(id, facts)| (id, facts.status.as_str())),
            next_attempt: latest.and_then(|(_, facts)| facts.next_payment_attempt),
            paid_at: paid()
                .filter_map(|(_, _, winner, invoice)| {
                    winner.snapshot.facts.paid_at.or(invoice.paid_first)
                })
                .max(),
            ever_paid: kept.iter().any(|(_, _, winner, _)| winner.snapshot.facts.has_earned()),
            paid_through: paid()
                .filter_map(|(_, _, winner, _)| winner.snapshot.facts.line_period_end)
                .max(),
            failed_at: kept.iter().filter_map(|(.., invoice)| invoice.failed_last).max(),
            email: latest.and_then(|(_, facts)| facts.email.as_deref()),
        }
    }
}
