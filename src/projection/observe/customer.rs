//! `customer.created`, `.updated` and `.deleted`: who pays.

use super::error::read;
use super::{FoldError, Observation, evidence, group, observation};
use crate::projection::group::Standing;
use crate::projection::state::Change;
use crate::stripe::Envelope;
use crate::stripe::customer::Customer;

pub(super) fn observe(
    envelope: &Envelope<'_>,
    object: &str,
) -> Result<Option<Observation>, FoldError> {
    let read = read("customer", object, |it: &Customer<'_>| it.object.as_ref())?;
    let Some(customer) = read else { return Ok(None) };
    let deleted = envelope.event_type == "customer.deleted";
    let standing = if deleted { Standing::Terminal } else { Standing::Live };
    let group = group(envelope, standing, customer.facts(), evidence(envelope, object, 0));
    Ok(Some(observation(envelope, Some(customer.id), None, Some(Change::Customer(group)))))
}
