//! `customer.discount.*`: the code of a discount. Snapshots of subscriptions may have its id alone.

use super::error::read;
use super::{FoldError, Observation, observation};
use crate::ids::SubscriptionId;
use crate::projection::state::StateChange;
use crate::stripe::ObjectType;
use crate::stripe::discount::{Discount, DiscountFacts};

pub(super) fn observe(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::Discount, body, |it: &Discount<'_>| it.object.as_ref())?;
    let Some((envelope, discount)) = read else { return Ok(None) };
    let DiscountFacts { id, code } = discount.facts();
    let change = id.zip(code).map(|(id, code)| StateChange::Discount(id, (envelope.created, code)));
    let subscription = discount.subscription.map(|id| SubscriptionId::new(id.0.0));
    let customer = discount.customer.map(|id| id.0);
    Ok(Some(observation(&envelope, customer, subscription, change)))
}
