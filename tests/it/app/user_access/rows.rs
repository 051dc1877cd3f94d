//! Access over all rows of a holder.

use std::collections::{BTreeMap, BTreeSet};

use subledger::clock::Clock;
use subledger::ids::{CustomerKey, Position, Scope};
use subledger::projection::Logic;
use subledger::projection::read_model::MadeRows;
use subledger::projection::row::SubscriptionRow;
use subledger::projection::user_access::{AccessOfUsers, Asked, UserAccess, part_rows};
use subledger::simulate::{self, Plan};
use subledger::store::{AccessHolder, FoldBatch, FoldOutcome};
use subledger::time::StripeTime;

use crate::ledger::{append, rebuild, rows};
use crate::store::Ledger;

/// Customers of one user, and subscriptions of each that grant nothing.
const CUSTOMERS: usize = 1_000;
const DEAD: usize = 100;

/// Row of a subscription.
fn row(subscription: &str, customer: &str, user: &str, entitled: bool) -> SubscriptionRow {
    SubscriptionRow {
        subscription_id: subscription.into(),
        customer_id: customer.into(),
        livemode: true,
        user_id: Some(user.to_owned()),
        status: if entitled { "active" } else { "canceled" }.to_owned(),
        entitled,
        entitled_until: entitled.then_some(StripeTime(2_000_000_000)),
        ..SubscriptionRow::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_dead_subscriptions_deny_nobody_who_pays() {
    let ledger = Ledger::with_clock(Clock::System).await;
    let (store, scope) = (&ledger.store, Scope { livemode: true, ..Scope::default() });
    let logic = crate::store::read_model::logic("one");
    let (_, lease) = crate::store::begin(store, &logic, ("me", Clock::System.now(), 600)).await;
    let mut position = 0;
    let mut fold = async |customers: Vec<(String, Vec<SubscriptionRow>)>| {
        let mut made = MadeRows::new(&AccessOfUsers);
        for (customer, rows) in customers {
            let key = CustomerKey { scope: scope.clone(), customer: customer.as_str().into() };
            made.tables[0].extend(part_rows(&key, &rows).unwrap());
            made.customers.push(key);
        }
        let batch = FoldBatch { rows: vec![made], ..FoldBatch::default() };
        let (from, to) = (Position(position), Position(position + 1));
        let folded = store.read_model.fold_commit(&lease, from, to, [1; 32], &batch).await;
        assert_eq!(folded.unwrap(), FoldOutcome::Committed);
        position += 1;
    };
    let dead = |customer: usize, user: &str| {
        let id = format!("cus_{customer:04}");
        let row = |it| row(&format!("sub_{customer:04}_{it:03}"), &id, user, false);
        (id.clone(), (0..DEAD).map(row).collect::<Vec<_>>())
    };
    for first in (0..CUSTOMERS).step_by(100) {
        fold((first..first + 100).map(|it| dead(it, "user_1")).collect()).await;
    }
    fold(vec![("cus_paid".to_owned(), vec![row("sub_paid", "cus_paid", "user_1", true)])]).await;
    store.read_model.generation_complete(&lease, None).await.unwrap();
    let of = async |users: &[&str]| {
        let users: Vec<_> = users.iter().map(|it| AccessHolder::User((*it).to_owned())).collect();
        store.read_model.user_access(&scope, &users).await.unwrap().1
    };
    let now = StripeTime(1_900_000_000);
    let [access] = &of(&["user_1"]).await[..] else { panic!("one user") };
    let answer = access.answer(&Asked::default(), now);
    assert_eq!((answer.active, answer.until), (true, Some(StripeTime(2_000_000_000))));
    assert_eq!(access.subscriptions(), u64::try_from(CUSTOMERS * DEAD + 1).unwrap());
    assert_eq!(of(&["user_1", "nobody"]).await[0], *access, "in one question as in several");

    // The subscription moves to another user: both rows change at once.
    fold(vec![("cus_paid".to_owned(), vec![row("sub_paid", "cus_paid", "user_2", true)])]).await;
    let [first, second] = &of(&["user_1", "user_2"]).await[..] else { panic!("two users") };
    let is_active = |it: &UserAccess| it.answer(&Asked::default(), now).active;
    assert_eq!((is_active(first), is_active(second)), (false, true));
    assert_eq!(first.subscriptions(), u64::try_from(CUSTOMERS * DEAD).unwrap());
    // Nothing remains of a user who has none any more.
    for first in (0..CUSTOMERS).step_by(100) {
        fold((first..first + 100).map(|it| dead(it, "user_2")).collect()).await;
    }
    let moved = of(&["user_1", "user_2"]).await;
    assert_eq!(moved[0], UserAccess::default());
    assert_eq!(moved[1].subscriptions(), u64::try_from(CUSTOMERS * DEAD + 1).unwrap());
}

/// The access that is stored for everybody in a simulated ledger is what their whole rows say.
#[tokio::test(flavor = "multi_thread")]
async fn the_access_of_everybody_is_what_their_rows_say() {
    let ledger = Ledger::with_clock(Clock::System).await;
    let plan = Plan { seed: 18, subscriptions: 80, ..Plan::default() };
    append(&ledger.store, &simulate::simulate(&plan).events).await;
    rebuild(&ledger.store, &Logic::default()).await;
    let mut scopes: BTreeMap<Scope, Vec<_>> = BTreeMap::new();
    for row in rows(&ledger.store).await {
        let scope = Scope { account: row.account.clone(), livemode: row.livemode };
        scopes.entry(scope).or_default().push(row);
    }
    let mut compared = 0;
    for (scope, rows) in &scopes {
        let mut expected: Vec<(AccessHolder, UserAccess)> = UserAccess::by_user(rows)
            .into_iter()
            .map(|(user, access)| (AccessHolder::User(user), access))
            .collect();
        let customers: BTreeSet<_> = rows.iter().map(|row| row.customer_id.clone()).collect();
        expected.extend(customers.into_iter().map(|customer| {
            let of = rows.iter().filter(|row| row.customer_id == customer);
            (AccessHolder::Customer(customer.clone()), UserAccess::of(of))
        }));
        expected.push((AccessHolder::User("nobody".to_owned()), UserAccess::default()));
        let (holders, accesses): (Vec<_>, Vec<_>) = expected.into_iter().unzip();
        let (stamp, found) = ledger.store.read_model.user_access(scope, &holders).await.unwrap();
        assert_eq!(stamp.generation, 1);
        assert_eq!(found, accesses);
        compared += found.iter().filter(|access| access.covered() > 0).count();
    }
    assert!(compared > 20, "{compared} of them cover something");
}
