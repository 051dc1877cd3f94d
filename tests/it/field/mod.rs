//! Cases from the field: events as they were told of in public reports, with the answers that are right.
//!
//! Each file of `cases/` holds whole bodies in one possible order of arrival and what the ledger must say
//! of them: `rows` by subscription, `users` by id, and for some cases lists, histories or explanations. A list
//! in the place of a value means "one of these". Each is tried in both orders, every event delivered twice,
//! with the clock where it stood when the case was written.

use reqwest::StatusCode;
use serde_json::{Map, Value, json};
use subledger::clock::Clock;
use subledger::ids::Mode;
use subledger::projection::Logic;
use subledger::simulate::sign;
use subledger::time::ReceivedAt;

use crate::app::server::{SECRET, TestServer};

macro_rules! cases {
    ($($name:ident: $file:literal,)+) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let case: Value = serde_json::from_str(include_str!(concat!("cases/", $file, ".json"))).unwrap();
            for reversed in [false, true] {
                try_case(&case, reversed).await;
            }
        }
    )+};
}

cases! {
    a_checkout_that_was_abandoned_names_no_user: "abandoned-session-of-another-user",
    a_checkout_that_was_abandoned_takes_no_subscription_away: "abandoned-session-takes-the-subscription",
    a_reason_is_paired_with_the_event_that_brought_it: "explain-trial-then-active-then-past-due",
    a_line_belongs_to_the_subscription_that_it_names: "line-of-another-subscription-basil",
    a_price_filter_looks_at_every_item: "list-by-price-of-second-item",
    a_manual_invoice_with_a_proration_is_not_the_latest: "manual-invoice-with-proration-2020",
    an_amount_stands_beside_its_own_currency: "multi-currency-price",
    a_one_off_item_pays_for_no_time: "one-off-item-with-a-period-basil",
    a_user_has_their_own_subscription_of_a_shared_customer: "one-pays-for-another",
    the_context_of_an_event_names_its_account: "organization-endpoint-context",
    silence_counts_from_what_is_paid_for: "prebilled-and-silent",
    a_cut_list_of_lines_is_noticed: "renewal-invoice-of-many-lines",
    a_later_snapshot_without_a_schedule_wins_over_the_schedule: "schedule-released-event-lost-access",
    a_user_keeps_the_history_of_what_was_theirs: "transfer-between-workspaces",
    of_two_invoices_of_a_second_the_subscription_says_which: "two-invoices-of-one-second",
    an_invoice_settled_by_bank_transfer_earns_grace: "wire-transfer-earns-no-grace",
    a_credit_takes_paid_time_back: "yearly-to-monthly-credit",
}

async fn try_case(case: &Value, reversed: bool) {
    let now = case["made_at"].as_i64().unwrap();
    let policy = case["policy"].as_str().unwrap_or_default();
    let server = TestServer::with(|options| {
        options.mode = Mode::Test;
        options.logic = Logic::parse(policy, "user_id").unwrap();
        options.clock = Clock::fixed(ReceivedAt(now * 1_000_000));
    })
    .await;
    let mut events: Vec<&Value> = case["events"].as_array().unwrap().iter().collect();
    if reversed {
        events.reverse();
    }
    for event in events.iter().chain(&events) {
        let body = serde_json::to_vec_pretty(event).unwrap();
        let signature = sign(SECRET, now, &body);
        let delivery = server.client.post(server.webhook()).header("stripe-signature", signature);
        let answer = delivery.body(body).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
    }
    server.caught_up().await;
    let expect = case["expect"].as_object().unwrap();
    for (name, expected) in expect {
        let context = format!("{name}, reversed: {reversed}");
        match name.as_str() {
            "rows" => assert_rows(&server, expected.as_object().unwrap(), &context).await,
            "users" => assert_users(&server, expected.as_object().unwrap(), &context).await,
            "histories" => assert_history_of_a_transfer(&server, &events).await,
            "explain.entitled" => assert_reason(&server, expected.as_str().unwrap()).await,
            price => assert_list(&server, price, expected).await,
        }
    }
    server.stop().await;
}

async fn assert_rows(server: &TestServer, rows: &Map<String, Value>, context: &str) {
    for (id, expected) in rows {
        let account = expected["account"].as_str().unwrap_or_default();
        let row = server.read(&format!("/v1/subscriptions/{id}?account={account}")).await;
        for (field, wanted) in expected.as_object().unwrap() {
            let found = &row[field];
            let fits = wanted.as_array().map_or(found == wanted, |one_of| one_of.contains(found));
            assert!(fits, "{context}: {field} of {id} is {found}, not {wanted}\n{row:#}");
        }
    }
}

async fn assert_users(server: &TestServer, users: &Map<String, Value>, context: &str) {
    for (id, expected) in users {
        let user = server.read(&format!("/v1/users/{id}")).await;
        assert_eq!(user["active"], expected["active"], "{context}: {id}\n{user:#}");
    }
}

async fn assert_list(server: &TestServer, price: &str, expected: &Value) {
    let list = server.read(&format!("/v1/subscriptions?price_id={price}")).await;
    let ids = list["data"].as_array().unwrap().iter().map(|row| &row["subscription_id"]);
    assert_eq!(json!(ids.collect::<Vec<_>>()), *expected);
}

/// Checks that the old team is told what was its own, up to the transfer, now and as of before it.
async fn assert_history_of_a_transfer(server: &TestServer, events: &[&Value]) {
    let ids_of = async |path: &str| -> Vec<String> {
        let history = server.read(path).await;
        let events = history["events"].as_array().unwrap();
        events.iter().map(|event| event["event_id"].as_str().unwrap().to_owned()).collect()
    };
    let mut told: Vec<_> = events.iter().map(|event| event["id"].as_str().unwrap()).collect();
    told.sort_unstable();
    let (transfer, before) = told.split_last().unwrap();
    assert_eq!(ids_of("/v1/users/team_old/history").await, told);
    let as_of = "/v1/users/team_old/history?as_of=2026-11-09T10:21:00Z";
    assert_eq!(ids_of(as_of).await, before);
    assert_eq!(ids_of("/v1/users/team_new/history").await, [*transfer]);
}

async fn assert_reason(server: &TestServer, expected: &str) {
    let explained = server.read("/v1/subscriptions/sub_T/explain").await;
    let fields = explained["fields"].as_array().unwrap();
    let entitled = fields.iter().find(|field| field["field"] == "entitled").unwrap();
    let why = entitled["decision"]["why"].as_str().unwrap();
    let event = entitled["set_by"]["event_id"].as_str().unwrap();
    assert_eq!(format!("why: {why}, because of {event}"), expected);
}
