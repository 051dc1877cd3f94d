//! Expected changes by schedules.

use serde::Serialize;

use crate::simulate::objects::schedule::Schedule;
use crate::simulate::recorder::Tracked;
use crate::simulate::stage::Stage;
use crate::time::StripeTime;

/// Next change that a schedule makes to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrueChange {
    /// Id of the schedule, `sub_sched_…`.
    pub schedule_id: String,
    /// Time of the change.
    pub at: StripeTime,
    /// `update` or `cancel`.
    pub action: &'static str,
    /// Items after the change; empty if the subscription is canceled.
    pub items: Vec<TrueItem>,
}

/// Planned price and quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrueItem {
    /// Id of the price.
    pub price_id: &'static str,
    /// Quantity; `None` for a metered price.
    pub quantity: Option<i64>,
}

/// Planned change and end of a subscription.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) change: Option<TrueChange>,
    pub(super) ends_at: Option<i64>,
}

impl Planned {
    /// Reads the schedule that drives the subscription. One that is over has no plans.
    pub(super) fn new(stage: &Stage, over: bool) -> Self {
        let drives =
            |schedule: &&Schedule| schedule.is_in_force() && schedule.subscription.is_some();
        let mut known = stage.schedules.iter().rev().filter_map(Tracked::sent);
        let Some(schedule) = known.find(drives).filter(|_| !over) else {
            return Self::default();
        };
        let ends_at = schedule.ends_subscription_at();
        let next = schedule.next_phase().map(|phase| {
            let items = phase.items.iter().map(|(price, quantity)| TrueItem {
                price_id: price.id,
                quantity: price.shown_quantity(*quantity),
            });
            (phase.start, "update", items.collect())
        });
        let next = next.or_else(|| Some((ends_at?, "cancel", Vec::new())));
        let change = next.map(|(at, action, items)| TrueChange {
            schedule_id: schedule.id.clone(),
            at: StripeTime(at),
            action,
            items,
        });
        Self { change, ends_at }
    }
}
