//! `customer.created`, `.updated` and `.deleted`: who pays.

use super::error::read;
use super::{FoldError, Observation, evidence, group, observation};
use crate::projection::group::Standing;
use crate::projection::state::Change;
use crate::stripe::customer::Customer;

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read("customer", body, |it: &Customer<'_>| it.object.as_ref())?;
    let Some((envelope, customer)) = read else { return Ok(None) };
    let envelope = &envelope;
    let deleted = envelope.event_type == "customer.deleted";
    let standing = if deleted { Standing::Terminal } else { Standing::Live };
    let group = group(envelope, standing, customer.facts(), evidence(envelope, body, 0));
    Ok(Some(observation(envelope, Some(customer.id), None, Some(Change::Customer(group)))))
}
