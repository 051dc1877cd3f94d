//! `invoice.*`, except `invoice.upcoming`: payments.

use super::error::read;
use super::subscription::status_of;
use super::{
    FoldError, Observation, customer_id, evidence, is_deletion, latest, link_payment, observation,
};
use crate::ids::{InvoiceId, SubscriptionId};
use crate::projection::group::Precedence;
use crate::projection::state::{InvoiceState, StateChange};
use crate::stripe::ObjectType;
use crate::stripe::invoice::{Invoice, InvoiceFacts};

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::Invoice, body, |it: &Invoice<'_>| it.object.as_ref())?;
    let Some((envelope, invoice)) = read else { return Ok(None) };
    let envelope = &envelope;
    let subscription = invoice.subscription().map(SubscriptionId::from);
    let precedence = if is_deletion(envelope) { Precedence::Terminal } else { Precedence::Live };
    let failed = envelope.event_type == "invoice.payment_failed";
    let state = |facts: InvoiceFacts| {
        let evidence = evidence(envelope, body, rank(&envelope.event_type, &facts.status));
        InvoiceState {
            // An observation shows that it is paid, and not when that happened.
            first_paid: (facts.is_paid() && !envelope.is_observation).then_some(envelope.created),
            snapshots: latest(envelope, precedence, facts, evidence),
            last_failed: failed.then_some(envelope.created),
            first_seen: envelope.created,
            is_assumed_last: false,
        }
    };
    let ids = invoice.subscriptions();
    let states = ids.iter().map(|id| (SubscriptionId::from(*id), state(invoice.facts(id))));
    let states: Vec<_> = states.collect();
    // An old invoice that is observed now has an old address.
    let said_at = invoice.made().filter(|_| envelope.is_observation).unwrap_or(envelope.created);
    let email = invoice.email().map(|email| (said_at, email));
    let change = match &invoice.id {
        Some(id) if !states.is_empty() || email.is_some() => {
            Some(StateChange::Invoice(InvoiceId::from(&**id), states, email))
        }
        _ => None,
    };
    let payment = invoice.payment_references();
    let customer = customer_id(invoice.customer, invoice.customer_account);
    let mut observed = observation(envelope, customer, subscription, change);
    link_payment(&mut observed, envelope, &payment);
    Ok(Some(observed))
}

/// Progress of a status through an invoice's life.
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
    // Before 2018-11-08 there are flags instead of a status.
    if let Some(status) = status_of(object) {
        return rank(event_type, &status);
    }
    let read = serde_json::from_str::<Invoice<'_>>(object);
    read.map_or(0, |invoice| rank(event_type, invoice.status()))
}
