//! What schedules have in store.

use serde::Serialize;

use crate::simulate::objects::schedule::Schedule;
use crate::simulate::recorder::Tracked;
use crate::simulate::stage::Stage;
use crate::time::StripeTime;

/// The next thing that a schedule will do to a subscription.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrueChange {
    /// The schedule, `sub_sched_…`.
    pub schedule_id: String,
    /// When.
    pub at: StripeTime,
    /// `update` or `cancel`.
    pub action: &'static str,
    /// What the subscription will be for; nothing where it will be cancelled.
    pub items: Vec<TrueItem>,
}

/// A price of what is to come, and how many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrueItem {
    /// The price.
    pub price_id: &'static str,
    /// How many; none of a metered price.
    pub quantity: Option<i64>,
}

/// What is planned for a subscription.
#[derive(Default)]
pub(super) struct Planned {
    pub(super) change: Option<TrueChange>,
    pub(super) ends_at: Option<i64>,
}

impl Planned {
    /// By the one schedule that drives it; what is over has no plans.
    pub(super) fn of(stage: &Stage, over: bool) -> Self {
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
