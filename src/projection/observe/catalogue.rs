//! `product.*`, `price.*` and `plan.*`: names.

use super::error::{missing, read};
use super::{FoldError, Observation};
use crate::ids::EventId;
use crate::projection::catalogue::{CatalogueEntry, NameRank};
use crate::projection::order::LifecyclePhase;
use crate::stripe::price::{Plan, Price};
use crate::stripe::product::Product;
use crate::stripe::{Envelope, ObjectType};

pub(super) fn observe_product(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::Product, body, |it: &Product<'_>| it.object.as_ref())?;
    Ok(read.map(|(envelope, it)| named(&envelope, &it.id, it.name.as_deref())))
}

pub(super) fn observe_price(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::Price, body, |it: &Price<'_>| it.object.as_ref())?;
    let Some((envelope, price)) = read else { return Ok(None) };
    let id = price.id.as_ref().ok_or_else(|| missing(ObjectType::Price, "id"))?;
    Ok(Some(named(&envelope, id, price.nickname())))
}

pub(super) fn observe_plan(body: &str) -> Result<Option<Observation>, FoldError> {
    let read = read(ObjectType::Plan, body, |it: &Plan<'_>| it.object.as_ref())?;
    let Some((envelope, plan)) = read else { return Ok(None) };
    let id = plan.id.as_ref().ok_or_else(|| missing(ObjectType::Plan, "id"))?;
    Ok(Some(named(&envelope, id, plan.nickname())))
}

fn named(envelope: &Envelope<'_, ()>, id: &str, name: Option<&str>) -> Observation {
    let phase = LifecyclePhase::from_event_type(&envelope.event_type);
    let rank = NameRank {
        deleted: phase == LifecyclePhase::Deleted,
        created: envelope.created,
        // An observation ranks below a change in the same second.
        changed: phase != LifecyclePhase::Created && !envelope.is_observation,
        event_id: EventId::new(envelope.id.clone()),
    };
    let (scope, id) = (envelope.scope(), id.to_owned());
    let entry = CatalogueEntry { scope, id, name: name.map(str::to_owned), rank };
    Observation { catalogue: Some(entry), ..Observation::default() }
}
