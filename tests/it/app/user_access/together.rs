//! Many who ask at the same time.

use futures_util::future::join_all;
use serde_json::json;
use subledger::ids::{CustomerId, Position, Scope};
use subledger::projection::Logic;
use subledger::projection::user_access::{Asked, Reason};
use subledger::store::{AccessHolder, StoreError};
use subledger::time::StripeTime;

use super::{Event, TestServer, Value, json_of};
use crate::ledger::{append_bodies, rebuild};
use crate::raw;
use crate::store::Ledger;

/// Callers who ask at the same time, and events of each.
const CALLERS: usize = 24;
const ROUNDS: usize = 5;

/// Event by which a user of one of the modes gets another product.
fn event(caller: usize, round: usize) -> String {
    let (user, livemode) = (caller / 2, caller.is_multiple_of(2));
    let mut event: Value = serde_json::from_str(&Event::default().body()).unwrap();
    event["id"] = format!("evt_{caller}_{round}").into();
    event["livemode"] = livemode.into();
    let subscription = &mut event["data"]["object"];
    subscription["id"] = format!("sub_{caller}_{round}").into();
    subscription["livemode"] = livemode.into();
    subscription["customer"] = format!("cus_{user}").into();
    subscription["metadata"]["user_id"] = format!("user_{user}").into();
    super::set_item(subscription, &format!("price_{caller}"), &product(caller, round), "pro");
    event.to_string()
}

fn product(caller: usize, round: usize) -> String {
    format!("prod_{caller}_{round}")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_gets_the_own_answer_and_sees_the_own_event() {
    let server = TestServer::start().await;
    let call = async |caller: usize| {
        let (user, livemode) = (caller / 2, caller.is_multiple_of(2));
        for round in 0..ROUNDS {
            let response = server.delivery(event(caller, round)).send().await.unwrap();
            let position = json_of(response).await["position"].as_i64().unwrap();
            server.service().app().projector.clone().reached(Position(position)).await;
            let expected: Vec<_> = (0..=round).map(|it| json!(product(caller, it))).collect();
            let ask = async |holder: &str| {
                let path = format!("/v1/{holder}/access?livemode={livemode}");
                let answer = server.read(&path).await;
                assert!(answer["position"].as_i64().unwrap() >= position, "{path}: {answer}");
                let products = answer["covers"]["products"].as_array().unwrap();
                (products.iter().map(|it| it["id"].clone()).collect::<Vec<_>>(), answer)
            };
            let (of_user, of_customer) =
                (format!("users/user_{user}"), format!("customers/cus_{user}"));
            let answers = [ask(&of_user), ask(&of_customer), ask("users/nobody")];
            let [of_user, of_customer, of_nobody] = join_all(answers).await.try_into().unwrap();
            assert_eq!((of_user.0, &of_user.1["active"]), (expected.clone(), &json!(true)));
            assert_eq!((of_customer.0, &of_customer.1["active"]), (expected, &json!(true)));
            assert_eq!((of_nobody.0, &of_nobody.1["active"]), (Vec::new(), &json!(false)));
        }
    };
    join_all((0..CALLERS).map(call)).await;
    server.stop().await;
}

fn user(id: &str) -> AccessHolder {
    AccessHolder::User(id.to_owned())
}

/// A ledger of the users `user_1` and `user_2`.
async fn ledger() -> Ledger {
    let ledger = Ledger::with_clock(subledger::clock::Clock::System).await;
    let other = Event { id: "evt_2", subscription: "sub_2", user: "user_2", ..Event::default() };
    append_bodies(&ledger.store, &[Event::default().body(), other.body()]).await;
    rebuild(&ledger.store, &Logic::default()).await;
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_that_of_one_user_whoever_else_asks_at_the_same_time() {
    let ledger = ledger().await;
    let mut sql = raw::read(&ledger.url).await;
    sql.run("UPDATE user_access_g1 SET access = '{' WHERE user_id = 'user_1'").await;
    let (groups, scope) = (ledger.store.read_model.access_groups(), own());
    let asked = (0..60).map(|it| match it % 3 {
        0 => user("user_1"),
        1 => user("user_2"),
        _ => AccessHolder::Customer(CustomerId::new("cus_of_user_1")),
    });
    for (number, found) in (0..).zip(join_all(asked.map(|it| groups.read(&scope, it))).await) {
        match found {
            Err(StoreError::ReadModelDamaged(_)) => assert_eq!(number % 3, 0),
            found => {
                let answer = found.unwrap().1.answer(&Asked::default(), StripeTime(0));
                assert_eq!((number % 3 > 0, answer.reason), (true, Reason::Active));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_database_everybody_is_told_so() {
    let ledger = ledger().await;
    let (groups, scope) = (ledger.store.read_model.access_groups(), own());
    assert_eq!(groups.read(&scope, user("user_1")).await.unwrap().1.subscriptions(), 1);
    ledger.store.close().await;
    for found in join_all((0..60).map(|_| groups.read(&scope, user("user_1")))).await {
        assert!(matches!(found, Err(StoreError::Unavailable(_))), "{found:?}");
    }
}

fn own() -> Scope {
    Scope { livemode: true, ..Scope::default() }
}
