//! `checkout.session.*`: users, customers and subscriptions.

use super::error::read;
use super::{FoldError, Observation, customer_id, evidence, latest, link_payment, observation};
use crate::ids::{SessionId, SubscriptionId};
use crate::projection::group::Precedence;
use crate::projection::state::StateChange;
use crate::stripe::ObjectType;
use crate::stripe::checkout_session::CheckoutSession;

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read =
        read(ObjectType::CheckoutSession, body, |it: &CheckoutSession<'_>| it.object.as_ref())?;
    let Some((envelope, session)) = read else { return Ok(None) };
    let envelope = &envelope;
    let facts = session.facts(&envelope.event_type);
    let payment = session.payment_references();
    let subscription = facts.subscription.as_deref().map(SubscriptionId::from);
    let latest = latest(envelope, Precedence::Live, facts, evidence(envelope, body, 0));
    let change = StateChange::Session(SessionId::new(session.id.0), latest);
    // A guest who pays once has no customer, and then no state changes.
    let customer = customer_id(session.customer, session.customer_account);
    let mut observed = observation(envelope, customer, subscription, Some(change));
    link_payment(&mut observed, envelope, &payment);
    Ok(Some(observed))
}
