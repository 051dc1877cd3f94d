//! `entitlements.active_entitlement_summary.*`: the features of a customer.

use super::error::{missing, read};
use super::{FoldError, Observation, evidence, latest, observation};
use crate::projection::group::Precedence;
use crate::projection::state::StateChange;
use crate::stripe::ObjectType;
use crate::stripe::entitlements::EntitlementSummary;

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::EntitlementSummary, body, |it: &EntitlementSummary<'_>| {
        it.object.as_ref()
    })?;
    let Some((envelope, summary)) = read else { return Ok(None) };
    let envelope = &envelope;
    let latest = latest(envelope, Precedence::Live, summary.facts(), evidence(envelope, body, 0));
    let customer =
        summary.customer.ok_or_else(|| missing(ObjectType::EntitlementSummary, "customer"))?;
    Ok(Some(observation(envelope, Some(customer.0), None, Some(StateChange::Features(latest)))))
}
