//! `subscription_schedule.*`: what is planned.

use super::error::{missing, read};
use super::subscription::status_of;
use super::{FoldError, Observation, evidence, group, named_customer, observation};
use crate::ids::{ScheduleId, SubscriptionId};
use crate::projection::group::Precedence;
use crate::projection::state::StateChange;
use crate::stripe::ObjectType;
use crate::stripe::subscription_schedule::Schedule;

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read =
        read(ObjectType::SubscriptionSchedule, body, |it: &Schedule<'_>| it.object.as_ref())?;
    let Some((envelope, schedule)) = read else { return Ok(None) };
    let envelope = &envelope;
    let facts = schedule.facts();
    let precedence = if facts.is_terminal() { Precedence::Terminal } else { Precedence::Live };
    let evidence = evidence(envelope, body, rank(&facts.status));
    let about = schedule.about().map(SubscriptionId::from);
    let group = group(envelope, precedence, facts, evidence);
    let change = StateChange::Schedule(ScheduleId::new(schedule.id.0), group);
    let customer = named_customer(schedule.customer, schedule.customer_account)
        .ok_or_else(|| missing(ObjectType::SubscriptionSchedule, "customer"))?;
    Ok(Some(observation(envelope, Some(customer), about, Some(change))))
}

/// How far a status is along a schedule's life.
fn rank(status: &str) -> u8 {
    match status {
        "not_started" => 0,
        "completed" | "released" | "canceled" => 2,
        _ => 1,
    }
}

pub(super) fn rank_of(object: &str) -> u8 {
    status_of(object).map_or(0, |status| rank(&status))
}
