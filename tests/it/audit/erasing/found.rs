//! The bodies that an erasure finds, the preview that it shows, and the record that it leaves.

use std::path::Path;

use serde_json::Value;
use subledger::audit;
use subledger::clock::Clock;
use subledger::erasure::{self, ErasedBytes, ErasedEvent, ErasureRecord, ErasureRequest};
use subledger::ids::{EventId, Position, Scope};
use subledger::projection::Logic;
use subledger::projector::RebuildError;
use subledger::store::{
    EventFacts, EventSource, ExportedFields, GenerationLogic, LoggedEvent, NewEvent, Store,
    StoreError, signature_hash,
};
use subledger::stripe::{Envelope, Verifier};
use subledger::time::{ReceivedAt, StripeTime};
use tokio_util::sync::CancellationToken;

use super::{MODE, all, verified};
use crate::app::commands::run;
use crate::app::server::SECRET;
use crate::ledger::{append_bodies, new_event, open};
use crate::store::begin;

/// An event of live mode, some seconds after the first of March.
fn body(id: &str, event_type: &str, second: i64, object: &str) -> String {
    let created = 1_772_323_200 + second;
    format!(
        r#"{{"id":"{id}","object":"event","api_version":"2020-08-27","type":"{event_type}","created":{created},"livemode":true,"data":{{"object":{object}}}}}"#
    )
}

async fn append(folder: &Path, bodies: &[String]) {
    let store = open(folder).await;
    append_bodies(&store, bodies).await;
    store.close().await;
}

fn scope() -> Scope {
    Scope { account: "".into(), livemode: true }
}

/// Erases these events from the log.
async fn erase(store: &Store, ids: &[&str]) {
    let ids: Vec<EventId> = ids.iter().map(|id| EventId::from(*id)).collect();
    let found = erasure::find(store, &scope(), &ids, &[], |_| {}).await.unwrap();
    let request = ErasureRequest { by: "Ann".to_owned(), reason: None };
    erasure::erase(store, &found, &request, &Clock::System).await.unwrap();
}

async fn finish(store: &Store) -> Result<ErasedBytes, RebuildError> {
    let (stop, patience) = (CancellationToken::new(), std::time::Duration::ZERO);
    erasure::finish(store, &Logic::default(), &Clock::System, patience, &stop, |_| {}).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_name_the_customer_in_any_form_are_found_and_those_of_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let object = |rest: &str| format!(r#"{{"id":"x_1","object":"novelty",{rest}}}"#);
    let erased = [
        ("evt_customer", r#"{"id":"cus_1","object":"customer","email":"a@b.example"}"#.to_owned()),
        ("evt_url", object(r#""url":"https://dashboard.stripe.com/customers/cus_1/edit""#)),
        ("evt_slashes", object(r#""url":"https:\/\/example.com\/customers\/cus_1""#)),
        ("evt_escaped", object(r#""owner":"cus\u005f1""#)),
        ("evt_encoded", object(r#""url":"https://example.com/?to=%2Fcustomers%2Fcus%5F1""#)),
        ("evt_nested", object(r#""text":"{\"customer\":\"cus_1\"}""#)),
        ("evt_again", object(r#""owner":"nobody""#)),
    ];
    let kept = [
        ("evt_other", r#"{"id":"cus_12","object":"customer","email":"c@d.example"}"#.to_owned()),
        ("evt_other_url", object(r#""url":"https://example.com/customers/cus_12""#)),
        ("evt_other_escaped", object(r#""owner":"cus_1\u0032""#)),
        ("evt_nobody", object(r#""owner":"nobody""#)),
    ];
    let mut bodies: Vec<_> = erased
        .iter()
        .chain(&kept)
        .map(|(id, object)| body(id, "novelty.created", 0, object))
        .collect();
    // It names the customer in a later rendering alone.
    let again = object(r#""owner":"cus_1""#);
    bodies
        .push(body("evt_again", "novelty.created", 0, &again).replace("2020-08-27", "2025-03-31"));
    append(folder, &bodies).await;
    assert_eq!(run(folder, &["rebuild"]).status, 0);

    let erase = ["erase", "--customer", "cus_1", "--by", "Ann", "--yes"];
    let ran = run(folder, &[&MODE[..], &erase].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    let store = open(folder).await;
    for event in all(&store).await {
        let id = event.facts.event_id.as_str();
        let is_erased = erased.iter().any(|(it, _)| *it == id);
        assert_eq!(event.payload.is_none(), is_erased, "{id}");
    }
    let redelivered = store.log.redeliveries(Position(1), Position(i64::MAX)).await.unwrap();
    assert_eq!((redelivered.len(), redelivered[0].payload.as_ref()), (1, None));
    store.close().await;
    verified(folder);
    // Each stands in the history of the customer.
    let history = run(folder, &[&MODE[..], &["history", "cus_1", "--format", "json"]].concat());
    for (id, _) in erased {
        assert!(history.out.contains(&format!("\"{id}\"")), "{id}: {}", history.out);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_asks_it_shows_types_and_dates() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let object = r#"{"id":"cus_1","object":"customer"}"#;
    let day = 86_400;
    let mut bodies = vec![body("evt_0", "customer.created", 0, object)];
    bodies.extend((1..12).map(|n| body(&format!("evt_{n}"), "customer.updated", n * day, object)));
    append(folder, &bodies).await;
    let erase = ["erase", "--customer", "cus_1", "--by", "Ann"];
    let shown = run(folder, &[&MODE[..], &erase].concat());
    assert_eq!(shown.status, 2, "nobody is there to confirm: {}", shown.err);
    let words: Vec<Vec<&str>> =
        shown.out.lines().map(|line| line.split_whitespace().collect()).collect();
    for line in [
        "12 events have content to erase:",
        "EVENTS TYPE FIRST (UTC) LAST (UTC)",
        "1 customer.created 2026-03-01 2026-03-01",
        "11 customer.updated 2026-03-02 2026-03-12",
        "POSITION EVENT TYPE DATE (UTC)",
        "1 evt_0 customer.created 2026-03-01",
        "10 evt_9 customer.updated 2026-03-10",
        "and 2 more",
    ] {
        assert!(words.iter().any(|it| it.join(" ") == line), "{line} is not in\n{}", shown.out);
    }
    let store = open(folder).await;
    assert!(all(&store).await.iter().all(|event| event.payload.is_some()), "nothing is erased");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_looks_like_the_record_of_an_erasure_does_not_take_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let erasure = r#"{"by":"Eve","events":[{"event_id":"evt_1","subjects":[]}]}"#;
    append(
        folder,
        &[
            body("erasure_of_evt_1", "subledger.erasure", 0, erasure),
            body("evt_1", "customer.created", 0, r#"{"id":"cus_1","object":"customer"}"#),
        ],
    )
    .await;
    assert_eq!(run(folder, &["rebuild"]).status, 0);
    let ran = run(folder, &[&MODE[..], &["erase", "evt_1", "--by", "Ann", "--yes"]].concat());
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(ran.err.contains("the record of the erasure is event 3"), "{}", ran.err);
    let store = open(folder).await;
    let events = all(&store).await;
    assert_eq!((events.len(), events[2].source), (3, EventSource::Subledger));
    assert_eq!(events[1].payload, None);
    store.close().await;
    verified(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_whose_id_is_taken_erases_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let object = r#"{"id":"cus_1","object":"customer"}"#;
    let bodies = [
        body("taken", "customer.created", 0, object),
        body("evt_1", "customer.created", 0, object),
    ];
    store.log.append(&bodies.map(|body| new_event(&body))).await.unwrap();
    let before = (all(&store).await, store.log.head().await.unwrap());
    let record = |id: &str| {
        let entry = ErasedEvent { event_id: "evt_1".into(), subjects: vec![] };
        let erasure = ErasureRecord { by: "Ann".to_owned(), reason: None, events: vec![entry] };
        erasure.into_event(EventId::from(id), &scope(), StripeTime(1_772_323_200)).unwrap()
    };
    let refused = store.log.erase(&[Position(2)], &[record("taken")]).await;
    assert!(matches!(refused, Err(StoreError::IdTaken { .. })), "{refused:?}");
    let refused = store.log.erase(&[Position(2)], &[record("twice"), record("twice")]).await;
    assert!(matches!(refused, Err(StoreError::IdTaken { .. })), "{refused:?}");
    assert_eq!((all(&store).await, store.log.head().await.unwrap()), before);
    // The form of the ids of earlier versions is still a record's.
    store.log.erase(&[Position(2)], &[record("erasure_of_evt_1")]).await.unwrap();
    let report = audit::verify(&store, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    store.close().await;
}

/// A delivery as the webhook stores it.
fn signed(id: &str) -> NewEvent {
    let body = body(id, "customer.created", 0, r#"{"id":"cus_1","object":"customer"}"#);
    let signature = subledger::simulate::sign(SECRET, 1_772_323_200, body.as_bytes());
    let facts = EventFacts::from(&Envelope::parse(&body).unwrap());
    NewEvent::new(facts, EventSource::Webhook, Some(signature), body).unwrap()
}

/// The same as an earlier version logged it: the hash of its signature has no salt. Or as one left it that
/// erased the body and not the signature.
fn of_an_earlier_version(event: &LoggedEvent, is_erased: bool) -> NewEvent {
    let exported = ExportedFields {
        received_at: event.received_at,
        salt: event.salt.filter(|_| !is_erased),
        payload_hash: event.payload_hash,
        payload: event.payload.clone().filter(|_| !is_erased),
        signature_hash: None,
    };
    NewEvent::exported(event.facts.clone(), event.source, event.signature.clone(), exported)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_signature_goes_with_the_body_and_every_proof_stays() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let store = open(folder).await;
    store.log.append(&["evt_1", "evt_2", "evt_3"].map(signed)).await.unwrap();
    let before = all(&store).await;
    let salted = before[0].signature_hash.unwrap();
    let plain = signature_hash(None, before[0].signature.as_deref().unwrap());
    assert_ne!(salted, plain, "who knows the secret cannot compute the hash without the salt");
    let checkpoint = audit::checkpoint(&store.log).await.unwrap();

    erase(&store, &["evt_1", "evt_3"]).await;
    let after = all(&store).await;
    for (before, after) in before.iter().zip(&after) {
        let is_erased = before.position != Position(2);
        assert_eq!(after.signature.is_none(), is_erased);
        assert_eq!(after.leaf_hash, before.leaf_hash);
        assert_eq!(after.recomputed_leaf_hash(), before.leaf_hash);
    }
    let verifier = Verifier::new([SECRET], None);
    let signed = [checkpoint];
    let report = audit::verify_against(&store, Some(&verifier), &signed, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!((report.signatures, report.signatures_erased), (Some(1), Some(2)));
    store.close().await;

    // The hash of an erased signature is exported and restored.
    let export = run(folder, &["export"]).out;
    let line: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&line["signature"], &line["signature_hash"]),
        (&Value::Null, &hex::encode(salted).into())
    );
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("export.jsonl"), &export).unwrap();
    assert_eq!(run(other.path(), &["import", "export.jsonl"]).status, 0);
    assert_eq!(run(other.path(), &["export"]).out, export);
    assert_eq!(run(other.path(), &["rebuild"]).status, 0);
    verified(other.path());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_an_earlier_version_logged_or_left_is_erased_as_well() {
    let made = tempfile::tempdir().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let store = open(made.path()).await;
    store.log.append(&["evt_1", "evt_2"].map(signed)).await.unwrap();
    let events = all(&store).await;
    store.close().await;
    let store = open(directory.path()).await;
    let restored =
        [of_an_earlier_version(&events[0], false), of_an_earlier_version(&events[1], true)];
    store.log.restore(&restored).await.unwrap();
    let before = all(&store).await;
    assert_eq!(before.iter().filter(|it| it.signature.is_some()).count(), 2);
    erase(&store, &["evt_1"]).await;
    finish(&store).await.unwrap();
    let after = all(&store).await;
    for (before, after) in before.iter().zip(&after) {
        let plain = signature_hash(None, before.signature.as_deref().unwrap());
        assert_eq!((after.signature.as_ref(), after.signature_hash), (None, Some(plain)));
        assert_eq!(
            (after.recomputed_leaf_hash(), after.leaf_hash),
            (before.leaf_hash, before.leaf_hash)
        );
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_export_brings_no_body_of_an_erased_event_back() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let object = |name: &str| format!(r#"{{"id":"cus_1","object":"customer","name":"{name}"}}"#);
    let again = |name: &str, version: &str| {
        body("evt_1", "customer.created", 0, &object(name)).replace("2020-08-27", version)
    };
    append(folder, &[again("Zoe", "2020-08-27"), again("Zora", "2025-03-31")]).await;
    let before = run(folder, &["export"]).out;
    assert!(before.contains("Zora"));
    let store = open(folder).await;
    erase(&store, &["evt_1"]).await;
    store.close().await;
    let erased = run(folder, &["export"]).out;
    let other = tempfile::tempdir().unwrap();
    // Restored without its redeliveries, so that the older export still has something to add.
    let mut alone: Value = serde_json::from_str(erased.lines().next().unwrap()).unwrap();
    alone.as_object_mut().unwrap().remove("redeliveries");
    std::fs::write(other.path().join("erased.jsonl"), alone.to_string()).unwrap();
    std::fs::write(other.path().join("before.jsonl"), &before).unwrap();
    for file in ["erased.jsonl", "before.jsonl"] {
        let imported = run(other.path(), &["import", file]);
        assert_eq!(imported.status, 0, "{file}: {}", imported.err);
    }
    let now = run(other.path(), &["export"]).out;
    assert!(now.contains("\"redeliveries\"") && !now.contains("Zo"), "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_that_was_never_completed_is_dropped_unless_somebody_makes_it() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await;
    let object = r#"{"id":"cus_1","object":"customer"}"#;
    store.log.append(&[new_event(&body("evt_1", "customer.created", 0, object))]).await.unwrap();
    let logic = GenerationLogic {
        fingerprint: String::new(),
        fold_version: 1,
        policy: String::new(),
        user_keys: String::new(),
    };
    // Whoever began it has ended; nothing is live.
    begin(&store, &logic, ("gone", ReceivedAt(1), 1)).await;
    erase(&store, &["evt_1"]).await;
    finish(&store).await.unwrap();
    assert_eq!(store.read_model.generations().await.unwrap(), []);

    begin(&store, &logic, ("busy", Clock::System.now(), 600)).await;
    let refused = finish(&store).await;
    assert!(matches!(refused, Err(RebuildError::AlreadyRunning { .. })), "{refused:?}");
    store.close().await;
}
