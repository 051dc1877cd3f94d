//! Objects that Stripe's API showed, among events: they count like a snapshot of their second, below its events.

use subledger::projection::novelty::Novelty;
use subledger::projection::observe::observe;
use subledger::projection::row::SubscriptionRow;
use subledger::projection::state::CustomerState;
use subledger::time::StripeTime;

use crate::order::any_order::{rows_in_any_order, the_row};
use crate::order::bodies::any_event;
use crate::order::dice::Dice;
use crate::order::told::{CREATED, DELETED, Told, UPDATED, tell_all};

fn sub(fields: &str) -> String {
    format!(r#"{{"id":"sub_1","object":"subscription","customer":"cus_1",{fields}}}"#)
}

fn invoice(fields: &str) -> String {
    format!(
        r#"{{"id":"in_1","object":"invoice","customer":"cus_1","subscription":"sub_1","created":3,{fields}}}"#
    )
}

fn seen(created: i64, fields: &str) -> Told {
    Told::seen(&format!("obs_{created}"), created, &sub(fields))
}

fn status(row: &SubscriptionRow) -> (&str, Option<i64>) {
    (&row.status, row.observed_at.map(|at| at.0))
}

const ACTIVE: &str = r#""status":"active""#;
const PAST_DUE: &str = r#""status":"past_due""#;
const CANCELED: &str = r#""status":"canceled","ended_at":4"#;

#[test]
fn an_observation_counts_from_its_second_and_below_the_events_of_that_second() {
    let event = |second, fields| Told::sub("evt_1", UPDATED, second, fields);
    let row = |events: &[Told]| the_row(events);
    assert_eq!(status(&row(&[seen(5, ACTIVE)])), ("active", Some(5)));
    assert_eq!(status(&row(&[event(4, PAST_DUE), seen(5, ACTIVE)])), ("active", Some(5)));
    assert_eq!(status(&row(&[seen(5, ACTIVE), event(5, PAST_DUE)])), ("past_due", None));
    assert_eq!(status(&row(&[seen(5, ACTIVE), event(6, PAST_DUE)])), ("past_due", None));
    assert_eq!(status(&row(&[seen(5, ACTIVE), seen(7, PAST_DUE)])), ("past_due", Some(7)));
}

#[test]
fn nothing_revives_a_subscription_that_was_seen_to_have_ended() {
    let rows = [
        the_row(&[seen(5, CANCELED), Told::sub("evt_1", UPDATED, 9, ACTIVE)]),
        the_row(&[Told::sub("evt_1", DELETED, 5, CANCELED), seen(9, ACTIVE)]),
    ];
    for row in rows {
        assert_eq!((row.status.as_str(), row.ended_at), ("canceled", Some(StripeTime(4))));
    }
}

#[test]
fn an_observation_decides_nothing_about_the_order_of_events() {
    // There and back within a second: the state before it says which was last, and an observation does not.
    let ends = |at: u8| format!(r#""status":"active","cancel_at":{at}"#);
    let before = Told::sub("evt_0", CREATED, 1, &ends(1));
    let change = |id: &str, from: u8, to: u8| {
        Told::sub(id, UPDATED, 5, &ends(to)).was(&format!(r#"{{"cancel_at":{from}}}"#))
    };
    let events = [before, change("evt_a", 2, 1), change("evt_b", 1, 2)];
    let expected = the_row(&events);
    assert_eq!((expected.cancel_at, expected.order_ambiguous), (Some(StripeTime(1)), false));
    for at in [4, 5] {
        let observation = seen(at, &ends(2));
        let all: Vec<Told> = events.iter().cloned().chain([observation]).collect();
        assert_eq!(the_row(&all), expected, "observed at {at}");
    }
}

#[test]
fn a_later_observation_settles_an_order_that_nothing_shows() {
    let ends = |at: u8| format!(r#""status":"active","cancel_at":{at}"#);
    let event = |id: &str, at: u8| Told::sub(id, UPDATED, 5, &ends(at));
    let events = [event("evt_a", 1), event("evt_b", 2)];
    assert!(the_row(&events).order_ambiguous);
    let [a, b] = events;
    let row = the_row(&[a, b, seen(6, &ends(1))]);
    assert_eq!((row.cancel_at, row.order_ambiguous), (Some(StripeTime(1)), false));
}

#[test]
fn an_object_that_is_gone_keeps_the_facts_that_are_known() {
    let customer =
        r#"{"id":"cus_1","object":"customer","email":"a@example.com","metadata":{"user_id":"u1"}}"#;
    let gone = r#"{"id":"cus_1","object":"customer","deleted":true}"#;
    let row = the_row(&[
        Told::new("evt_1", "customer.created", 1, customer),
        Told::sub("evt_2", UPDATED, 2, ACTIVE),
        Told::new("obs_1", "", 9, gone).into_observation(true),
    ]);
    assert_eq!((row.status.as_str(), row.user_id.as_deref()), ("canceled", Some("u1")));
    assert_eq!((row.email.as_deref(), row.ended_at), (Some("a@example.com"), Some(StripeTime(9))));

    let gone = Told::new("obs_1", "", 9, &sub(r#""status":"canceled","deleted":true"#));
    let row = the_row(&[
        Told::sub("evt_2", UPDATED, 2, r#""status":"active","trial_end":7"#),
        gone.into_observation(true),
    ]);
    assert_eq!((row.status.as_str(), row.trial_end), ("canceled", Some(StripeTime(7))));
}

#[test]
fn the_start_of_a_debt_that_was_only_observed_comes_from_the_open_invoice_or_is_the_observation() {
    let since = |events: &[Told]| the_row(events).past_due_since.map(|at| at.0);
    let open =
        |fields: &str| Told::seen("obs_i", 8, &invoice(&format!(r#""status":"open",{fields}"#)));
    assert_eq!(since(&[seen(9, PAST_DUE)]), Some(9));
    let finalized = r#""status_transitions":{"finalized_at":4}"#;
    assert_eq!(since(&[seen(9, PAST_DUE), open(finalized)]), Some(4));
    let due = r#""due_date":6,"status_transitions":{"finalized_at":4}"#;
    assert_eq!(since(&[seen(9, PAST_DUE), open(due)]), Some(6));
    let event = Told::sub("evt_1", UPDATED, 7, PAST_DUE).was(ACTIVE_BEFORE);
    assert_eq!(since(&[event, seen(9, PAST_DUE), open(finalized)]), Some(7), "an event says when");
}

const ACTIVE_BEFORE: &str = r#"{"status":"active"}"#;

#[test]
fn a_payment_that_was_only_observed_has_the_time_that_the_invoice_states() {
    let paid = |fields: &str| {
        let paid = Told::seen("obs_i", 8, &invoice(&format!(r#""status":"paid"{fields}"#)));
        the_row(&[seen(9, ACTIVE), paid]).paid_at.map(|at| at.0)
    };
    assert_eq!(paid(r#","status_transitions":{"paid_at":5}"#), Some(5));
    assert_eq!(paid(""), None);
}

#[test]
fn what_was_observed_and_folded_is_confirmed_when_it_is_observed_again() {
    for seed in 0..3_000 {
        let dice = &mut Dice::new(seed);
        let bodies: Vec<String> = (0..dice.between(0, 5))
            .map(|at| any_event(dice, &format!("evt_{at}")).body())
            .collect();
        let observed = any_event(dice, "obs_1").into_observation(dice.one_in(6)).body();
        let observation = observe(&observed).unwrap();
        let (Some(key), Some(change)) = (observation.customer, observation.change) else {
            continue;
        };
        let mut states = tell_all(bodies.iter().map(String::as_str));
        let state: &mut CustomerState = states.entry(key).or_default();
        let before = state.clone();
        let novelty = state.novelty(&change);
        state.apply(change.clone());
        assert_ne!(state.novelty(&change), Novelty::New, "seed {seed}: {bodies:#?} {observed}");
        if novelty == Novelty::Outdated {
            let winners = |state: &CustomerState| state.winners().cloned().collect::<Vec<_>>();
            assert_eq!(winners(state), winners(&before), "seed {seed}: {bodies:#?} {observed}");
        }
    }
}

#[test]
fn objects_of_several_kinds_versions_and_times_give_one_row_in_every_order() {
    let rows = rows_in_any_order(&[
        Told::sub("evt_1", CREATED, 2, r#""status":"incomplete""#).at_version("2024-12-18.acacia"),
        seen(4, ACTIVE).at_version("2026-04-22.dahlia"),
        seen(6, PAST_DUE).at_version("2026-09-30.endive"),
        Told::seen("obs_i", 6, &invoice(r#""status":"open","due_date":5"#)),
        Told::invoice("evt_3", "invoice.created", 3, r#""status":"draft""#),
        Told::seen("obs_c", 5, r#"{"id":"cus_1","object":"customer","metadata":{"user_id":"u1"}}"#),
    ]);
    assert_eq!(
        (rows[0].status.as_str(), rows[0].past_due_since),
        ("past_due", Some(StripeTime(5)))
    );
    assert_eq!(rows[0].user_id.as_deref(), Some("u1"));
}

#[test]
fn a_discount_that_an_event_names_by_its_id_is_confirmed_once_its_coupon_is_known() {
    let sub = |discounts: &str| format!(r#""status":"active","discounts":[{discounts}]"#);
    let by_id = |id: &str, at| Told::sub(id, UPDATED, at, &sub(r#""di_1""#)).body();
    let seen = |at| seen(at, &sub(r#"{"id":"di_1","coupon":{"id":"LOYAL10"}}"#)).body();
    let novelty = |bodies: &[String], seen: &str| {
        let states = tell_all(bodies.iter().map(String::as_str));
        let state = states.into_values().next().unwrap();
        state.novelty(&observe(seen).unwrap().change.unwrap())
    };
    assert_eq!(novelty(&[by_id("evt_1", 1)], &seen(5)), Novelty::New);
    assert_eq!(
        novelty(&[by_id("evt_1", 1), seen(5), by_id("evt_2", 7)], &seen(9)),
        Novelty::Confirmed
    );
}
