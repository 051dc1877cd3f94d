//! Log, projector and audit together, on real databases in a temporary folder.

mod sqlite_only;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use subledger::audit::{self, Past, Subject, SubjectKind};
use subledger::clock::Clock;
use subledger::ids::{Position, Scope};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::projector::{self, Projector, RebuildOptions, Rebuilt};
use subledger::simulate::{self, Delivery, Plan, SimulatedEvent, Simulation};
use subledger::store::{EventFacts, EventSource, NewEvent, OpenMode, Store, SubscriptionFilter};
use subledger::stripe::Envelope;
use subledger::time::ReceivedAt;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::run_once::fold::assert_rows_are_true;

/// Rebuild from the log, which becomes live.
pub(crate) const SWAP: RebuildOptions = RebuildOptions::SWAP_FROM_LOG;

pub(crate) async fn open(folder: &Path) -> Store {
    Store::open(&crate::database(folder), OpenMode::Create, Clock::System).await.unwrap()
}

pub(crate) fn new_event(body: &str) -> NewEvent {
    let envelope = Envelope::parse(body).unwrap();
    NewEvent::new(EventFacts::from(&envelope), EventSource::Webhook, None, body.to_owned()).unwrap()
}

pub(crate) async fn append(store: &Store, events: &[SimulatedEvent]) {
    for batch in events.chunks(97) {
        let batch: Vec<NewEvent> = batch.iter().map(|event| new_event(&event.body)).collect();
        store.log.append(&batch).await.unwrap();
    }
}

/// Appends events, given their bodies.
pub(crate) async fn append_bodies<B: AsRef<str>>(store: &Store, bodies: &[B]) {
    let events: Vec<NewEvent> = bodies.iter().map(|body| new_event(body.as_ref())).collect();
    store.log.append(&events).await.unwrap();
}

/// Ledger of events, given their bodies, that the projector has folded, in a directory of its own.
pub(crate) async fn folded<B: AsRef<str>>(bodies: &[B]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    append_bodies(&store, bodies).await;
    follow_to_the_end(&store, &Logic::default()).await;
    store.close().await;
    folder
}

/// Logic of an access policy, with the user's id in `user_id`.
pub(crate) fn policy(text: &str) -> Logic {
    Logic::parse(text, "user_id").unwrap()
}

/// Logic under which only `active` grants access.
pub(crate) fn strict() -> Logic {
    policy("grant = [\"active\"]")
}

/// Rebuilds the read model and makes it live.
pub(crate) async fn rebuild(store: &Store, logic: &Logic) -> Rebuilt {
    let stop = CancellationToken::new();
    projector::rebuild(store, logic, &Clock::System, &stop, SWAP, |_| {}).await.unwrap()
}

/// Follows the log until all of it is folded.
pub(crate) async fn follow_to_the_end(store: &Store, logic: &Logic) -> projector::Status {
    let projector = Projector::start(store.clone(), logic.clone(), Clock::System);
    let end = store.log.head().await.unwrap().size;
    let status = projector.handle().reached(end).await;
    projector.stop().await;
    status
}

pub(crate) async fn rows(store: &Store) -> Vec<SubscriptionRow> {
    let filter = SubscriptionFilter::default();
    store.read_model.subscriptions(&filter, None, usize::MAX).await.unwrap().1
}

async fn assert_verifies(store: &Store) {
    let report = audit::verify(store, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);
    assert_eq!(report.events, store.log.head().await.unwrap().size.0);
    assert_eq!(report.rows, Some(i64::try_from(rows(store).await.len()).unwrap()));
}

fn simulation(seed: u64) -> Simulation {
    simulate::simulate(&Plan { seed, subscriptions: 60, ..Plan::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn live_folding_in_a_bad_order_and_a_rebuild_give_the_truth() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulation(11);
    let delivery = Delivery { seed: 5, duplicates: 0.1, ..Delivery::default() };
    let delivered = simulate::deliver(simulation.events.clone(), &delivery);
    assert!(delivered.len() > simulation.events.len());

    let logic = Logic::default();
    let projector = Projector::start(store.clone(), logic.clone(), Clock::System);
    append(&store, &delivered).await;
    let end = store.log.head().await.unwrap().size;
    assert_eq!(end.0, i64::try_from(simulation.events.len()).unwrap());
    projector.handle().reached(end).await;
    let live = rows(&store).await;
    assert_rows_are_true(&live, &simulation.truth);
    assert_verifies(&store).await;

    let rebuilt = rebuild(&store, &logic).await;
    assert_eq!((rebuilt.position, rebuilt.parked), (end, 0));
    assert_eq!(rows(&store).await, live);
    assert_verifies(&store).await;
    projector.stop().await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_follower_goes_on_where_the_last_one_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let simulation = simulation(12);
    let (first, second) = simulation.events.split_at(simulation.events.len() / 2);
    let store = open(folder.path()).await;
    append(&store, first).await;
    let before = follow_to_the_end(&store, &Logic::default()).await;
    store.close().await;

    let store = open(folder.path()).await;
    append(&store, second).await;
    let after = follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!(after.generation, before.generation, "nothing was made anew");
    assert_rows_are_true(&rows(&store).await, &simulation.truth);
    assert_verifies(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_read_model_is_made_again() {
    let folder = tempfile::tempdir().unwrap();
    let simulation = simulation(13);
    let store = open(folder.path()).await;
    append(&store, &simulation.events).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let before = rows(&store).await;
    store.close().await;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let path = file.unwrap().path();
        if path.file_name().unwrap().to_str().unwrap().contains(".read.") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let store = open(folder.path()).await;
    follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!(rows(&store).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_makes_another_generation_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let simulation = simulation(15);
    let store = open(folder.path()).await;
    append(&store, &simulation.events).await;
    let first = follow_to_the_end(&store, &Logic::default()).await;
    let strict = strict();
    let second = follow_to_the_end(&store, &strict).await;
    assert_ne!(first.generation, second.generation);
    assert_ne!(first.fingerprint, second.fingerprint);
    let rows = rows(&store).await;
    assert!(rows.iter().any(|row| row.status == "active" && row.entitled));
    assert!(rows.iter().all(|row| row.status == "active" || !row.entitled));
    assert_verifies(&store).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_with_another_policy_stays_beside_a_running_follower() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulation(18);
    let (before, after) = simulation.events.split_at(simulation.events.len() / 2);
    append(&store, before).await;
    let projector = Projector::start(store.clone(), Logic::default(), Clock::System);
    projector.handle().reached(store.log.head().await.unwrap().size).await;

    let rebuilt = rebuild(&store, &strict()).await;
    append(&store, after).await;
    let end = store.log.head().await.unwrap().size;
    let status = projector.handle().reached(end).await;
    // The follower goes on with the generation that was made, by the policy stored with it.
    assert_eq!(status.generation, Some(rebuilt.generation));
    let rows = rows(&store).await;
    assert!(rows.iter().any(|row| row.entitled));
    assert!(rows.iter().all(|row| row.status == "active" || !row.entitled));
    assert_verifies(&store).await;
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_folded_is_parked_and_the_others_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let body = |id: &str, status: &str| {
        format!(
            r#"{{"id":"{id}","object":"event","type":"customer.subscription.updated","created":{},
            "livemode":true,"data":{{"object":{{"id":"sub_1","object":"subscription",
            "customer":"cus_1","status":{status}}}}}}}"#,
            &id[4..]
        )
    };
    let events: Vec<NewEvent> =
        [("evt_1", "\"trialing\""), ("evt_3", "7"), ("evt_2", "\"active\"")]
            .map(|(id, status)| new_event(&body(id, status)))
            .into();
    store.log.append(&events).await.unwrap();
    let status = follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!(status.parked, 1);
    let rows = rows(&store).await;
    assert_eq!((rows.len(), rows[0].status.as_str(), rows[0].parked), (1, "active", 1));
    let parked = store.read_model.parked(status.generation.unwrap(), 10).await.unwrap();
    assert_eq!(parked[0].event_id.as_str(), "evt_3");
    assert_eq!(parked[0].reason, "subscription: `status` is an integer where a string belongs");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_ends_in_the_current_row_and_can_be_turned_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulation(16);
    let delivery = Delivery { seed: 6, ..Delivery::default() };
    append(&store, &simulate::deliver(simulation.events.clone(), &delivery)).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let mut late = 0;
    for row in rows(&store).await {
        let scope = Scope { account: row.account.as_str().into(), livemode: row.livemode };
        let subject = |kind, id: &str| Subject { kind, id: id.to_owned(), scope: scope.clone() };
        let of = subject(SubjectKind::Subscription, row.subscription_id.as_str());
        let (_, whole) =
            audit::history(&store, of.clone(), Past::default()).await.unwrap().unwrap();
        assert_eq!(whole.state, std::slice::from_ref(&row));
        assert!(whole.events.windows(2).all(|two| two[0].occurred_at <= two[1].occurred_at));
        late += whole.events.iter().filter(|event| event.late).count();
        let status = whole
            .events
            .iter()
            .flat_map(|event| &event.changes)
            .rfind(|change| change.field == "status")
            .unwrap();
        assert_eq!(status.to, row.status.as_str());

        // What had happened by the middle is the first half of what happened.
        let middle = whole.events[whole.events.len() / 2].occurred_at;
        let (_, half) = audit::history(&store, of, Past { as_of: Some(middle), ..Past::default() })
            .await
            .unwrap()
            .unwrap();
        assert!(half.events.iter().all(|event| event.occurred_at <= middle));
        let positions = |events: &[audit::HistoryEvent]| -> Vec<Position> {
            events.iter().map(|event| event.position).collect()
        };
        let expected = positions(&whole.events[..half.events.len()]);
        assert_eq!(positions(&half.events), expected);
        let own = |event: &&audit::HistoryEvent| {
            event.subscription_id.as_ref().is_some_and(|id| *id == row.subscription_id)
        };
        let named = i64::try_from(half.events.iter().filter(own).count()).unwrap();
        assert!(half.state.iter().all(|row| row.event_count == named), "{:?}", half.state);

        let customer = subject(SubjectKind::Customer, row.customer_id.as_str());
        let none_yet = Past { known_at: Some(ReceivedAt(0)), ..Past::default() };
        let (_, unknown) = audit::history(&store, customer, none_yet).await.unwrap().unwrap();
        assert!(unknown.events.is_empty() && unknown.state.is_empty());
    }
    assert!(late > 0, "the delivery was out of order");
    let nobody =
        Subject { kind: SubjectKind::User, id: "nobody".to_owned(), scope: Scope::default() };
    assert!(audit::history(&store, nobody, Past::default()).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_named_as_the_catalogue_does_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulation(19);
    let delivery = Delivery { seed: 7, ..Delivery::default() };
    append(&store, &simulate::deliver(simulation.events.clone(), &delivery)).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let name_of = |row: &SubscriptionRow, id: &Option<String>| {
        let known = simulation.catalogue.iter().find(|known| {
            (known.account == row.account.as_str() && known.livemode == row.livemode)
                && id.as_ref() == Some(&known.id)
        });
        known.expect("the shop knows what it sells").name.clone()
    };
    let rows = rows(&store).await;
    for row in &rows {
        assert_eq!(row.product_name, name_of(row, &row.product_id), "{}", row.subscription_id);
        assert_eq!(row.price_nickname, name_of(row, &row.price_id));
        for item in &row.items.0 {
            assert_eq!(item.product_name, name_of(row, &item.product_id));
            assert_eq!(item.price_nickname, name_of(row, &item.price_id));
        }
    }
    let names: BTreeSet<_> = rows.iter().filter_map(|row| row.product_name.as_deref()).collect();
    // One was renamed, and one was renamed and deleted.
    assert!(names.contains("Team Plus") && names.contains("Classic (no longer sold)"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_goes_back_stands_on_the_timeline_of_its_customer_and_changes_nothing() {
    const OF_A_PAYMENT: [&str; 5] = [
        "charge.dispute.closed",
        "charge.dispute.created",
        "invoice_payment.paid",
        "refund.created",
        "refund.updated",
    ];
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulation(20);
    let delivery = Delivery { seed: 8, ..Delivery::default() };
    append(&store, &simulate::deliver(simulation.events.clone(), &delivery)).await;
    follow_to_the_end(&store, &Logic::default()).await;

    // Whose a payment is, as its charge, its payment intent and its invoice say.
    let read = |event: &SimulatedEvent| -> serde_json::Value {
        event.body.parse::<serde_json::Value>().unwrap()["data"]["object"].take()
    };
    let mut owners = BTreeMap::new();
    for event in &simulation.events {
        let object = read(event);
        if let (Some(id), Some(customer)) = (object["id"].as_str(), object["customer"].as_str()) {
            owners.insert(id.to_owned(), customer.to_owned());
        }
    }
    let mut of_customers: BTreeMap<(String, bool, String), Vec<&SimulatedEvent>> = BTreeMap::new();
    for event in &simulation.events {
        if OF_A_PAYMENT.contains(&event.event_type.as_str()) {
            let object = read(event);
            assert!(object.get("customer").is_none(), "{}", event.event_type);
            let paid = object["charge"].as_str().or(object["invoice"].as_str()).unwrap();
            let key = (event.account.clone(), event.livemode, owners[paid].clone());
            of_customers.entry(key).or_default().push(event);
        }
    }
    let mut types = BTreeSet::new();
    for ((account, livemode, id), events) in of_customers {
        let scope = Scope { account: account.as_str().into(), livemode };
        let subject = Subject { kind: SubjectKind::Customer, id, scope };
        let (_, history) = audit::history(&store, subject, Past::default()).await.unwrap().unwrap();
        for event in events {
            let mut told = history.events.iter().filter(|it| it.event_id.as_str() == event.id);
            let told = told.next().unwrap_or_else(|| panic!("not told: {}", event.body));
            assert_eq!(told.changes, [], "{}", event.body);
            types.insert(event.event_type.as_str());
        }
    }
    assert_eq!(types.into_iter().collect::<Vec<_>>(), OF_A_PAYMENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projector_that_sleeps_holds_up_no_append_and_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulation(17);
    let (before, meanwhile) = simulation.events.split_at(100);
    let projector = Projector::start(store.clone(), Logic::default(), Clock::System);
    append(&store, before).await;
    projector.handle().reached(Position(100)).await;

    // As long as another connection writes to the read model, the projector cannot.
    let mut sleeper = crate::raw::read(&crate::database(folder.path())).await;
    sleeper.run(crate::raw::dialect().lock_read).await;
    append(&store, meanwhile).await;
    let end = store.log.head().await.unwrap().size;
    assert_eq!(end.0, i64::try_from(simulation.events.len()).unwrap());
    assert_eq!(projector.handle().status().position, Position(100));

    sleeper.run("ROLLBACK").await;
    projector.handle().reached(end).await;
    assert_rows_are_true(&rows(&store).await, &simulation.truth);
    projector.stop().await;
}
