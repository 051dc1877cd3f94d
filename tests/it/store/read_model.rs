//! The read model: one checkpoint, one live generation, rows as they were folded.

mod generations;
mod sqlite_only;

use std::collections::HashMap;

use subledger::ids::{CustomerKey, Position, Scope};
use subledger::projection::catalogue::{CatalogueEntry, NameRank};
use subledger::projection::column::Value;
use subledger::projection::current_subscriptions::CurrentSubscriptions;
use subledger::projection::observe::PaymentLink;
use subledger::projection::read_model::MadeRows;
use subledger::projection::row::{ItemRow, SubscriptionRow};
use subledger::projection::user_candidate::{CandidateSource, UserCandidate};
use subledger::store::{
    FoldBatch, FoldOutcome, Generation, GenerationLogic, GenerationStatus, Lease, Parked, Store,
    StoreError, SubscriptionFilter, SubscriptionKey, SwapOutcome, TimelineEntry, TimelineKey,
};
use subledger::time::{ReceivedAt, StripeTime};

use super::{Ledger, NOON};
use crate::raw;

pub(crate) fn logic(fingerprint: &str) -> GenerationLogic {
    GenerationLogic {
        fingerprint: fingerprint.to_owned(),
        fold_version: 1,
        policy: "past_due_grace_days = 7".to_owned(),
        user_keys: "user_id".to_owned(),
    }
}

pub(super) fn scope() -> Scope {
    Scope { account: "".into(), livemode: true }
}

fn candidate(source: CandidateSource, key: &str) -> UserCandidate {
    UserCandidate { source, key: key.to_owned(), value: "1".to_owned() }
}

fn customer(id: &str) -> CustomerKey {
    CustomerKey { scope: scope(), customer: id.into() }
}

/// A row whose columns are all filled, by their types; what is given by name stands as given.
pub(super) fn row(id: &str, given: &[(&str, Value)]) -> Vec<Value> {
    use subledger::projection::column::ColumnType;
    let own = [
        ("subscription_id", Value::Text(id.to_owned())),
        ("account", Value::Text(String::new())),
        ("livemode", Value::Bool(true)),
        ("customer_id", Value::Text("cus_1".to_owned())),
        ("product_name", Value::Null),
        ("parked", Value::Integer(0)),
        ("event_count", Value::Integer(0)),
        ("pause_collection", Value::Null),
        ("scheduled_change", Value::Null),
        ("transform_quantity", Value::Null),
        ("metadata", Value::Json("{}".to_owned())),
    ];
    SubscriptionRow::COLUMNS
        .iter()
        .map(|column| {
            let named = |(name, _): &&(&str, Value)| *name == column.name;
            let value = given.iter().find(named).or_else(|| own.iter().find(named));
            let typical = || match column.column_type {
                ColumnType::Bool => Value::Bool(true),
                ColumnType::Integer => Value::Integer(7),
                ColumnType::Text => Value::Text(format!("{} Zoë", column.name)),
                ColumnType::Instant => Value::Instant(StripeTime(1_700_000_000)),
                ColumnType::Json => Value::Json("[]".to_owned()),
            };
            value.map_or_else(typical, |(_, value)| value.clone())
        })
        .collect()
}

/// Rows of subscriptions, and the properties of their items. The columns are those of [`SubscriptionRow`].
pub(super) fn made(rows: Vec<Vec<Value>>) -> Vec<MadeRows> {
    let mut made = MadeRows::new(&CurrentSubscriptions);
    for row in rows {
        let value = |name| {
            let at = SubscriptionRow::COLUMNS.iter().position(|column| column.name == name);
            row[at.unwrap()].clone()
        };
        let key = ["account", "livemode", "customer_id", "subscription_id"].map(value);
        let Value::Json(items) = value("items") else { panic!("the items are JSON") };
        let items: Vec<ItemRow> = serde_json::from_str(&items).unwrap();
        let properties = items.iter().flat_map(|item| {
            let ItemRow { price_id, product_id, lookup_key, .. } = item;
            [("price_id", price_id), ("product_id", product_id), ("lookup_key", lookup_key)]
        });
        for (name, value) in properties {
            let Some(value) = value else { continue };
            let property = key.iter().cloned().chain([text(name), text(value)]);
            made.tables[1].push(property.collect());
        }
        let stored = SubscriptionRow::COLUMNS.iter().zip(row);
        let stored = stored.filter(|(column, _)| !SubscriptionRow::JOINED.contains(&column.name));
        made.tables[0].push(stored.map(|(_, value)| value).collect());
    }
    vec![made]
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn entry(customer_id: &str, subscription: Option<&str>, position: i64) -> TimelineEntry {
    TimelineEntry {
        customer: customer(customer_id),
        subscription: subscription.map(Into::into),
        position: Position(position),
        created: StripeTime(position * 10),
    }
}

async fn begin(store: &Store, fingerprint: &str) -> (Generation, Lease) {
    super::begin(store, &logic(fingerprint), ("me", NOON, 10)).await
}

pub(super) async fn fold(store: &Store, lease: &Lease, to: i64, batch: &FoldBatch) -> bool {
    let generations = store.read_model.generations().await.unwrap();
    let from = generations.iter().find(|it| it.id == lease.generation).unwrap().position;
    let folded = store.read_model.fold_commit(lease, from, Position(to), [9; 32], batch).await;
    folded.unwrap() == FoldOutcome::Committed
}

/// A live generation with this folded into it.
pub(super) async fn live(batch: &FoldBatch) -> (Ledger, Lease) {
    let ledger = Ledger::new().await;
    let (_, lease) = begin(&ledger.store, "one").await;
    assert!(fold(&ledger.store, &lease, 5, batch).await);
    ledger.store.read_model.generation_complete(&lease, None).await.unwrap();
    (ledger, lease)
}

/// A read may load the schema while a table is missing. After a repair the generation can have the same id.
#[tokio::test]
async fn a_schema_that_was_read_while_a_table_was_missing_is_read_again() {
    let (ledger, _) = live(&FoldBatch::default()).await;
    let model = &ledger.store.read_model;
    let id = model.live().await.unwrap().unwrap().id;
    let mut sql = raw::read(&ledger.url).await;
    sql.run(&format!("ALTER TABLE customers_l{id} RENAME TO gone")).await;
    assert!(model.customer_exists(&customer("cus_1")).await.is_err());
    sql.run(&format!("ALTER TABLE gone RENAME TO customers_l{id}")).await;
    assert!(!model.customer_exists(&customer("cus_1")).await.unwrap().1);
}

#[tokio::test]
async fn a_row_is_read_as_it_was_folded_with_what_the_view_joins() {
    let item = |id: &str, product: &str, price: &str| ItemRow {
        item_id: Some(id.to_owned()),
        product_id: Some(product.to_owned()),
        price_id: Some(price.to_owned()),
        price_nickname: Some("of the snapshot".to_owned()),
        ..ItemRow::default()
    };
    let mut items = vec![
        item("si_1", "prod_1", "price_1"),
        item("si_2", "prod_2", "price_2"),
        item("si_0", "prod_3", "price_3"),
    ];
    let of_subscription = row(
        "sub_1",
        &[
            ("product_id", text("prod_1")),
            ("price_id", text("price_1")),
            ("price_nickname", text("what it was called when it was bought")),
            ("items", Value::Json(serde_json::to_string(&items).unwrap())),
        ],
    );
    let batch = FoldBatch {
        folded_received_at: ReceivedAt(77),
        rows: made(vec![of_subscription.clone()]),
        timeline: vec![
            entry("cus_1", Some("sub_1"), 1),
            entry("cus_1", None, 2),
            entry("cus_1", Some("sub_1"), 4),
        ],
        catalogue: vec![
            called("prod_1", "Gold", 1, "evt_1"),
            called("prod_2", "Silver", 1, "evt_2"),
            called("price_1", "Gold, monthly", 1, "evt_3"),
        ],
        parked: vec![parked(5)],
        ..FoldBatch::default()
    };
    let (ledger, _) = live(&batch).await;
    let filter = SubscriptionFilter::default();
    let (stamp, rows) = ledger.store.read_model.subscriptions(&filter, None, 10).await.unwrap();
    assert_eq!((stamp.generation, stamp.position), (1, Position(5)));
    assert_eq!(stamp.folded_received_at, ReceivedAt(77));
    let mut expected = SubscriptionRow::from_values(of_subscription.clone()).unwrap();
    expected.product_name = Some("Gold".to_owned());
    expected.price_nickname = Some("Gold, monthly".to_owned());
    items[0].product_name = Some("Gold".to_owned());
    items[0].price_nickname = Some("Gold, monthly".to_owned());
    items[1].product_name = Some("Silver".to_owned());
    expected.items.0 = items;
    expected.event_count = 2;
    expected.parked = 1;
    assert_eq!(rows, [expected.clone()]);

    // Whoever knows the names puts the same ones into the row.
    let catalogue = ledger.store.read_model.catalogue(1, &rows).await.unwrap();
    let mut named = SubscriptionRow::from_values(of_subscription.clone()).unwrap();
    catalogue.apply_names(&mut named);
    (named.event_count, named.parked) = (2, 1);
    assert_eq!(named, expected);

    let mut sql = raw::read(&ledger.url).await;
    let shown: (String, i64, bool) = sql.row(
        "SELECT product_name, event_count, created_at = '2023-11-14T22:13:20Z' FROM current_subscriptions",
    )
    .await;
    assert_eq!(shown, ("Gold".to_owned(), 2, true));
}

fn parked(position: i64) -> Parked {
    Parked {
        position: Position(position),
        event_id: format!("evt_{position}").as_str().into(),
        scope: scope(),
        customer: Some("cus_1".into()),
        subscription: Some("sub_1".into()),
        event_type: "customer.subscription.updated".to_owned(),
        reason: "the status is no text".to_owned(),
    }
}

#[tokio::test]
async fn what_is_folded_twice_is_there_once() {
    let batch = FoldBatch {
        states: vec![(customer("cus_1"), vec![1, 2, 3]), (customer("cus_2"), Vec::new())],
        rows: made(vec![row("sub_1", &[]), row("sub_2", &[])]),
        timeline: vec![entry("cus_1", Some("sub_1"), 1)],
        parked: vec![parked(2), parked(3)],
        ..FoldBatch::default()
    };
    let (ledger, lease) = live(&batch).await;
    let model = &ledger.store.read_model;
    assert!(fold(&ledger.store, &lease, 5, &batch).await);
    let all = SubscriptionFilter::default();
    assert_eq!(model.subscriptions(&all, None, 10).await.unwrap().1.len(), 2);
    let known = [customer("cus_1"), customer("cus_2")];
    let states = model.states(lease.tables(), &known).await.unwrap();
    assert_eq!(states, batch.states.iter().cloned().collect::<HashMap<_, _>>());
    assert_eq!(model.parked(1, 10).await.unwrap(), batch.parked);
    assert_eq!(model.parked(1, 1).await.unwrap(), batch.parked[..1]);
    assert_eq!(model.parked_count(1).await.unwrap(), 2);

    let later = FoldBatch {
        states: vec![(customer("cus_1"), vec![9])],
        rows: made(vec![row("sub_1", &[("status", text("canceled"))])]),
        ..FoldBatch::default()
    };
    assert!(fold(&ledger.store, &lease, 6, &later).await);
    let (_, rows) = model.subscriptions(&all, None, 10).await.unwrap();
    let of_row = |row: &SubscriptionRow| (row.subscription_id.to_string(), row.status.clone());
    let [first, second] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(of_row(first), ("sub_1".to_owned(), "canceled".to_owned()));
    assert_eq!(of_row(second), ("sub_2".to_owned(), "status Zoë".to_owned()));
    let asked = [customer("cus_1"), customer("cus_2"), customer("cus_3")];
    let states = model.states(lease.tables(), &asked).await.unwrap();
    let expected = [(customer("cus_1"), vec![9]), (customer("cus_2"), vec![])];
    assert_eq!(states, HashMap::from(expected));
}

#[tokio::test]
async fn a_name_in_the_catalogue_does_not_depend_on_the_order_of_arrival() {
    let name = |name: &str, created, event_id: &str| called("prod_1", name, created, event_id);
    let names = [name("Silver", 1, "evt_9"), name("Gold", 2, "evt_2"), name("Old", 2, "evt_1")];
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2], [1, 2, 0]] {
        let batch = FoldBatch {
            rows: made(vec![row("sub_1", &[("product_id", text("prod_1"))])]),
            catalogue: order.map(|index| names[index].clone()).to_vec(),
            ..FoldBatch::default()
        };
        let (ledger, _) = live(&batch).await;
        let filter = SubscriptionFilter::default();
        let (_, rows) = ledger.store.read_model.subscriptions(&filter, None, 10).await.unwrap();
        assert_eq!(rows[0].product_name.as_deref(), Some("Gold"), "{order:?}");
    }
}

/// Name of a product or a price in an event.
fn called(id: &str, name: &str, created: i64, event_id: &str) -> CatalogueEntry {
    let created = StripeTime(created);
    let rank = NameRank { deleted: false, created, changed: true, event_id: event_id.into() };
    CatalogueEntry { scope: scope(), id: id.to_owned(), name: Some(name.to_owned()), rank }
}

#[tokio::test]
async fn a_batch_of_many_rows_is_written_whole() {
    let many = 3_000;
    let batch = FoldBatch {
        states: (0..many).map(|it| (customer(&format!("cus_{it}")), vec![7; 50])).collect(),
        rows: made((0..many).map(|it| row(&format!("sub_{it:05}"), &[])).collect()),
        timeline: (0..many).map(|it| entry("cus_1", Some("sub_00001"), it)).collect(),
        ..FoldBatch::default()
    };
    let (ledger, lease) = live(&batch).await;
    let model = &ledger.store.read_model;
    let asked: Vec<_> = batch.states.iter().map(|(customer, _)| customer.clone()).collect();
    assert_eq!(model.states(lease.tables(), &asked).await.unwrap().len(), asked.len());
    let filter = SubscriptionFilter::default();
    let mut after = None;
    let mut ids = Vec::new();
    loop {
        let (_, page) = model.subscriptions(&filter, after.as_ref(), 700).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(SubscriptionKey { scope: scope(), id: last.subscription_id.clone() });
        ids.extend(page.into_iter().map(|row| row.subscription_id.into_string()));
    }
    assert_eq!(ids, (0..many).map(|it| format!("sub_{it:05}")).collect::<Vec<_>>());
    let subject = TimelineKey::Customer(customer("cus_1"));
    let (_, timeline) = model.timeline(&subject, Position(9), 5_000).await.unwrap();
    assert_eq!(timeline, batch.timeline[10..]);
}

#[tokio::test]
async fn a_filter_narrows_by_each_of_its_fields() {
    let now = StripeTime(1_700_000_000);
    let until = |seconds| ("entitled_until", Value::Instant(StripeTime(now.0 + seconds)));
    let batch = FoldBatch {
        rows: made(vec![
            row("sub_1", &[("user_id", text("1")), until(1), ("status", text("active"))]),
            row("sub_2", &[("user_id", text("1")), until(0), ("status", text("past_due"))]),
            row("sub_3", &[("user_id", text("2")), ("entitled_until", Value::Null)]),
            row("sub_4", &[("entitled", Value::Bool(false)), ("entitled_until", Value::Null)]),
            row(
                "sub_5",
                &[("livemode", Value::Bool(false)), ("customer_id", text("cus_5")), until(1)],
            ),
            row("sub_6", &[("account", text("acct_1")), until(-1)]),
        ]),
        candidates: vec![
            (customer("cus_1"), candidate(CandidateSource::CustomerMetadata, "user_id")),
            (customer("cus_2"), candidate(CandidateSource::CheckoutReference, "")),
            (customer("cus_3"), candidate(CandidateSource::CustomerMetadata, "member")),
        ],
        ..FoldBatch::default()
    };
    let (ledger, _) = live(&batch).await;
    let ids = async |filter: SubscriptionFilter| -> String {
        let (_, rows) = ledger.store.read_model.subscriptions(&filter, None, 100).await.unwrap();
        rows.iter().map(|row| row.subscription_id.as_str().trim_start_matches("sub_")).collect()
    };
    let none = SubscriptionFilter::default;
    assert_eq!(ids(none()).await, "512346", "by account, then mode, then id");
    assert_eq!(ids(SubscriptionFilter { account: Some("".into()), ..none() }).await, "51234");
    assert_eq!(ids(SubscriptionFilter { livemode: Some(true), ..none() }).await, "12346");
    assert_eq!(ids(SubscriptionFilter { user_id: Some("1".into()), ..none() }).await, "12");
    assert_eq!(ids(SubscriptionFilter { customer_id: Some("cus_5".into()), ..none() }).await, "5");
    assert_eq!(
        ids(SubscriptionFilter { subscription_id: Some("sub_3".into()), ..none() }).await,
        "3"
    );
    let of = |statuses: &[&str]| SubscriptionFilter {
        statuses: statuses.iter().map(ToString::to_string).collect(),
        ..none()
    };
    assert_eq!(ids(of(&["past_due"])).await, "2");
    let both = ids(of(&["past_due", "active"])).await;
    assert_eq!((both.contains('2'), both.len() > 1), (true, true), "{both}");
    assert_eq!(ids(of(&["past_due", "novel"])).await, "2");
    assert_eq!(ids(SubscriptionFilter { active: Some((true, now)), ..none() }).await, "513");
    assert_eq!(ids(SubscriptionFilter { active: Some((false, now)), ..none() }).await, "246");
    let (_, customers) = ledger.store.read_model.customers_of_user(&scope(), "1").await.unwrap();
    assert_eq!(customers, ["cus_1", "cus_2"].map(customer), "a member is no user here");
}

#[tokio::test]
async fn links_put_events_that_name_no_customer_on_a_timeline() {
    let link = |object: &str, owner: &str| PaymentLink {
        scope: scope(),
        object_id: object.to_owned(),
        owner_id: owner.to_owned(),
    };
    let batch = FoldBatch {
        states: vec![(customer("cus_1"), vec![1])],
        timeline: vec![
            entry("ch_1", None, 3),
            entry("ch_2", None, 2),
            entry("pi_1", None, 6),
            entry("cus_1", Some("sub_1"), 1),
            entry("cus_1", None, 4),
            entry("cus_2", Some("sub_2"), 5),
        ],
        // The last one leads back: whoever follows links must not run in a circle.
        links: vec![
            link("ch_1", "cus_1"),
            link("in_1", "cus_1"),
            link("pi_1", "in_1"),
            link("in_1", "pi_1"),
        ],
        ..FoldBatch::default()
    };
    let (ledger, _) = live(&batch).await;
    let model = &ledger.store.read_model;
    let positions = async |subject| -> Vec<i64> {
        let (_, entries) = model.timeline(&subject, Position::ZERO, 10).await.unwrap();
        entries.iter().map(|entry| entry.position.0).collect()
    };
    assert_eq!(positions(TimelineKey::Customer(customer("cus_1"))).await, [1, 3, 4, 6]);
    assert_eq!(positions(TimelineKey::Subscription(scope(), "sub_2".into())).await, [5]);
    assert_eq!(positions(TimelineKey::Subscription(scope(), "".into())).await, [0; 0]);
    assert!(model.customer_exists(&customer("cus_1")).await.unwrap().1);
    assert!(!model.customer_exists(&customer("cus_2")).await.unwrap().1);
}
