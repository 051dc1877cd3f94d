//! Canonical order of the events of one customer: the order of a history.
//!
//! Seconds are in the order of Stripe's clock. Within a second, the events of one object are in the order of
//! the fold. Events of different objects are merged by their usual causes. Like the fold, the order depends on
//! the set of events alone.

use std::collections::BTreeMap;

use super::observe;
use super::order::{self, Evidence};
use crate::ids::EventId;
use crate::stripe::{Envelope, ObjectType};

/// Indexes of the envelopes, grouped by the instants of their events, from first to last.
pub fn instants(envelopes: &[Envelope<'_>]) -> Vec<Vec<usize>> {
    let mut instants: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (at, envelope) in envelopes.iter().enumerate() {
        instants.entry((envelope.created, envelope.created_nanos)).or_default().push(at);
    }
    instants.into_values().collect()
}

/// Puts the events of one instant, given by their indexes, into order. `start` returns, for the id of an
/// object, the events that may have been the last about it before this instant.
pub fn order_of_instant<'s>(
    envelopes: &[Envelope<'_>],
    instant: &[usize],
    start: impl Fn(&str) -> Vec<&'s Evidence>,
) -> Vec<usize> {
    if instant.len() == 1 {
        return instant.to_vec();
    }
    // An observation ranks below every event of its second.
    let (mut merged, events): (Vec<usize>, Vec<usize>) =
        instant.iter().partition(|at| envelopes[**at].is_observation);
    merged.sort_by_key(|at| &envelopes[*at].id);
    let mut objects: BTreeMap<String, Vec<(usize, EventId, Evidence)>> = BTreeMap::new();
    for at in &events {
        let (object, evidence) = observe::evidence_for(&envelopes[*at]);
        let event_id = EventId::new(envelopes[*at].id.clone());
        objects.entry(object).or_default().push((*at, event_id, evidence));
    }
    let mut queues: Vec<std::vec::IntoIter<usize>> = objects
        .into_iter()
        .map(|(object, events)| {
            let rivals: Vec<_> = events.iter().map(|(_, id, evidence)| (id, evidence)).collect();
            let order = order::sequence(&rivals, &start(&object)).order;
            order.into_iter().map(|index| events[index].0).collect::<Vec<_>>().into_iter()
        })
        .collect();
    while merged.len() < instant.len() {
        let heads = queues.iter().enumerate().filter_map(|(queue, events)| {
            events.as_slice().first().map(|at| (queue, &envelopes[*at]))
        });
        let next = heads.min_by_key(|(_, event)| (causal_rank(&event.event_type), &event.id));
        let Some((queue, _)) = next else { break };
        merged.extend(queues[queue].next());
    }
    merged
}

/// Usual position of an event type in a checkout or a renewal whose events share a second.
fn causal_rank(event_type: &str) -> u8 {
    match event_type {
        "customer.created" => 0,
        "customer.updated" => 1,
        "customer.subscription.created" => 2,
        "invoice.created" => 3,
        "checkout.session.completed" => 7,
        "customer.subscription.deleted" => 8,
        "customer.deleted" => 9,
        "invoice.upcoming" => 5,
        _ => match ObjectType::from_event_type(event_type) {
            Some(ObjectType::Subscription) => 6,
            Some(ObjectType::Invoice) => 5,
            _ => 4,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(id: &str, event_type: &str, created: i64, object: &str, previous: &str) -> String {
        format!(
            r#"{{"id":"{id}","object":"event","type":"{event_type}","created":{created},
            "livemode":true,"data":{{"object":{object},"previous_attributes":{previous}}}}}"#
        )
    }

    #[test]
    fn a_checkout_within_one_second_reads_as_it_happened() {
        let sub = |status: &str| {
            format!(
                r#"{{"object":"subscription","id":"sub_1","customer":"cus_1","status":"{status}"}}"#
            )
        };
        let invoice =
            |status: &str| format!(r#"{{"object":"invoice","id":"in_1","status":"{status}"}}"#);
        let bodies = [
            event("evt_a", "checkout.session.completed", 5, r#"{"id":"cs_1"}"#, "null"),
            event(
                "evt_b",
                "customer.subscription.updated",
                5,
                &sub("active"),
                r#"{"status":"incomplete"}"#,
            ),
            event("evt_c", "invoice.paid", 5, &invoice("paid"), "null"),
            event("evt_d", "invoice.created", 5, &invoice("draft"), "null"),
            event("evt_e", "customer.subscription.created", 5, &sub("incomplete"), "null"),
            event("evt_f", "customer.created", 5, r#"{"id":"cus_1"}"#, "null"),
            event("evt_0", "customer.subscription.deleted", 9, &sub("canceled"), "null"),
            event("evt_9", "customer.updated", 4, r#"{"id":"cus_1"}"#, "null"),
        ];
        let envelopes: Vec<_> = bodies.iter().map(|body| Envelope::parse(body).unwrap()).collect();
        let instants = instants(&envelopes).into_iter();
        let order: Vec<_> =
            instants.flat_map(|it| order_of_instant(&envelopes, &it, |_| Vec::new())).collect();
        let names: Vec<_> = order.iter().map(|at| envelopes[*at].id.as_ref()).collect();
        assert_eq!(names, ["evt_9", "evt_f", "evt_e", "evt_d", "evt_c", "evt_b", "evt_a", "evt_0"]);
    }
}
