//! What went wrong elsewhere when events came in a bad order, each as a case that must not go wrong
//! here: in every order of arrival the row is the same and right.

use subledger::ids::{CustomerId, CustomerKey, Scope};
use subledger::projection::Logic;
use subledger::projection::observe::observe;
use subledger::projection::row::SubscriptionRow;
use subledger::projection::rows::rows;
use subledger::projection::state::CustomerState;
use subledger::time::StripeTime;

/// An event about `sub_1` of `cus_1`.
struct Told {
    id: &'static str,
    event_type: &'static str,
    created: i64,
    object: String,
    previous: &'static str,
}

fn told(
    id: &'static str,
    event_type: &'static str,
    created: i64,
    fields: &str,
    previous: &'static str,
) -> Told {
    let object = format!(r#"{{"id":"sub_1","object":"subscription","customer":"cus_1",{fields}}}"#);
    Told { id, event_type, created, object, previous }
}

impl Told {
    fn body(&self) -> String {
        let Self { id, event_type, created, object, previous } = self;
        format!(
            r#"{{"id":"{id}","object":"event","type":"{event_type}","created":{created},
            "livemode":true,"data":{{"object":{object},"previous_attributes":{previous}}}}}"#
        )
    }
}

/// The rows after the events, the same in every order of arrival.
fn rows_in_any_order(events: &[Told]) -> Vec<SubscriptionRow> {
    let key = CustomerKey {
        scope: Scope { livemode: true, ..Scope::default() },
        customer: CustomerId::from("cus_1"),
    };
    let fold = |order: &[usize]| {
        let mut state = CustomerState::default();
        for at in order {
            let observation = observe(&events[*at].body()).unwrap();
            assert_eq!(observation.customer.as_ref(), Some(&key));
            observation.change.into_iter().for_each(|change| state.add(change));
        }
        rows(&key, &state, &Logic::default())
    };
    let in_order: Vec<usize> = (0..events.len()).collect();
    let expected = fold(&in_order);
    permute(&mut in_order.clone(), 0, &mut |order| assert_eq!(fold(order), expected, "{order:?}"));
    expected
}

fn permute(order: &mut [usize], from: usize, visit: &mut impl FnMut(&[usize])) {
    if from == order.len() {
        return visit(order);
    }
    for at in from..order.len() {
        order.swap(from, at);
        permute(order, from + 1, visit);
        order.swap(from, at);
    }
}

fn the_row(events: &[Told]) -> SubscriptionRow {
    let mut rows = rows_in_any_order(events);
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

const CREATED: &str = "customer.subscription.created";
const UPDATED: &str = "customer.subscription.updated";
const DELETED: &str = "customer.subscription.deleted";

#[test]
fn created_after_updated_in_one_second_does_not_put_a_paid_subscription_back() {
    // The ids say the opposite, and there is no previous_attributes to help.
    let row = the_row(&[
        told("evt_z", CREATED, 5, r#""status":"incomplete""#, "null"),
        told("evt_a", UPDATED, 5, r#""status":"active""#, "null"),
    ]);
    assert_eq!((row.status.as_str(), row.order_ambiguous), ("active", false));
}

#[test]
fn without_a_created_event_the_status_says_which_of_a_second_came_last() {
    let row = the_row(&[
        told("evt_z", UPDATED, 5, r#""status":"incomplete""#, "null"),
        told("evt_a", UPDATED, 5, r#""status":"active""#, "null"),
    ]);
    assert_eq!((row.status.as_str(), row.order_ambiguous), ("active", false));
}

#[test]
fn trial_will_end_and_updated_of_one_second_are_told_apart_by_what_changed() {
    let row = the_row(&[
        told(
            "evt_z",
            "customer.subscription.trial_will_end",
            5,
            r#""status":"trialing","cancel_at":null"#,
            "null",
        ),
        told("evt_a", UPDATED, 5, r#""status":"trialing","cancel_at":9"#, r#"{"cancel_at":null}"#),
    ]);
    assert_eq!((row.cancel_at.map(|at| at.0), row.order_ambiguous), (Some(9), false));
}

#[test]
fn rivals_that_disagree_without_evidence_are_marked_and_those_that_agree_are_not() {
    let disagree = the_row(&[
        told("evt_a", UPDATED, 5, r#""status":"active","cancel_at":7"#, "null"),
        told("evt_b", UPDATED, 5, r#""status":"active","cancel_at":8"#, "null"),
    ]);
    assert_eq!((disagree.cancel_at.map(|at| at.0), disagree.order_ambiguous), (Some(8), true));
    let agree = the_row(&[
        told("evt_a", UPDATED, 5, r#""status":"active","unknown":7"#, "null"),
        told("evt_b", UPDATED, 5, r#""status":"active","unknown":8"#, "null"),
    ]);
    assert!(!agree.order_ambiguous);
}

#[test]
fn nothing_that_arrives_late_revives_a_subscription_that_ended() {
    let row = the_row(&[
        told("evt_1", CREATED, 1, r#""status":"active""#, "null"),
        told("evt_2", DELETED, 5, r#""status":"canceled","ended_at":5"#, "null"),
        // Later by Stripe's clock as well, and still: a new subscription has a new id.
        told("evt_3", UPDATED, 9, r#""status":"active""#, r#"{"status":"past_due"}"#),
    ]);
    assert_eq!((row.status.as_str(), row.entitled), ("canceled", false));
    assert_eq!(row.ended_at.map(|at| at.0), Some(5));
}

#[test]
fn a_pending_update_that_expired_does_not_roll_a_paying_account_back() {
    let expired = "customer.subscription.pending_update_expired";
    for created in [5, 9] {
        let row = the_row(&[
            told("evt_1", UPDATED, 5, r#""status":"active""#, "null"),
            told("evt_2", expired, created, r#""status":"past_due""#, "null"),
        ]);
        assert_eq!((row.status.as_str(), row.past_due_since), ("active", None));
    }
}

#[test]
fn a_deleted_customer_ends_its_subscriptions_until_their_own_word_says_better() {
    let customer = || Told {
        id: "evt_9",
        event_type: "customer.deleted",
        created: 9,
        object: r#"{"id":"cus_1","object":"customer"}"#.to_owned(),
        previous: "null",
    };
    let active = || told("evt_1", UPDATED, 5, r#""status":"active""#, "null");
    let row = the_row(&[active(), customer()]);
    assert_eq!((row.status.as_str(), row.entitled), ("canceled", false));
    assert_eq!((row.ended_at, row.ends_at), (Some(StripeTime(9)), Some(StripeTime(9))));
    let ended = told("evt_2", DELETED, 8, r#""status":"canceled","ended_at":8"#, "null");
    let row = the_row(&[active(), customer(), ended]);
    assert_eq!((row.status.as_str(), row.ended_at.map(|at| at.0)), ("canceled", Some(8)));
}

#[test]
fn one_subscription_at_two_api_versions_gives_one_row() {
    let old = r#""status":"active","current_period_start":1,"current_period_end":9,"items":{"data":[
        {"id":"si_1","quantity":2,"price":{"id":"price_1","product":"prod_1"}}]}"#;
    let new = r#""status":"active","items":{"data":[{"id":"si_1","quantity":2,
        "current_period_start":1,"current_period_end":9,"price":{"id":"price_1","product":"prod_1"}}]}"#;
    let of = |fields| the_row(&[told("evt_1", UPDATED, 5, fields, "null")]);
    assert_eq!(of(old), of(new));
}

#[test]
fn a_portal_cancellation_in_flexible_mode_says_when_it_ends() {
    let fields = r#""status":"active","cancel_at":99,"cancel_at_period_end":false"#;
    let row = the_row(&[told("evt_1", UPDATED, 5, fields, r#"{"cancel_at":null}"#)]);
    assert_eq!(row.ends_at.map(|at| at.0), Some(99));
    assert_eq!(row.entitled_until.map(|at| at.0), Some(99));
}

#[test]
fn the_chain_holds_where_two_endpoints_render_one_second_at_two_versions() {
    // Quantity 1 -> 2 -> 3 in one second; which rendering of each was logged must not matter.
    let event = |id: &str, version: &str, quantity: u8| {
        let period = r#""current_period_start":1,"current_period_end":9"#;
        let (on_top, on_item) = if version.ends_with("basil") {
            ("", format!(",{period}"))
        } else {
            (period, String::new())
        };
        let comma = if on_top.is_empty() { "" } else { "," };
        format!(
            r#"{{"id":"{id}","object":"event","type":"{UPDATED}","created":5,"livemode":true,
            "api_version":"{version}","data":{{"object":{{"id":"sub_1","object":"subscription",
            "customer":"cus_1","status":"active","quantity":{quantity},{on_top}{comma}
            "items":{{"data":[{{"id":"si_1","quantity":{quantity}{on_item}}}]}}}},
            "previous_attributes":{{"quantity":{before},
            "items":{{"data":[{{"id":"si_1","quantity":{before}{on_item}}}]}}}}}}}}"#,
            before = quantity - 1,
        )
    };
    let versions = ["2024-12-18.acacia", "2025-03-31.basil"];
    for first in versions {
        for second in versions {
            // By id alone, the first would come last.
            let bodies = [event("evt_z", first, 2), event("evt_a", second, 3)];
            for order in [[0, 1], [1, 0]] {
                let mut state = CustomerState::default();
                let mut customer = None;
                for at in order {
                    let observation = observe(&bodies[at]).unwrap();
                    observation.change.into_iter().for_each(|change| state.add(change));
                    customer = observation.customer;
                }
                let row = rows(&customer.unwrap(), &state, &Logic::default()).remove(0);
                assert_eq!(
                    (row.quantity, row.order_ambiguous),
                    (Some(3), false),
                    "{first} {second}"
                );
            }
        }
    }
}
