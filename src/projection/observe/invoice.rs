//! `invoice.*`, but for `invoice.upcoming`: what was asked and whether it was paid.

use super::error::read;
use super::{FoldError, Observation, evidence, follow, group, named_customer, observation};
use crate::ids::{InvoiceId, SubscriptionId};
use crate::projection::group::Standing;
use crate::projection::state::{Change, InvoiceState};
use crate::stripe::invoice::Invoice;

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read("invoice", body, |it: &Invoice<'_>| it.object.as_ref())?;
    let Some((envelope, invoice)) = read else { return Ok(None) };
    let envelope = &envelope;
    let subscription = invoice.subscription().map(SubscriptionId::from);
    let mut change = None;
    if let (Some(subscription), Some(id)) = (&subscription, &invoice.id) {
        let facts = invoice.facts();
        let deleted = envelope.event_type == "invoice.deleted";
        let standing = if deleted { Standing::Terminal } else { Standing::Live };
        let evidence = evidence(envelope, body, rank(&envelope.event_type, &facts.status));
        let paid_first = facts.is_paid().then_some(envelope.created);
        let failed = envelope.event_type == "invoice.payment_failed";
        let of_invoice = InvoiceState {
            snapshots: group(envelope, standing, facts, evidence),
            paid_first,
            failed_last: failed.then_some(envelope.created),
        };
        let id = InvoiceId::from(&**id);
        change = Some(Change::Invoice(subscription.clone(), id, of_invoice));
    }
    let trail = invoice.trail();
    let customer = named_customer(invoice.customer, invoice.customer_account);
    let mut observed = observation(envelope, customer, subscription, change);
    follow(&mut observed, envelope, &trail);
    Ok(Some(observed))
}

/// How far a status is along an invoice's life.
fn rank(event_type: &str, status: &str) -> u8 {
    match status {
        _ if event_type == "invoice.deleted" => 3,
        "draft" => 0,
        "uncollectible" => 2,
        "paid" | "void" => 3,
        _ => 1,
    }
}

pub(super) fn rank_of(event_type: &str, object: &str) -> u8 {
    let read = serde_json::from_str::<Invoice<'_>>(object);
    read.map_or(0, |invoice| rank(event_type, invoice.status()))
}
