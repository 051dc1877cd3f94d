//! `customer.subscription.*`: snapshots of a subscription.

use super::error::{missing, read};
use super::{FoldError, Observation, customer_id, evidence, is_deletion, latest, observation};
use crate::ids::SubscriptionId;
use crate::projection::group::Precedence;
use crate::projection::overdue::Overdue;
use crate::projection::state::StateChange;
use crate::stripe::json::Text;
use crate::stripe::subscription::Subscription;
use crate::stripe::{Envelope, ObjectType};

const PAST_DUE: &str = "past_due";

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::Subscription, body, |it: &Subscription<'_>| it.object.as_ref())?;
    let Some((envelope, subscription)) = read else { return Ok(None) };
    let envelope = &envelope;
    let facts = subscription.facts();
    let id = subscription.id().filter(|id| !id.is_empty()).map(SubscriptionId::from);
    let id = id.ok_or_else(|| missing(ObjectType::Subscription, "id"))?;
    let precedence = match envelope.event_type.as_ref() {
        "customer.subscription.pending_update_expired" => Precedence::Echo,
        _ if is_deletion(envelope) || facts.is_terminal() => Precedence::Terminal,
        _ => Precedence::Live,
    };
    // An echo has an earlier state under a later time, so its second is no evidence.
    let overdue = match precedence {
        Precedence::Echo => Overdue::default(),
        _ => overdue(envelope, &facts.status),
    };
    let evidence = evidence(envelope, body, rank(&facts.status));
    let latest = latest(envelope, precedence, facts, evidence);
    let customer = customer_id(subscription.customer, subscription.customer_account)
        .ok_or_else(|| missing(ObjectType::Subscription, "customer"))?;
    let change = StateChange::Subscription(id.clone(), latest, overdue);
    Ok(Some(observation(envelope, Some(customer), Some(id), Some(change))))
}

/// The second of a snapshot, past due or not, and whether `previous_attributes` say that this is new.
fn overdue(envelope: &Envelope<'_, ()>, status: &str) -> Overdue {
    #[derive(serde::Deserialize)]
    struct Previous<'a> {
        #[serde(borrow)]
        status: Option<Text<'a>>,
    }
    let is_past_due = status == PAST_DUE;
    let before = envelope.previous_attributes.filter(|it| is_past_due || it.contains(PAST_DUE));
    let before = before.and_then(|it| serde_json::from_str::<Previous<'_>>(it).ok()?.status);
    let turned = before.is_some_and(|before| (&*before == PAST_DUE) != is_past_due);
    Overdue::new(envelope.created, is_past_due, turned)
}

/// Progress of a status through a subscription's life. Those in the middle may alternate, so they have one rank.
fn rank(status: &str) -> u8 {
    match status {
        "incomplete" => 0,
        "trialing" => 1,
        "canceled" | "incomplete_expired" => 3,
        _ => 2,
    }
}

/// Status of an object, even if its other fields are unreadable.
pub(super) fn status_of(object: &str) -> Option<Text<'_>> {
    #[derive(serde::Deserialize)]
    struct Status<'a> {
        #[serde(borrow)]
        status: Text<'a>,
    }
    serde_json::from_str::<Status<'_>>(object).ok().map(|it| it.status)
}

pub(super) fn rank_of(object: &str) -> u8 {
    status_of(object).map_or(0, |status| rank(&status))
}
