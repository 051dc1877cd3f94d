//! `subscription_schedule.*`: planned changes.

use super::error::{missing, read};
use super::subscription::status_of;
use super::{FoldError, Observation, customer_id, evidence, latest, observation};
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
    let subscription = schedule.subscription().map(SubscriptionId::from);
    let latest = latest(envelope, precedence, facts, evidence);
    let change = StateChange::Schedule(ScheduleId::new(schedule.id.0), latest);
    let customer = customer_id(schedule.customer, schedule.customer_account)
        .ok_or_else(|| missing(ObjectType::SubscriptionSchedule, "customer"))?;
    Ok(Some(observation(envelope, Some(customer), subscription, Some(change))))
}

/// Progress of a status through a schedule's life.
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
