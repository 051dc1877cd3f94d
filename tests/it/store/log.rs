//! The log keeps what it was given: exact bytes, in order, once.

mod sqlite_only;

use std::collections::HashMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use subledger::clock::Clock;
use subledger::ids::{EventId, Position, Scope};
use subledger::store::{
    Appended, EventSource, ExportedFields, LoggedEvent, NewEvent, OpenMode, Store, StoreError,
    payload_hash,
};
use subledger::time::ReceivedAt;

use super::{Ledger, NOON, event, facts, refused};
use crate::raw;

const ALL: usize = 1_000_000;

fn new(position: i64) -> Appended {
    Appended { position: Position(position), duplicate: false }
}

fn known(position: i64) -> Appended {
    Appended { position: Position(position), duplicate: true }
}

async fn all(store: &Store) -> Vec<LoggedEvent> {
    store.log.scan(Position::ZERO, ALL, usize::MAX).await.unwrap()
}

/// Positions are dense, times rise, every hash is right, and the root is that of an independent
/// implementation.
pub(crate) async fn assert_sound(store: &Store) {
    let head = store.log.head().await.unwrap();
    let events = all(store).await;
    let mut tree = MemoryBackedTree::<Sha256, Leaf>::new();
    let mut last = ReceivedAt(0);
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event.position, Position(i64::try_from(index).unwrap() + 1));
        assert!(event.received_at > last, "{event:?}");
        assert_eq!(event.leaf_hash, event.recomputed_leaf_hash());
        assert!(event.payload_matches_hash());
        last = event.received_at;
        tree.push(Leaf(event.clone()));
    }
    assert_eq!(head.size, Position(i64::try_from(events.len()).unwrap()));
    assert_eq!(head.last_received_at, last);
    assert_eq!(head.root.as_slice(), tree.root().as_bytes().as_slice());
}

/// The record of DESIGN, written a second time by other means.
#[derive(Clone)]
struct Leaf(LoggedEvent);

impl ct_merkle::HashableLeaf for Leaf {
    fn hash<H: sha2::digest::Update>(&self, hasher: &mut H) {
        let LoggedEvent { facts, received_at, source, signature, payload_hash, .. } = &self.0;
        let signature = match (signature, self.0.salt) {
            (Some(signature), Some(salt)) => {
                let salt =
                    Sha256::digest([&b"subledger-signature-salt-v1\n"[..], &salt[..]].concat());
                let salted = [&salt[..16], signature.as_bytes()].concat();
                Some(hex::encode(Sha256::digest(salted)))
            }
            (None, None) => self.0.signature_hash.map(hex::encode),
            _ => None,
        };
        let lines = [
            "subledger-event-v1".to_owned(),
            facts.scope.account.to_string(),
            facts.scope.livemode.to_string(),
            facts.event_id.to_string(),
            facts.event_type.clone(),
            match facts.created_nanos {
                0 => facts.created.0.to_string(),
                nanos => format!("{}.{nanos:09}", facts.created.0),
            },
            received_at.0.to_string(),
            source.as_str().to_owned(),
            signature.unwrap_or_default(),
            hex::encode(payload_hash),
        ];
        hasher.update((lines.join("\n") + "\n").as_bytes());
    }
}

#[tokio::test]
async fn an_event_is_kept_to_the_byte_with_everything_known_of_it() {
    let ledger = Ledger::new().await;
    let payload =
        "{\n  \"id\": \"evt_1\",\n  \"list\": [\n\n  ],\n  \"name\": \"Zoë \\u0000 \u{1f600}\"\n}";
    let mut thin = facts("evt_2");
    thin.scope = Scope { account: "acct_1".into(), livemode: false };
    thin.api_version = None;
    thin.created_nanos = 60_000_000;
    let thin = NewEvent::new(thin, EventSource::Api, None, "{}".to_owned()).unwrap();
    let signer = "connect:1f3a5b7c".parse().unwrap();
    let (plain, thin) = (thin.clone(), thin.signed_with(Some(signer)));
    assert_eq!(plain.leaf_hash(NOON), thin.leaf_hash(NOON), "no leaf commits to it");
    let answers = ledger.store.log.append(&[event("evt_1", payload), thin.clone()]).await.unwrap();
    assert_eq!(answers, [new(1), new(2)]);

    let events = all(&ledger.store).await;
    assert_eq!(events[0].payload.as_deref(), Some(payload));
    assert_eq!(events[0].facts, facts("evt_1"));
    assert_eq!(events[0].signature.as_deref(), Some("t=1,v1=00"));
    assert_eq!(events[0].source, EventSource::Webhook);
    assert_eq!(events[0].received_at, NOON);
    assert_eq!(&events[1].facts, thin.facts());
    assert_eq!((events[1].signature.as_ref(), events[1].source), (None, EventSource::Api));
    let signers = events.iter().map(|it| it.signed_with.as_deref());
    assert_eq!(signers.collect::<Vec<_>>(), [None, Some("connect:1f3a5b7c")]);
    let records = ledger.store.log.records(Position::ZERO, Position(2)).await.unwrap();
    assert_eq!(records.events().unwrap(), events);
    assert_sound(&ledger.store).await;

    let reopened = ledger.open_again().await;
    assert_eq!(all(&reopened).await, events);
    assert_eq!(reopened.log.head().await.unwrap(), ledger.store.log.head().await.unwrap());
}

#[tokio::test]
async fn a_log_of_before_signers_were_kept_goes_on_with_the_root_that_it_had() {
    let ledger = Ledger::new().await;
    ledger.store.log.append(&[event("evt_1", "one"), event("evt_2", "two")]).await.unwrap();
    let before = (all(&ledger.store).await, ledger.store.log.head().await.unwrap());
    ledger.store.close().await;
    let mut sql = raw::log(&ledger.url).await;
    sql.run(raw::dialect().without_signed_with).await;
    let store = ledger.open_again().await;
    assert_eq!((all(&store).await, store.log.head().await.unwrap()), before);
    let signer = "test:1f3a5b7c".parse().unwrap();
    let signed = event("evt_3", "three").signed_with(Some(signer));
    assert_eq!(store.log.append(&[signed]).await.unwrap(), [new(3)]);
    assert_eq!(all(&store).await[2].signed_with.as_deref(), Some("test:1f3a5b7c"));
    assert_sound(&store).await;
    let erased =
        "UPDATE events SET payload = NULL, salt = NULL, signed_with = NULL WHERE position = 3";
    assert!(refused(&mut sql, erased).await.contains("only erased"));
}

#[tokio::test]
async fn an_empty_log_has_the_root_of_the_empty_tree() {
    let ledger = Ledger::new().await;
    assert_sound(&ledger.store).await;
    assert_eq!(ledger.store.log.append(&[]).await.unwrap(), []);
    assert_eq!(ledger.store.log.head().await.unwrap().size, Position::ZERO);
    assert_eq!(ledger.store.log.head().await.unwrap().log_id.len(), 32);
}

#[tokio::test]
async fn the_first_bytes_stay_and_later_deliveries_are_counted() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", "first")]).await.unwrap();
    let mut other = facts("evt_1");
    other.api_version = Some("2025-03-31.basil".to_owned());
    let other = NewEvent::new(other, EventSource::Webhook, None, "other".to_owned()).unwrap();
    let batch = [
        event("evt_1", "first"),
        event("evt_2", "second"),
        event("evt_1", "pending"),
        event("evt_2", "second"),
        other.clone(),
        other,
    ];
    let answers = log.append(&batch).await.unwrap();
    assert_eq!(answers, [known(1), new(2), known(1), known(2), known(1), known(1)]);

    let events = all(&ledger.store).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].payload.as_deref(), Some("first"));
    let salt = events[0].salt.unwrap();
    let mut redeliveries: Vec<_> = log
        .redeliveries(Position(1), Position(2))
        .await
        .unwrap()
        .into_iter()
        .map(|it| (it.position.0, it.payload_hash, it.count, it.payload))
        .collect();
    let mut expected = vec![
        (1, events[0].payload_hash, 1, None),
        (1, payload_hash(&salt, "pending"), 1, None),
        (1, payload_hash(&salt, "other"), 2, Some("other".to_owned())),
        (2, events[1].payload_hash, 1, None),
    ];
    redeliveries.sort();
    expected.sort();
    assert_eq!(redeliveries, expected);
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn an_id_is_one_event_in_each_account_and_mode() {
    let ledger = Ledger::new().await;
    let scopes = [("", true), ("", false), ("acct_1", true), ("acct_1", false)];
    let events = scopes.map(|(account, livemode)| {
        let scope = Scope { account: account.into(), livemode };
        let facts = subledger::store::EventFacts { scope, ..facts("evt_1") };
        NewEvent::new(facts, EventSource::Webhook, None, format!("{account}{livemode}")).unwrap()
    });
    let log = &ledger.store.log;
    let answers = log.append(&events).await.unwrap();
    assert_eq!(answers, [new(1), new(2), new(3), new(4)]);

    let id = EventId::from("evt_1");
    assert_eq!(log.event(&id, None, None).await.unwrap().len(), 4);
    assert_eq!(log.event(&id, None, Some(false)).await.unwrap().len(), 2);
    let one = log.event(&id, Some(&"acct_1".into()), Some(false)).await.unwrap();
    assert_eq!(one[0].payload.as_deref(), Some("acct_1false"));
    assert_eq!(log.event(&"evt_0".into(), None, None).await.unwrap(), []);
}

#[tokio::test]
async fn received_at_rises_with_the_position_even_where_the_clock_goes_back() {
    let clock = Clock::fixed(NOON);
    let ledger = Ledger::with_clock(clock.clone()).await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", ""), event("evt_2", "")]).await.unwrap();
    let Clock::Fixed(hand) = &clock else { unreachable!() };
    hand.store(NOON.0 - 3_600_000_000, std::sync::atomic::Ordering::SeqCst);
    log.append(&[event("evt_3", "")]).await.unwrap();
    hand.store(NOON.0 + 50, std::sync::atomic::Ordering::SeqCst);
    log.append(&[event("evt_4", "")]).await.unwrap();
    let times: Vec<i64> =
        all(&ledger.store).await.iter().map(|event| event.received_at.0 - NOON.0).collect();
    assert_eq!(times, [0, 1, 2, 50]);
}

#[tokio::test]
async fn a_scan_stops_at_either_limit_and_never_at_nothing() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    let events: Vec<_> =
        (1..=700).map(|number| event(&format!("evt_{number}"), &"x".repeat(100))).collect();
    log.append(&events).await.unwrap();
    let positions =
        |events: Vec<LoggedEvent>| events.iter().map(|event| event.position.0).collect::<Vec<_>>();
    assert_eq!(positions(log.scan(Position(3), 2, ALL).await.unwrap()), [4, 5]);
    assert_eq!(positions(log.scan(Position(3), ALL, 250).await.unwrap()), [4, 5, 6]);
    assert_eq!(positions(log.scan(Position(3), ALL, 0).await.unwrap()), [4]);
    assert_eq!(positions(log.scan(Position(700), ALL, ALL).await.unwrap()), [0; 0]);
    let asked: Vec<_> = (1..=700).rev().chain([5]).map(Position).collect();
    assert_eq!(positions(log.events_at(&asked).await.unwrap()), (1..=700).collect::<Vec<_>>());
    let error = log.events_at(&[Position(9), Position(900)]).await.unwrap_err();
    assert_eq!(error.to_string(), "event 900: the row is missing");
    let leaf = log.events_at(&[Position(9)]).await.unwrap()[0].leaf_hash;
    assert_eq!(log.leaf_hash_at(Position(9)).await.unwrap(), Some(leaf));
    assert_eq!(log.leaf_hash_at(Position(701)).await.unwrap(), None);
}

#[tokio::test]
async fn whoever_waits_is_woken_by_an_append() {
    let ledger = Ledger::new().await;
    let mut appended = ledger.store.log.appended();
    assert_eq!(*appended.borrow_and_update(), Position(0));
    ledger.store.log.append(&[event("evt_1", ""), event("evt_2", "")]).await.unwrap();
    appended.changed().await.unwrap();
    assert_eq!(*appended.borrow_and_update(), Position(2));
    ledger.store.log.append(&[event("evt_2", "")]).await.unwrap();
    assert!(!appended.has_changed().unwrap(), "a duplicate is nothing to fold");
    assert_eq!(*ledger.open_again().await.log.appended().borrow(), Position(2));
}

#[tokio::test]
async fn an_erased_payload_leaves_the_tree_valid_and_does_not_come_back() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", "one"), event("evt_2", "two")]).await.unwrap();
    let mut sql = raw::log(&ledger.url).await;
    sql.run("UPDATE events SET payload = NULL, salt = NULL, signature = NULL WHERE position = 1")
        .await;
    let mut other = facts("evt_1");
    other.api_version = None;
    let other = NewEvent::new(other, EventSource::Webhook, None, "one".to_owned()).unwrap();
    assert_eq!(log.append(&[other]).await.unwrap(), [known(1)]);
    let erased = &all(&ledger.store).await[0];
    assert_eq!(
        (erased.payload.as_ref(), erased.signature.as_ref(), erased.salt),
        (None, None, None)
    );
    let redelivery = &log.redeliveries(Position(1), Position(1)).await.unwrap()[0];
    assert_eq!(redelivery.payload_hash, erased.payload_hash);
    assert_eq!(redelivery.payload, None);
    assert_sound(&ledger.store).await;
}

/// An event of the log, as an export gives it.
fn exported(event: &LoggedEvent) -> NewEvent {
    let exported = ExportedFields {
        received_at: event.received_at,
        salt: event.salt,
        payload_hash: event.payload_hash,
        payload: event.payload.clone(),
        signature_hash: event.signature_hash,
    };
    let signature = event.signature.clone();
    NewEvent::exported(event.facts.clone(), event.source, signature, exported).unwrap()
}

#[tokio::test]
async fn an_export_restored_into_an_empty_log_gives_the_same_log() {
    let ledger = Ledger::new().await;
    let events: Vec<_> = (1..=40).map(|it| event(&format!("evt_{it}"), "{}")).collect();
    ledger.store.log.append(&events).await.unwrap();
    ledger.store.log.append(&events[3..5]).await.unwrap();
    let before = all(&ledger.store).await;
    let redeliveries = ledger.store.log.redeliveries(Position(1), Position(40)).await.unwrap();
    let export: Vec<_> = before.iter().map(exported).collect();

    let other = Ledger::with_clock(Clock::fixed(ReceivedAt(NOON.0 + 1))).await;
    let log = &other.store.log;
    log.restore(&export[..15]).await.unwrap();
    let answers = log.restore(&export[10..]).await.unwrap();
    assert_eq!(answers[4], known(15));
    assert_eq!(answers[5], new(16));
    log.restore_redeliveries(&redeliveries).await.unwrap();
    log.restore_redeliveries(&redeliveries).await.unwrap();
    assert_eq!(all(&other.store).await, before);
    assert_eq!(log.redeliveries(Position(1), Position(40)).await.unwrap(), redeliveries);
    let (head, original) = (log.head().await.unwrap(), ledger.store.log.head().await.unwrap());
    assert_eq!((head.root, head.size), (original.root, original.size));
    assert_ne!(head.log_id, original.log_id);
    assert_sound(&other.store).await;
}

#[tokio::test]
async fn an_export_is_restored_only_alone_and_in_order() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", ""), event("evt_2", "")]).await.unwrap();
    let export: Vec<_> = all(&ledger.store).await.iter().map(exported).collect();
    let refused = log.restore(&export).await;
    assert!(matches!(refused, Err(StoreError::NotEmpty { size: Position(2) })), "{refused:?}");

    let other = Ledger::new().await;
    let log = &other.store.log;
    let backwards = [export[1].clone(), export[0].clone()];
    let refused = log.restore(&backwards).await;
    assert!(matches!(refused, Err(StoreError::NotInOrder { .. })), "{refused:?}");
    assert_eq!(log.head().await.unwrap().size, Position::ZERO, "nothing half-restored");
    log.restore(&export).await.unwrap();
    log.append(&[event("evt_3", "")]).await.unwrap();
    assert!(matches!(log.restore(&export).await, Err(StoreError::NotEmpty { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_that_append_at_once_leave_no_gap() {
    let ledger = Ledger::with_clock(Clock::System).await;
    let writers = ["a", "b", "c"].map(|writer| {
        let url = ledger.url.clone();
        tokio::spawn(async move {
            let store = Store::open(&url, OpenMode::Existing, Clock::System).await.unwrap();
            for batch in 0..40 {
                let own = (0..3).map(|it| event(&format!("evt_{writer}{batch}_{it}"), "{}"));
                let shared = event(&format!("evt_{batch}"), "{}");
                store.log.append(&own.chain([shared]).collect::<Vec<_>>()).await.unwrap();
            }
        })
    });
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(ledger.store.log.head().await.unwrap().size, Position(40 * (3 * 3 + 1)));
    assert_sound(&ledger.store).await;
}

/// Model of a log: the first bytes of each id, in order.
#[derive(Default)]
struct Model {
    positions: HashMap<String, i64>,
    payloads: Vec<String>,
}

impl Model {
    fn append(&mut self, id: &str, payload: &str) -> Appended {
        if let Some(&position) = self.positions.get(id) {
            return known(position);
        }
        self.payloads.push(payload.to_owned());
        let position = i64::try_from(self.payloads.len()).unwrap();
        self.positions.insert(id.to_owned(), position);
        new(position)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_batches_with_any_duplicates_are_logged_once_and_in_order(
        batches in prop::collection::vec(
            prop::collection::vec((0..60_u8, "[a-z]{0,8}"), 0..330), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ledger = Ledger::new().await;
            let mut model = Model::default();
            for (number, batch) in batches.iter().enumerate() {
                // Most ids are met once, some again and again.
                let id = |index: usize, of: u8| if of < 50 { format!("evt_{number}_{index}") } else { format!("evt_{of}") };
                let events: Vec<_> = batch.iter().enumerate()
                    .map(|(index, (of, payload))| event(&id(index, *of), payload)).collect();
                let expected: Vec<_> = batch.iter().enumerate()
                    .map(|(index, (of, payload))| model.append(&id(index, *of), payload)).collect();
                assert_eq!(ledger.store.log.append(&events).await.unwrap(), expected);
            }
            let payloads: Vec<_> =
                all(&ledger.store).await.into_iter().filter_map(|event| event.payload).collect();
            assert_eq!(payloads, model.payloads);
            assert_sound(&ledger.store).await;
        });
    }
}
