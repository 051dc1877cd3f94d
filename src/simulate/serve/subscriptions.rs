//! `/v1/subscriptions` and `/v1/subscription_items`.

use super::call::{Answer, Call};
use super::collection::Group;
use super::error::ApiError;
use super::paging::Paging;
use crate::simulate::objects::Render;
use crate::simulate::objects::subscription::{Status, Subscription};
use crate::simulate::version::ApiVersion;
use crate::simulate::wire::{Object, Wire};

const STATUSES: [&str; 10] = [
    "active",
    "past_due",
    "unpaid",
    "canceled",
    "incomplete",
    "incomplete_expired",
    "trialing",
    "paused",
    "all",
    "ended",
];

/// `GET /v1/subscriptions`. Without `status`, canceled ones are left out; without `customer` and `test_clock`, those
/// on test clocks.
pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let status = call.params.take("status");
    let customer = call.params.take("customer");
    let test_clock = call.params.take("test_clock");
    let price = call.params.take("price");
    let collection_method = call.params.take("collection_method");
    let period_start = call.params.take_span("current_period_start")?;
    let period_end = call.params.take_span("current_period_end")?;
    let expanded = call.params.take_list("expand");
    let paging = Paging::take(&mut call.params)?;
    call.params.finish()?;
    let expands_discounts = expands(&expanded, "data.discounts")?;
    let status = status.as_deref();
    if let Some(unknown) = status.filter(|status| !STATUSES.contains(status)) {
        let text = format!("Invalid status: must be one of {}, not {unknown}", STATUSES.join(", "));
        return Err(ApiError::invalid(text).param("status"));
    }
    let with_clocks = customer.is_some() || test_clock.is_some();
    let keep = |it: &Subscription| {
        has_status(it, status)
            && (with_clocks || it.home.test_clock.is_none())
            && price.as_ref().is_none_or(|id| it.items.iter().any(|item| item.price.id == id))
            && collection_method.as_ref().is_none_or(|method| it.collection_method() == method)
            && period_start.contains(it.period_start())
            && period_end.contains(it.period_end())
    };
    let groups =
        [(Group::Customer, customer.as_deref()), (Group::TestClock, test_clock.as_deref())];
    call.page(&call.shelf.subscriptions, &paging, &groups, keep, |it| {
        if expands_discounts { call.render(&Expanded(it)) } else { call.render(it) }
    })
}

fn has_status(subscription: &Subscription, status: Option<&str>) -> bool {
    match status {
        None => subscription.status != Status::Canceled,
        Some("all") => true,
        Some("ended") => subscription.status.is_terminal(),
        Some(status) => subscription.status.as_str() == status,
    }
}

/// `GET /v1/subscriptions/{id}`.
pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let expanded = call.params.take_list("expand");
    call.params.finish()?;
    let subscription = find(call, call.id)?;
    if expands(&expanded, "discounts")? {
        return Ok(call.render(&Expanded(subscription)));
    }
    Ok(call.render(subscription))
}

/// True if a property is to be expanded. No other one can be.
fn expands(expanded: &[String], property: &str) -> Result<bool, ApiError> {
    if let Some(other) = expanded.iter().find(|it| *it != property) {
        let text = format!("This property cannot be expanded ({other}).");
        return Err(ApiError::invalid(text).param("expand"));
    }
    Ok(!expanded.is_empty())
}

/// `GET /v1/subscription_items?subscription=`.
pub(super) fn items(call: &mut Call<'_>) -> Answer {
    let id = call.params.require("subscription")?;
    let paging = Paging::take_without_created(&mut call.params)?;
    call.params.finish()?;
    let subscription = find(call, &id)?;
    let items = subscription.items.iter();
    let items =
        items.map(|item| (item.id.clone(), item.render(subscription, call.version))).collect();
    call.short_page(&paging, items)
}

fn find<'a>(call: &Call<'a>, id: &str) -> Result<&'a Subscription, ApiError> {
    call.shelf.subscriptions.get(id).ok_or_else(|| ApiError::missing("subscription", id))
}

/// Subscription whose discounts are objects instead of ids.
struct Expanded<'a>(&'a Subscription);

impl Render for Expanded<'_> {
    fn render(&self, version: ApiVersion) -> Object {
        let Self(subscription) = self;
        let mut rendered = subscription.render(version);
        if version > ApiVersion::V2020 {
            let discounts = subscription.discounts.iter().map(|it| Wire::from(it.render(version)));
            rendered.set("discounts", discounts.collect::<Vec<_>>());
        }
        rendered
    }
}
