//! `subscription_schedule`: planned changes of a subscription, in phases.

use serde::{Deserialize, Serialize};

use super::json::{Id, Seconds, Text};
use crate::time::StripeTime;

/// Facts of one snapshot of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleFacts {
    /// `not_started`, `active`, `completed`, `released`, `canceled`, or a later status of Stripe's.
    pub status: String,
    /// Subscription that it drives; none before its start and after its release.
    pub subscription: Option<String>,
    /// Next change, if there is one.
    pub next: Option<PlannedChange>,
    /// End that it sets to its subscription; none if the subscription continues after it.
    pub ends_at: Option<StripeTime>,
}

/// Next change that a schedule will make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedChange {
    /// Instant of the change.
    pub at: StripeTime,
    /// Action.
    pub action: PlannedAction,
    /// Items after the change; empty for a cancellation.
    pub items: Vec<PlannedItem>,
}

/// Action of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedAction {
    /// Another phase begins.
    Update,
    /// The last phase ends, and the subscription with it.
    Cancel,
}

/// Price and quantity of a phase.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedItem {
    /// Price, or the plan before prices existed.
    pub price_id: Option<String>,
    /// Quantity; none for a metered price.
    pub quantity: Option<i64>,
}

impl ScheduleFacts {
    /// True if its planned changes count.
    pub fn is_in_force(&self) -> bool {
        matches!(self.status.as_str(), "active" | "not_started")
    }

    /// True if it is over: Stripe never starts a schedule twice.
    pub fn is_terminal(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "released" | "canceled")
    }
}

/// Schedule as it is in an event.
#[derive(Clone, Debug, Deserialize)]
pub struct Schedule<'a> {
    /// Type that the object says it has.
    #[serde(borrow)]
    pub object: Option<Text<'a>>,
    /// `sub_sched_…`.
    #[serde(borrow)]
    pub id: Text<'a>,
    /// Id of the customer, or the expanded customer.
    #[serde(borrow)]
    pub customer: Option<Id<'a>>,
    /// Account in place of a customer, since 2026-03-25.dahlia.
    #[serde(borrow)]
    pub customer_account: Option<Text<'a>>,
    #[serde(borrow)]
    status: Text<'a>,
    #[serde(borrow)]
    subscription: Option<Id<'a>>,
    #[serde(borrow)]
    released_subscription: Option<Id<'a>>,
    current_phase: Option<CurrentPhase>,
    #[serde(borrow, default)]
    phases: Option<Vec<Phase<'a>>>,
    #[serde(borrow)]
    end_behavior: Option<Text<'a>>,
}

#[derive(Clone, Debug, Deserialize)]
struct CurrentPhase {
    end_date: Option<Seconds>,
}

#[derive(Clone, Debug, Deserialize)]
struct Phase<'a> {
    start_date: Option<Seconds>,
    end_date: Option<Seconds>,
    #[serde(borrow)]
    items: Option<Vec<PhaseItem<'a>>>,
    #[serde(borrow)]
    plans: Option<Vec<PhaseItem<'a>>>,
}

#[derive(Clone, Debug, Deserialize)]
struct PhaseItem<'a> {
    #[serde(borrow)]
    price: Option<Id<'a>>,
    #[serde(borrow)]
    plan: Option<Id<'a>>,
    quantity: Option<i64>,
}

impl Schedule<'_> {
    /// Subscription that it drives or drove.
    pub fn subscription(&self) -> Option<&str> {
        self.subscription.as_ref().or(self.released_subscription.as_ref()).map(|id| &*id.0)
    }

    /// The facts, in the [reading order](super#where-each-fact-is-found).
    pub fn facts(&self) -> ScheduleFacts {
        let phases = self.phases.as_deref().unwrap_or_default();
        let cancels = self.end_behavior.as_deref() == Some("cancel");
        let last_end = phases.iter().filter_map(|phase| phase.end_date).max();
        let ends_at = last_end.filter(|_| cancels).map(StripeTime::from);
        let reached = self.current_phase.as_ref().and_then(|phase| phase.end_date);
        let ahead = phases.iter().filter(|phase| phase.start_date.is_some());
        let next = ahead
            .filter(|phase| phase.start_date >= reached)
            .min_by_key(|phase| phase.start_date)
            .and_then(Phase::change);
        let cancel = || {
            let action = PlannedAction::Cancel;
            ends_at.map(|at| PlannedChange { at, action, items: Vec::new() })
        };
        ScheduleFacts {
            status: self.status.to_owned_string(),
            subscription: self.subscription.as_ref().map(Id::to_owned_string),
            next: next.or_else(cancel),
            ends_at,
        }
    }
}

impl Phase<'_> {
    fn change(&self) -> Option<PlannedChange> {
        let items = self.items.as_deref().or(self.plans.as_deref()).unwrap_or_default();
        Some(PlannedChange {
            at: self.start_date?.into(),
            action: PlannedAction::Update,
            items: items.iter().map(PhaseItem::planned).collect(),
        })
    }
}

impl PhaseItem<'_> {
    fn planned(&self) -> PlannedItem {
        let price = self.price.as_ref().or(self.plan.as_ref());
        PlannedItem { price_id: price.map(Id::to_owned_string), quantity: self.quantity }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(fields: &str) -> ScheduleFacts {
        let json = format!(r#"{{"id":"sub_sched_1","customer":"cus_1",{fields}}}"#);
        serde_json::from_str::<Schedule<'_>>(&json).unwrap().facts()
    }

    const PHASES: &str = r#""phases":[
        {"start_date":1,"end_date":10,"items":[{"price":"price_1","plan":"price_1","quantity":1}]},
        {"start_date":10,"end_date":20,"items":[{"price":{"id":"price_2"},"quantity":2},{"price":"price_3"}]},
        {"start_date":20,"end_date":30,"plans":[{"plan":"gold","quantity":4}]}]"#;

    fn planned(current: &str, end_behavior: &str) -> Option<PlannedChange> {
        facts(&format!(
            r#""status":"active","subscription":"sub_1","current_phase":{current},
            "end_behavior":"{end_behavior}",{PHASES}"#
        ))
        .next
    }

    #[test]
    fn what_is_planned_is_the_phase_after_the_current_one() {
        let next = planned(r#"{"start_date":1,"end_date":10}"#, "release").unwrap();
        assert_eq!((next.at, next.action), (StripeTime(10), PlannedAction::Update));
        let item = |price: &str, quantity| PlannedItem { price_id: Some(price.into()), quantity };
        assert_eq!(next.items, [item("price_2", Some(2)), item("price_3", None)]);
        let next = planned(r#"{"start_date":10,"end_date":20}"#, "release").unwrap();
        assert_eq!((next.at, next.items), (StripeTime(20), vec![item("gold", Some(4))]));
        // A schedule that has not started has its first phase ahead.
        assert_eq!(planned("null", "release").unwrap().at, StripeTime(1));
    }

    #[test]
    fn after_the_last_phase_comes_the_end_or_nothing() {
        let last = r#"{"start_date":20,"end_date":30}"#;
        assert_eq!(planned(last, "release"), None);
        let end = planned(last, "cancel").unwrap();
        assert_eq!((end.at, end.action), (StripeTime(30), PlannedAction::Cancel));
        assert!(end.items.is_empty());
    }

    #[test]
    fn an_end_that_lies_phases_ahead_is_known_from_the_beginning() {
        let json = format!(r#""status":"active","end_behavior":"cancel",{PHASES}"#);
        assert_eq!(facts(&json).ends_at, Some(StripeTime(30)));
    }

    #[test]
    fn a_released_schedule_is_about_the_subscription_that_it_released() {
        let json = r#"{"id":"sub_sched_1","status":"released","subscription":null,
            "released_subscription":"sub_1","current_phase":null,"phases":[]}"#;
        let schedule = serde_json::from_str::<Schedule<'_>>(json).unwrap();
        assert_eq!(schedule.subscription(), Some("sub_1"));
        let facts = schedule.facts();
        assert_eq!((facts.subscription.as_deref(), facts.next.is_none()), (None, true));
        assert!(facts.is_terminal() && !facts.is_in_force());
    }
}
