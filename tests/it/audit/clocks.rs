//! Two clocks: what had happened by then, and what had reached us by then. Each is held against a ledger that was
//! really stopped at that moment.

use std::collections::BTreeSet;

use serde_json::Value;
use subledger::audit::{self, Past, Subject, SubjectKind};
use subledger::ids::Scope;
use subledger::projection::Logic;
use subledger::simulate::{self, Delivery, Plan, SimulatedEvent, TruthRow};
use subledger::time::StripeTime;

use crate::ledger::{append, follow_to_the_end};
use crate::store::Ledger;

async fn ledger_of(events: &[SimulatedEvent]) -> Ledger {
    let ledger = Ledger::new().await;
    append(&ledger.store, events).await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    ledger
}

/// A history without what is of today: the names of products and prices, and which past was asked for.
async fn history(ledger: &Ledger, subject: &Subject, past: Past) -> Option<Value> {
    let history = audit::history(&ledger.store, subject.clone(), past).await.unwrap()?.1;
    let mut told = serde_json::to_value(history).unwrap();
    for of_today in ["as_of", "known_at"] {
        told.as_object_mut().unwrap().remove(of_today);
    }
    for event in told["events"].as_array_mut().unwrap() {
        event.as_object_mut().unwrap().remove("words");
        // A second delivery that came later counts once the whole is known.
        event.as_object_mut().unwrap().remove("redelivered");
    }
    strip_names(&mut told["state"]);
    let is_empty = told["events"].as_array().unwrap().is_empty();
    (!is_empty).then_some(told)
}

fn strip_names(value: &mut Value) {
    match value {
        Value::Array(list) => list.iter_mut().for_each(strip_names),
        Value::Object(fields) => {
            fields.retain(|name, _| name != "product_name" && name != "price_nickname");
            fields.values_mut().for_each(strip_names);
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_past_is_as_a_ledger_knew_it_that_was_stopped_then() {
    let made = simulate::simulate(&Plan { seed: 23, subscriptions: 30, ..Plan::default() });
    let delivered = simulate::deliver(made.events, &Delivery { seed: 4, ..Delivery::default() });
    let whole = ledger_of(&delivered).await;
    // The clock stands still, so an event is received in the same microsecond by both.
    let half = delivered.len() / 2;
    let known_at =
        ledger_of(&delivered[..half]).await.store.log.head().await.unwrap().last_received_at;
    let mut times: Vec<i64> = delivered.iter().map(|event| event.created).collect();
    times.sort_unstable();
    let as_of = StripeTime(times[half]);
    let happened = |events: &[SimulatedEvent]| -> Vec<SimulatedEvent> {
        events.iter().filter(|event| event.created <= as_of.0).cloned().collect()
    };
    let (both, known, then) = (
        (Some(as_of), Some(known_at), happened(&delivered[..half])),
        (None, Some(known_at), delivered[..half].to_vec()),
        (Some(as_of), None, happened(&delivered)),
    );
    for (as_of, known_at, events) in [both, known, then] {
        let past = Past { as_of, known_at };
        let stopped = ledger_of(&events).await;
        let of_row = |row: &TruthRow| (row.account.clone(), row.livemode, row.customer_id.clone());
        let customers: BTreeSet<_> = made.truth.iter().map(of_row).collect();
        let mut told = 0;
        for (account, livemode, id) in customers {
            let scope = Scope { account: account.as_str().into(), livemode };
            let subject = Subject { kind: SubjectKind::Customer, id, scope };
            let (mut then, mut now) = (
                history(&stopped, &subject, Past::default()).await,
                history(&whole, &subject, past).await,
            );
            for told in [&mut then, &mut now].into_iter().flatten() {
                without_places(told);
            }
            assert_eq!(ids(now.as_ref()), ids(then.as_ref()), "{subject:?} at {past:?}");
            let differing = lines(now.as_ref()).into_iter().zip(lines(then.as_ref()));
            let differing: Vec<_> = differing.filter(|(now, then)| now != then).collect();
            assert!(differing.is_empty(), "{subject:?} at {past:?}: {differing:#?}");
            told += usize::from(then.is_some());
        }
        assert!(told > 10, "{told} customers had a history then");
    }
}

/// Removes positions and receipt times, which depend on the other events.
fn without_places(history: &mut Value) {
    for event in history["events"].as_array_mut().unwrap() {
        let event = event.as_object_mut().unwrap();
        event.remove("position");
        event.remove("received_at");
    }
}

fn ids(history: Option<&Value>) -> Vec<String> {
    let events = history.into_iter().flat_map(|told| told["events"].as_array().unwrap());
    events.map(|event| event["event_id"].to_string()).collect()
}

/// A history, an event and a row to a line.
fn lines(history: Option<&Value>) -> Vec<String> {
    let lists = history.into_iter().flat_map(|told| [&told["events"], &told["state"]]);
    lists.flat_map(|list| list.as_array().unwrap()).map(Value::to_string).collect()
}
