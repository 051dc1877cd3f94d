//! `subscription`: one set of facts from every shape since 2012.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::discount::DiscountFacts;
use super::json::{Field, Id, List, Metadata, Seconds, Text, owned_text};
use super::price::{Item, ItemFacts, Plan};
use crate::ids::InvoiceId;
use crate::time::StripeTime;

/// Facts of one snapshot of a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscriptionFacts {
    /// Status as Stripe sent it, also if this version does not know it.
    pub status: String,
    /// Items, in Stripe's order.
    pub items: Vec<ItemFacts>,
    /// True if the list of items was cut: a webhook embeds its first page only.
    pub items_truncated: bool,
    /// Period of the subscription itself, for a snapshot without items.
    pub own_period: (Option<StripeTime>, Option<StripeTime>),
    /// Three-letter currency that it is billed in, lower case.
    pub currency: Option<String>,
    /// True if it ends with the current period.
    pub cancel_at_period_end: bool,
    /// Instant of the planned cancellation.
    pub cancel_at: Option<StripeTime>,
    /// Instant at which the cancellation was requested.
    pub canceled_at: Option<StripeTime>,
    /// Instant at which it ended.
    pub ended_at: Option<StripeTime>,
    /// `cancellation_details.reason`.
    pub cancellation_reason: Option<String>,
    /// `status_details.paused.subscription.type`, since 2026-09-30.endive.
    pub paused_reason: Option<String>,
    /// `pause_collection`: `behavior` and `resumes_at`.
    pub pause_collection: Option<(String, Option<StripeTime>)>,
    /// Start of the trial; stays set when it is over.
    pub trial_start: Option<StripeTime>,
    /// End of the trial; stays set when it is over.
    pub trial_end: Option<StripeTime>,
    /// Discounts in force.
    pub discounts: Vec<DiscountFacts>,
    /// Latest invoice that the snapshot names.
    pub latest_invoice: Option<InvoiceId>,
    /// `charge_automatically` or `send_invoice`.
    pub collection_method: Option<String>,
    /// Test clock that moves its time.
    pub test_clock: Option<String>,
    /// Schedule that drives it.
    pub schedule: ScheduleReference,
    /// Instant of its creation.
    pub created: Option<StripeTime>,
    /// Instant of its start.
    pub started: Option<StripeTime>,
    /// Metadata of the merchant.
    pub metadata: BTreeMap<String, String>,
}

/// Reference of a snapshot to the schedule that drives its subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ScheduleReference {
    /// The snapshot has no such field (before 2019-08-14).
    #[default]
    NotReported,
    /// No schedule drives it.
    None,
    /// `sub_sched_…`.
    Schedule(String),
}

impl SubscriptionFacts {
    /// True if the status is final: Stripe never revives such a subscription, and a new one has a new id.
    pub fn is_terminal(&self) -> bool {
        matches!(self.status.as_str(), "canceled" | "incomplete_expired")
    }

    /// Start of the period: the earliest of the items'.
    pub fn current_period_start(&self) -> Option<StripeTime> {
        let of_items = self.items.iter().filter_map(|item| item.current_period_start).min();
        of_items.or(self.own_period.0)
    }

    /// End of the period: the latest of the items'.
    pub fn current_period_end(&self) -> Option<StripeTime> {
        self.items.iter().filter_map(|item| item.current_period_end).max().or(self.own_period.1)
    }

    /// Earliest end of an item's period. If items have different intervals, a cancellation at the end of the
    /// period takes effect then.
    pub fn earliest_period_end(&self) -> Option<StripeTime> {
        self.items.iter().filter_map(|item| item.current_period_end).min().or(self.own_period.1)
    }
}

/// Subscription as it is in an event.
#[derive(Clone, Debug, Deserialize)]
pub struct Subscription<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    #[serde(borrow)]
    id: Option<Text<'a>>,
    /// Id of the customer, or the expanded customer.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    /// Account in place of a customer, since 2026-03-25.dahlia.
    #[serde(borrow)]
    pub customer_account: Option<Text<'a>>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    items: Option<List<Item<'a>>>,
    #[serde(borrow)]
    plan: Option<Plan<'a>>,
    quantity: Option<i64>,
    current_period_start: Option<Seconds>,
    current_period_end: Option<Seconds>,
    #[serde(borrow)]
    currency: Option<Text<'a>>,
    cancel_at_period_end: Option<bool>,
    cancel_at: Option<Seconds>,
    canceled_at: Option<Seconds>,
    ended_at: Option<Seconds>,
    #[serde(borrow)]
    cancellation_details: Option<CancellationDetails<'a>>,
    #[serde(borrow)]
    status_details: Option<&'a RawValue>,
    #[serde(borrow)]
    pause_collection: Option<PauseCollection<'a>>,
    trial_start: Option<Seconds>,
    trial_end: Option<Seconds>,
    #[serde(borrow)]
    discount: Option<&'a RawValue>,
    #[serde(borrow)]
    discounts: Option<Vec<&'a RawValue>>,
    #[serde(borrow)]
    latest_invoice: Option<Id<'a>>,
    #[serde(borrow)]
    collection_method: Option<Text<'a>>,
    #[serde(borrow)]
    billing: Option<Text<'a>>,
    #[serde(borrow)]
    test_clock: Option<Id<'a>>,
    #[serde(borrow, default)]
    schedule: Field<Id<'a>>,
    created: Option<Seconds>,
    start_date: Option<Seconds>,
    start: Option<Seconds>,
    #[serde(borrow)]
    metadata: Option<Metadata<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct CancellationDetails<'a> {
    #[serde(borrow)]
    reason: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct PauseCollection<'a> {
    #[serde(borrow)]
    behavior: Option<Text<'a>>,
    resumes_at: Option<Seconds>,
}

impl Subscription<'_> {
    /// `sub_…`. Until 2013 a subscription had no id, because a customer had at most one; then this is the
    /// customer's id.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref().or_else(|| self.customer.as_ref().map(|customer| &*customer.0))
    }

    /// Status as Stripe sent it.
    pub fn status(&self) -> &str {
        &self.status
    }

    /// The facts, in the [reading order](super#where-each-fact-is-found).
    pub fn facts(&self) -> SubscriptionFacts {
        let period_start = self.current_period_start.map(StripeTime::from);
        let period_end = self.current_period_end.map(StripeTime::from);
        let listed = self.items.as_ref().map_or(&[][..], |items| &items.data);
        let billed_in = self.currency.as_deref();
        let mut items: Vec<ItemFacts> =
            listed.iter().map(|item| item.facts(period_start, period_end, billed_in)).collect();
        if items.is_empty()
            && let Some(plan) = &self.plan
        {
            items.push(ItemFacts {
                item_id: None,
                price: plan.facts(),
                quantity: self.quantity,
                current_period_start: period_start,
                current_period_end: period_end,
            });
        }
        let currency = owned_text(self.currency.as_ref())
            .or_else(|| items.first().and_then(|item| item.price.currency.clone()));
        let discounts = self.discounts.iter().flatten().copied();
        let mut discounts: Vec<_> = discounts.filter_map(DiscountFacts::read).collect();
        if discounts.is_empty() {
            discounts.extend(self.discount.and_then(DiscountFacts::read));
        }
        SubscriptionFacts {
            status: self.status.to_owned_string(),
            items_truncated: self.items.as_ref().is_some_and(List::is_truncated),
            items,
            own_period: (period_start, period_end),
            currency,
            cancel_at_period_end: self.cancel_at_period_end.unwrap_or(false),
            cancel_at: self.cancel_at.map(StripeTime::from),
            canceled_at: self.canceled_at.map(StripeTime::from),
            ended_at: self.ended_at.map(StripeTime::from),
            cancellation_reason: self
                .cancellation_details
                .as_ref()
                .and_then(|details| owned_text(details.reason.as_ref())),
            paused_reason: self.status_details.and_then(paused_reason),
            pause_collection: self.pause_collection.as_ref().map(|pause| {
                let behavior = pause.behavior.as_ref().map(Text::to_owned_string);
                (behavior.unwrap_or_default(), pause.resumes_at.map(StripeTime::from))
            }),
            trial_start: self.trial_start.map(StripeTime::from),
            trial_end: self.trial_end.map(StripeTime::from),
            discounts,
            latest_invoice: self
                .latest_invoice
                .as_ref()
                .map(|id| InvoiceId::new(id.to_owned_string())),
            collection_method: owned_text(
                self.collection_method.as_ref().or(self.billing.as_ref()),
            ),
            test_clock: self.test_clock.as_ref().map(Id::to_owned_string),
            schedule: match &self.schedule {
                Field::Absent => ScheduleReference::NotReported,
                Field::Null => ScheduleReference::None,
                Field::Value(id) => ScheduleReference::Schedule(id.to_owned_string()),
            },
            created: self.created.map(StripeTime::from),
            started: self.start_date.or(self.start).map(StripeTime::from),
            metadata: self.metadata.as_ref().map(Metadata::to_map).unwrap_or_default(),
        }
    }
}

/// `status_details.paused.subscription.type`. The field is new and still changes, so nothing else of it is used.
fn paused_reason(details: &RawValue) -> Option<String> {
    let details: serde_json::Value = serde_json::from_str(details.get()).ok()?;
    details.pointer("/paused/subscription/type")?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests;
