//! Delivery of events: late, out of order, and more than once.

use super::dice::Dice;
use super::objects::event::SimulatedEvent;

/// Parameters of a delivery.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delivery {
    /// Seed of the random choices.
    pub seed: u64,
    /// Order of arrival.
    pub order: Order,
    /// Share of events that arrive again, from 0 to 1.
    pub duplicates: f64,
    /// Share of the losable events that never arrive, from 0 to 1.
    pub losses: f64,
    /// Share of the events for two endpoints of which the second body arrives too, from 0 to 1.
    pub second_bodies: f64,
}

/// Order of arrival.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// Order in which the events happened.
    AsHappened,
    /// A delay for each event: mostly some seconds, sometimes minutes, rarely hours or days, as after a failed
    /// delivery.
    #[default]
    Realistic,
    /// Random: every order has the same probability.
    Random,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { seed: 1, order: Order::Realistic, duplicates: 0.03, losses: 0.0, second_bodies: 0.7 }
    }
}

/// Puts events into the order of their arrival, some of them twice. A second arrival often has other bytes, because
/// the count of pending webhooks has changed.
///
/// If two endpoints get an event at two API versions, one of them is the first for all events of a second, and the
/// other body often follows under the same id.
pub fn deliver(events: Vec<SimulatedEvent>, delivery: &Delivery) -> Vec<SimulatedEvent> {
    let mut dice = Dice::new(delivery.seed, u64::MAX);
    let mut arrivals = Vec::with_capacity(events.len());
    for (index, mut event) in (0_i64..).zip(events) {
        if event.losable && dice.probability(delivery.losses) {
            continue;
        }
        let arrival = arrival(&mut dice, delivery.order, index, event.created);
        if let Some(mut second_body) = event.second_body.take() {
            if second_is_first(delivery.seed, event.created) {
                std::mem::swap(&mut event.body, &mut second_body);
            }
            if dice.probability(delivery.second_bodies) {
                let again = (arrival.0 + dice.between(1, 7_200), arrival.1 + 1);
                arrivals.push((again, SimulatedEvent { body: second_body, ..event.clone() }));
            }
        }
        if dice.probability(delivery.duplicates) {
            let again = (arrival.0 + dice.between(1, 7_200), arrival.1 + 1);
            let copy = if dice.percent(50) { with_other_bytes(&event) } else { event.clone() };
            arrivals.push((again, copy));
        }
        arrivals.push((arrival, event));
    }
    arrivals.sort_by_key(|(arrival, _)| *arrival);
    arrivals.into_iter().map(|(_, event)| event).collect()
}

/// True if the second endpoint is the faster one in this second.
fn second_is_first(seed: u64, created: i64) -> bool {
    Dice::new(seed, created.unsigned_abs()).percent(50)
}

/// Time of arrival in seconds, and the rank within the second.
fn arrival(dice: &mut Dice, order: Order, index: i64, created: i64) -> (i64, i64) {
    match order {
        Order::AsHappened => (created, index),
        Order::Random => (dice.between(0, i64::MAX / 4), 0),
        Order::Realistic => {
            let delay = match dice.below(1_000) {
                0..850 => dice.between(0, 3),
                850..970 => dice.between(4, 120),
                970..996 => dice.between(120, 4 * 3_600),
                _ => dice.between(4 * 3_600, 3 * 86_400),
            };
            (created + delay, dice.between(0, i64::MAX / 4))
        }
    }
}

fn with_other_bytes(event: &SimulatedEvent) -> SimulatedEvent {
    const KEY: &str = "\"pending_webhooks\":";
    let mut copy = event.clone();
    if let Some(start) = copy.body.rfind(KEY).map(|at| at + KEY.len()) {
        let length = copy.body[start..].find(',').unwrap_or(0);
        let space = if copy.body[start..].starts_with(' ') { " " } else { "" };
        copy.body.replace_range(start..start + length, &format!("{space}9"));
    }
    copy
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::{ApiVersion, Plan, Versions, simulate};
    use super::*;

    fn events() -> Vec<SimulatedEvent> {
        simulate(&Plan { subscriptions: 30, ..Plan::default() }).events
    }

    #[test]
    fn every_event_arrives_at_least_once_and_the_order_is_only_roughly_kept() {
        let sent = events();
        let delivery = Delivery { duplicates: 0.2, ..Delivery::default() };
        let arrived = deliver(sent.clone(), &delivery);
        assert_eq!(arrived, deliver(sent.clone(), &delivery), "same seed, same arrivals");
        assert!(arrived.len() > sent.len());
        let ids = |events: &[SimulatedEvent]| {
            events.iter().map(|event| event.id.clone()).collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(ids(&arrived), ids(&sent));
        assert!(!arrived.is_sorted_by_key(|event| event.created));
    }

    #[test]
    fn two_bodies_of_one_event_arrive_and_all_of_a_second_are_of_one_endpoint_first() {
        let sent = events();
        let all = Delivery { duplicates: 0.0, second_bodies: 1.0, ..Delivery::default() };
        let arrived = deliver(sent.clone(), &all);
        let two = sent.iter().filter(|event| event.second_body.is_some()).count();
        assert!(two > 50);
        assert_eq!(arrived.len(), sent.len() + two);
        let mut firsts: BTreeMap<i64, bool> = BTreeMap::new();
        for event in sent.iter().filter(|event| event.second_body.is_some()) {
            let first = arrived.iter().find(|arrived| arrived.id == event.id).unwrap();
            let swapped = Some(&first.body) == event.second_body.as_ref();
            assert!(swapped || first.body == event.body);
            assert_eq!(*firsts.entry(event.created).or_insert(swapped), swapped);
        }
        assert!(firsts.values().any(|swapped| *swapped) && !firsts.values().all(|it| *it));
        let none = deliver(sent.clone(), &Delivery { second_bodies: 0.0, ..all });
        assert_eq!(none.len(), sent.len());
    }

    #[test]
    fn only_what_is_losable_is_lost() {
        let sent = events();
        let needed = sent.iter().filter(|event| !event.losable).count();
        let with = |losses| Delivery {
            losses,
            duplicates: 0.0,
            second_bodies: 0.0,
            ..Delivery::default()
        };
        let left = deliver(sent.clone(), &with(1.0));
        assert!(left.len() == needed && left.iter().all(|event| !event.losable));
        let half = deliver(sent.clone(), &with(0.5)).len();
        assert!(needed < half && half < sent.len());
    }

    #[test]
    fn without_disorder_and_duplicates_nothing_changes() {
        let one = Versions::One(ApiVersion::Clover);
        let sent =
            simulate(&Plan { subscriptions: 30, api_version: one, ..Plan::default() }).events;
        let calm = Delivery { order: Order::AsHappened, duplicates: 0.0, ..Delivery::default() };
        assert_eq!(deliver(sent.clone(), &calm), sent);
    }

    #[test]
    fn a_second_arrival_may_have_other_bytes_and_says_the_same() {
        let event = &events()[0];
        let copy = with_other_bytes(event);
        assert_ne!(copy.body, event.body);
        let read = |event: &SimulatedEvent| {
            let mut value: serde_json::Value = serde_json::from_str(&event.body).unwrap();
            value["pending_webhooks"].take();
            value
        };
        assert_eq!(read(&copy), read(event));
    }
}
