//! `entitlements.active_entitlement_summary.*`: the features of a customer.

use super::error::{missing, read};
use super::{FoldError, Observation, evidence, group, observation};
use crate::projection::group::Standing;
use crate::projection::state::Change;
use crate::stripe::entitlements::EntitlementSummary;

const KIND: &str = "entitlements.active_entitlement_summary";

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(KIND, body, |it: &EntitlementSummary<'_>| it.object.as_ref())?;
    let Some((envelope, summary)) = read else { return Ok(None) };
    let envelope = &envelope;
    let group = group(envelope, Standing::Live, summary.facts(), evidence(envelope, body, 0));
    let customer = summary.customer.ok_or_else(|| missing(KIND, "customer"))?;
    Ok(Some(observation(envelope, Some(customer.0), None, Some(Change::Features(group)))))
}
