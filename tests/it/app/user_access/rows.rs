//! Access over all rows of a holder.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use subledger::ids::Scope;
use subledger::projection::Logic;
use subledger::projection::user_access::UserAccess;
use subledger::simulate::{self, Plan};
use subledger::store::AccessHolder;

use super::{TestServer, days};
use crate::app::access::{multiply, remove_copies};
use crate::app::server::Event;
use crate::ledger::{append, rebuild, rows};
use crate::store::Ledger;

/// Subscriptions of one user that grant nothing.
const DEAD: usize = 20_000;

#[tokio::test(flavor = "multi_thread")]
async fn many_dead_subscriptions_of_lower_ids_deny_nobody_who_pays() {
    let server = TestServer::start().await;
    let dead = Event { subscription: "sub_0", status: "canceled", ..Event::default() };
    server.receive(dead.body()).await;
    let paid = Event { id: "evt_2", subscription: "sub_paid", ..Event::default() };
    server.receive(paid.body()).await;
    let url = crate::database(server.directory.path());
    multiply(&url, "sub_0", DEAD).await;
    for path in ["/v1/users/user_1/access", "/v1/customers/cus_of_user_1/access?product_id=prod_1"]
    {
        let response = server.get(path).await;
        let text = response.text().await.unwrap();
        assert!(text.len() < 1_000, "{} bytes", text.len());
        let answer: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&answer["active"], &answer["until"]), (&true.into(), &days(60)), "{path}");
    }
    remove_copies(&url, "sub_0").await;
    server.stop().await;
}

/// What the whole rows of a simulated ledger say, although only a part of each is read.
#[tokio::test(flavor = "multi_thread")]
async fn the_access_of_everybody_is_what_their_rows_say() {
    let ledger = Ledger::with_clock(subledger::clock::Clock::System).await;
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
