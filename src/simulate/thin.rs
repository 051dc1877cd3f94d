//! Thin events: twins of events with a snapshot, which they name instead of holding it.

use std::borrow::Cow;

use serde::Deserialize;

use super::objects::event::SimulatedEvent;
use super::wire::{Format, NULL, Wire, object};
use crate::time::StripeTime;

/// Object of a snapshot.
#[derive(Deserialize)]
struct Related<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    object: Cow<'a, str>,
}

/// Thin twin of an event, as a thin endpoint gets it. `None`: the event is thin, or its object has no id.
///
/// The API shows the event with the snapshot at `/v1/events/{snapshot_event}`, and the latest state of the object at
/// the address of `related_object`.
pub fn thin_twin(event: &SimulatedEvent) -> Option<SimulatedEvent> {
    #[derive(Deserialize)]
    struct Body<'a> {
        #[serde(borrow)]
        data: Data<'a>,
    }
    #[derive(Deserialize)]
    struct Data<'a> {
        #[serde(borrow)]
        object: Related<'a>,
    }
    let body: Body<'_> = serde_json::from_str(&event.body).ok()?;
    let Related { id: Some(related), object } = body.data.object else { return None };
    let id = format!("evt_test_65{}", event.id.trim_start_matches("evt_"));
    let event_type = format!("v1.{}", event.event_type);
    let instant = StripeTime(event.created).to_string().replace('Z', ".417Z");
    let context = if event.account.is_empty() { NULL } else { Wire::from(&event.account) };
    let thin = object! {
        "id": &id,
        "object": "v2.core.event",
        "context": context,
        "created": instant,
        "livemode": event.livemode,
        "reason": NULL,
        "related_object": object! {
            "id": related.to_string(),
            "type": object.to_string(),
            "url": url(&object, &related),
        },
        "snapshot_event": &event.id,
        "type": &event_type,
    };
    let body = thin.to_body(Format::Compact);
    Some(SimulatedEvent { id, event_type, body, second_body: None, ..event.clone() })
}

/// Address of an object in the API.
fn url(object: &str, id: &str) -> String {
    // `checkout.session` is at `/v1/checkout/sessions`.
    format!("/v1/{}s/{id}", object.replace('.', "/"))
}

#[cfg(test)]
mod tests {
    use super::super::{Plan, simulate};
    use super::*;

    #[test]
    fn a_twin_names_its_event_and_object_and_holds_no_snapshot() {
        let events = simulate(&Plan { subscriptions: 20, ..Plan::default() }).events;
        let mut twins = 0;
        for event in &events {
            let body: serde_json::Value = event.body.parse().unwrap();
            let object = &body["data"]["object"];
            let Some(twin) = thin_twin(event) else {
                assert!(object["id"].is_null());
                continue;
            };
            let thin: serde_json::Value = twin.body.parse().unwrap();
            assert_eq!(thin["object"], "v2.core.event");
            assert_eq!(thin["type"], format!("v1.{}", event.event_type));
            assert_eq!(thin["snapshot_event"], event.id.as_str());
            assert_eq!(thin["related_object"]["id"], object["id"]);
            assert_eq!(thin["context"].as_str().unwrap_or_default(), event.account);
            assert!(thin.get("data").is_none());
            assert!(twin.is_thin() && thin_twin(&twin).is_none());
            twins += 1;
        }
        assert!(twins > 300, "{twins}");
        assert_eq!(url("checkout.session", "cs_1"), "/v1/checkout/sessions/cs_1");
        assert_eq!(url("subscription", "sub_1"), "/v1/subscriptions/sub_1");
    }
}
