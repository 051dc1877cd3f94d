//! Reading a generation whose tables another version of this program made.

use subledger::ids::{CustomerKey, Position, Scope};
use subledger::projection::Logic;
use subledger::projection::user_access::UserAccess;
use subledger::projector;
use subledger::store::{AccessHolder, ItemFilter, StoreError, SubscriptionFilter, TimelineKey};

use super::{of_another_version, of_two_generations};
use crate::app::server::{Event, TestServer, json_of, options};
use crate::ledger::{new_event, rebuild, rows};
use crate::raw;
use crate::store::Ledger;

/// A ledger whose only generation is of another version.
async fn of_one_generation(changes: &str) -> Ledger {
    let ledger = Ledger::with_clock(subledger::clock::Clock::System).await;
    ledger.store.log.append(&[new_event(&Event::default().body())]).await.unwrap();
    assert_eq!(rebuild(&ledger.store, &Logic::default()).await.generation, 1);
    of_another_version(&ledger.url, 1, changes).await;
    ledger
}

#[tokio::test(flavor = "multi_thread")]
async fn what_its_tables_lack_reads_as_nothing_and_the_rest_as_it_is() {
    let ledger = of_one_generation(
        "DROP VIEW current_subscriptions; DROP VIEW user_access;
         DROP TABLE user_access_g1; DROP TABLE user_access_parts_g1;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN email;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN cancel_at_period_end;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN metadata;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN features;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN last_event_at;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN unit_amount;
         ALTER TABLE current_subscriptions_g1 ADD COLUMN unit_amount TEXT;
         ALTER TABLE current_subscriptions_g1 ADD COLUMN of_a_newer_version TEXT;
         DROP TABLE catalogue_l1;
         DROP TABLE parked_l1",
    )
    .await;
    let store = ledger.open_again().await;
    let [row] = &rows(&store).await[..] else { panic!("one row") };
    assert_eq!((row.status.as_str(), row.entitled), ("active", true));
    assert_eq!((row.user_id.as_deref(), row.event_count, row.parked), (Some("user_1"), 1, 0));
    assert_eq!(row.items.0[0].price_id.as_deref(), Some("price_1"));
    assert_eq!((&row.email, row.unit_amount, row.cancel_at_period_end), (&None, None, false));
    assert!(row.metadata.0.is_empty() && row.features.0.is_empty());
    assert_eq!(row.last_event_at.0, 0);
    let user = [AccessHolder::User("user_1".to_owned())];
    let live = Scope { livemode: true, ..Scope::default() };
    let (_, accesses) = store.read_model.user_access(&live, &user).await.unwrap();
    assert_eq!(accesses, [UserAccess::of([row])]);
    let [user] = user;
    let (_, access) = store.read_model.access_groups().read(&live, user).await.unwrap();
    assert_eq!(access, accesses[0]);
    assert_eq!(accesses[0].covered(), 1);
    let parked = store.read_model.parked(1, 10).await.unwrap();
    assert_eq!((parked.len(), store.read_model.parked_count(1).await.unwrap()), (0, 0));

    // The view as well, for whoever reads it with SQL.
    projector::activate(&store, 1).await.unwrap();
    let mut sql = raw::read(&ledger.url).await;
    let shown: (String, Option<String>, bool, String, String) = sql.row(
        "SELECT status, email, NOT cancel_at_period_end, CAST(metadata AS TEXT), CAST(features AS TEXT)
         FROM current_subscriptions",
    )
    .await;
    let nothing = ("active".to_owned(), None, true, "{}".to_owned(), "[]".to_owned());
    assert_eq!(shown, nothing);
}

/// Every subscription is looked at if the table that leads to items is missing.
#[tokio::test(flavor = "multi_thread")]
async fn items_are_found_without_the_table_that_leads_to_them() {
    let ledger = of_one_generation("DROP TABLE item_properties_g1").await;
    let store = ledger.open_again().await;
    for (price, found) in [("price_1", 1), ("price_2", 0)] {
        let item = ItemFilter { price_id: Some(price.to_owned()), ..ItemFilter::default() };
        let filter = SubscriptionFilter { item, ..SubscriptionFilter::default() };
        let (_, rows) = store.read_model.subscriptions(&filter, None, 10).await.unwrap();
        assert_eq!(rows.len(), found, "{price}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_told_without_a_table_is_refused_and_not_told_wrongly() {
    let ledger = of_one_generation(
        "DROP VIEW current_subscriptions; DROP VIEW user_access;
         DROP TABLE user_access_g1; DROP TABLE user_access_parts_g1; DROP TABLE timeline_l1; DROP TABLE customers_l1",
    )
    .await;
    let store = ledger.open_again().await;
    assert_eq!(rows(&store).await[0].event_count, 0);
    let customer = CustomerKey { scope: Scope::default(), customer: "cus_of_user_1".into() };
    let subject = TimelineKey::Customer(customer.clone());
    let told = store.read_model.timeline(&subject, Position::ZERO, 10).await;
    assert!(matches!(told, Err(StoreError::OtherVersion(1))), "{told:?}");
    let known = store.read_model.customer_exists(&customer).await;
    assert!(matches!(known, Err(StoreError::OtherVersion(1))), "{known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_cannot_say_who_has_access_cannot_be_activated() {
    let ledger = of_two_generations().await;
    let changes = "ALTER TABLE current_subscriptions_g1 DROP COLUMN entitled_until";
    of_another_version(&ledger.url, 1, changes).await;
    let error = projector::activate(&ledger.store, 1).await.unwrap_err();
    assert!(error.to_string().contains("another version"), "{error}");
    assert_eq!(ledger.store.read_model.live().await.unwrap().unwrap().id, 2);
}

/// Nobody is told "not active" because a column is missing; and what makes it good goes on behind.
#[tokio::test(flavor = "multi_thread")]
async fn where_access_rests_on_what_it_lacks_the_answer_is_503() {
    let ledger = of_one_generation(
        "DROP VIEW current_subscriptions; DROP VIEW user_access;
         DROP TABLE user_access_g1; DROP TABLE user_access_parts_g1;
         DROP INDEX current_subscriptions_g1_by_access;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN entitled",
    )
    .await;
    // Pinned, so that the server does not make another by itself.
    let mut sql = raw::read(&ledger.url).await;
    sql.run("UPDATE generations SET pinned = 1").await;
    ledger.store.close().await;
    let options = options(ledger.directory.path());
    let server = TestServer::run(ledger.directory, options).await;
    for path in [
        "/v1/users/user_1",
        "/v1/customers/cus_of_user_1",
        "/v1/users/user_1/access",
        "/v1/subscriptions",
        "/v1/subscriptions/sub_1",
    ] {
        let response = server.get(path).await;
        assert_eq!(response.status(), 503, "{path}");
        let problem = json_of(response).await;
        assert_eq!(problem["type"], "read-model-other-version", "{path}");
    }
    rebuild(server.store(), &Logic::default()).await;
    assert_eq!(server.read("/v1/users/user_1").await["active"], true);
    server.stop().await;
}
