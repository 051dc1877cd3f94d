//! `customer.created`, `.updated` and `.deleted`: address and metadata.

use super::error::read;
use super::{FoldError, Observation, evidence, is_deletion, latest, observation};
use crate::projection::group::Precedence;
use crate::projection::state::StateChange;
use crate::stripe::ObjectType;
use crate::stripe::customer::Customer;

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::Customer, body, |it: &Customer<'_>| it.object.as_ref())?;
    let Some((envelope, customer)) = read else { return Ok(None) };
    let envelope = &envelope;
    let precedence = if is_deletion(envelope) { Precedence::Terminal } else { Precedence::Live };
    let latest = latest(envelope, precedence, customer.facts(), evidence(envelope, body, 0));
    Ok(Some(observation(envelope, Some(customer.id), None, Some(StateChange::Customer(latest)))))
}
