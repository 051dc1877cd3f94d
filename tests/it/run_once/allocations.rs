//! Understanding an event costs memory for what is kept of it, and for nothing else.

use std::hint::black_box;

use allocation_counter::measure;
use subledger::projection::observe::observe;

fn event(event_type: &str, object: &str) -> String {
    format!(
        r#"{{"id":"evt_1","object":"event","type":"{event_type}","created":7,"livemode":true,
        "api_version":"2026-03-25.dahlia","request":{{"id":"req_1","idempotency_key":null}},
        "data":{{"object":{object},"previous_attributes":{{"status":"trialing"}}}}}}"#
    )
}

fn allocations(body: &str) -> u64 {
    measure(|| drop(black_box(observe(body)))).count_total
}

/// The parser's own list of open brackets, once for the envelope and once for the object.
const BRACKETS: u64 = 2;

/// Fields that nobody reads, repeated.
fn ballast(times: usize) -> String {
    r#","unread":{"list":["text",7,null],"deeper":{"more":"text"}}"#.repeat(times)
}

#[test]
fn an_event_that_concerns_nobody_allocates_nothing() {
    for event_type in ["balance.available", "payout.paid", "never.heard.of"] {
        let of = |times| {
            let object = format!(r#"{{"id":"x_1","object":"thing"{}}}"#, ballast(times));
            allocations(&event(event_type, &object))
        };
        assert_eq!((of(0), of(100)), (0, BRACKETS), "{event_type}");
    }
}

#[test]
fn what_is_only_on_a_timeline_allocates_the_same_whatever_its_size() {
    let of = |rest: &str| {
        let object = format!(r#"{{"id":"pm_1","object":"card","customer":"cus_1"{rest}}}"#);
        allocations(&event("payment_method.attached", &object))
    };
    // The customer's id.
    assert_eq!((of(""), of(&ballast(100))), (1, 1 + BRACKETS));
}

#[test]
fn the_parts_of_an_object_that_are_not_kept_allocate_nothing() {
    for (event_type, object) in [
        (
            "customer.subscription.updated",
            r#""id":"sub_1","object":"subscription","customer":"cus_1","status":"active""#,
        ),
        (
            "invoice.paid",
            r#""id":"in_1","object":"invoice","customer":"cus_1","subscription":"sub_1","status":"paid""#,
        ),
        (
            "checkout.session.completed",
            r#""id":"cs_1","object":"checkout.session","customer":"cus_1","subscription":"sub_1""#,
        ),
        ("customer.updated", r#""id":"cus_1","object":"customer","email":"a@shop.example""#),
        (
            "subscription_schedule.updated",
            r#""id":"sub_sched_1","object":"subscription_schedule","customer":"cus_1","status":"active""#,
        ),
        ("product.updated", r#""id":"prod_1","object":"product","name":"Gold""#),
    ] {
        let of = |rest: &str| allocations(&event(event_type, &format!("{{{object}{rest}}}")));
        assert!(of("") > 0, "{event_type} keeps something");
        assert_eq!(of(&ballast(100)), of("") + BRACKETS, "{event_type}");
    }
}
