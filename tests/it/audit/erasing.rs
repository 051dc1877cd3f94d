//! A customer who asks to be forgotten: what was said of them is gone, and the log is as provable as before.

mod sqlite_only {
    mod bytes;
}
mod found;

use std::path::Path;

use serde_json::Value;
use subledger::audit;
use subledger::erasure::{self, ErasureRequest};
use subledger::ids::{Position, Scope};
use subledger::projection::row::SubscriptionRow;
use subledger::store::{LoggedEvent, Store};

use crate::app::commands::run;
use crate::ledger::{new_event, open, rows};

const MODE: [&str; 2] = ["--mode", "live"];

/// A ledger of a few customers, and the rows of it.
async fn ledger(folder: &Path) -> Vec<SubscriptionRow> {
    for arguments in [
        &["simulate", "--subscriptions", "12", "--shuffle", "--out", "made.jsonl"][..],
        &["import", "made.jsonl"],
        &["rebuild"],
    ] {
        let ran = run(folder, arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    }
    let store = open(folder).await;
    let rows = rows(&store).await;
    store.close().await;
    rows
}

/// Somebody with a subscription in live mode, of an account of our own.
fn somebody(rows: &[SubscriptionRow]) -> SubscriptionRow {
    let is_ours = |row: &&SubscriptionRow| row.livemode && row.account.as_str().is_empty();
    rows.iter().find(|row| is_ours(row) && row.email.is_some()).unwrap().clone()
}

async fn all(store: &Store) -> Vec<LoggedEvent> {
    store.log.scan(Position::ZERO, usize::MAX, usize::MAX).await.unwrap()
}

fn verified(folder: &Path) {
    let ran = run(folder, &["verify"]);
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_concerns_a_customer_goes_and_every_proof_stays() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let before = ledger(folder).await;
    let who = somebody(&before);
    let customer = who.customer_id.clone();
    let store = open(folder).await;
    let quoted = format!("\"{customer}\"");
    let names =
        |event: &LoggedEvent| event.payload.as_deref().is_some_and(|it| it.contains(&quoted));
    let of_customer: Vec<_> = all(&store).await.into_iter().filter(names).collect();
    assert!(of_customer.len() > 3);
    // It came once more, in another rendering, whose bytes are kept too.
    let mut again: Value =
        serde_json::from_str(of_customer[0].payload.as_deref().unwrap()).unwrap();
    again["api_version"] = "2099-01-01".into();
    store.log.append(&[new_event(&again.to_string())]).await.unwrap();
    let checkpoint = audit::checkpoint(&store.log).await.unwrap();
    store.close().await;

    let refused = run(
        folder,
        &[&MODE[..], &["erase", "--customer", customer.as_str(), "--by", "Ann"]].concat(),
    );
    assert_eq!(refused.status, 2, "nobody is there to confirm: {}", refused.err);
    verified(folder);

    let erase =
        ["erase", "--customer", customer.as_str(), "--by", "Ann", "--reason", "request 7", "--yes"];
    let erased = run(folder, &[&MODE[..], &erase].concat());
    assert_eq!(erased.status, 0, "{}{}", erased.out, erased.err);
    verified(folder);

    let store = open(folder).await;
    let report = audit::verify_against(&store, None, &[checkpoint], |_| {}).await.unwrap();
    assert!(report.is_clean(), "the log that was signed is still the same: {:?}", report.findings);
    let events = all(&store).await;
    assert!(events.iter().all(|event| !names(event) || event.source.as_str() == "subledger"));
    for event in &of_customer {
        let now = &events[usize::try_from(event.position.0 - 1).unwrap()];
        assert_eq!((&now.payload, now.salt, now.leaf_hash), (&None, None, event.leaf_hash));
    }
    let redelivered = store.log.redeliveries(Position(1), Position(i64::MAX)).await.unwrap();
    assert_eq!(redelivered.len(), 1, "that it came again is still known");
    assert_eq!(redelivered[0].payload, None);

    // Nobody else lost anything, and of the customer nothing is guessed.
    let others = |rows: &[SubscriptionRow]| -> Vec<SubscriptionRow> {
        let mut others = rows.to_vec();
        others.retain(|row| row.customer_id != who.customer_id);
        others
    };
    assert_eq!(rows(&store).await, others(&before));
    assert_eq!(store.read_model.generations().await.unwrap().len(), 1);

    // Bytes that come once more stay out.
    let payload = of_customer[0].payload.as_deref().unwrap();
    assert!(store.log.append(&[new_event(payload)]).await.unwrap()[0].duplicate);
    let at = of_customer[0].position;
    assert!(store.log.redeliveries(at, at).await.unwrap().iter().all(|it| it.payload.is_none()));
    store.close().await;
    verified(folder);

    // The history says what is gone, and who did it.
    let history =
        run(folder, &[&MODE[..], &["history", customer.as_str(), "--format", "json"]].concat());
    let history: Value = serde_json::from_str(&history.out).unwrap();
    let told: Vec<_> = history["events"].as_array().unwrap().iter().collect();
    let erased = told.iter().filter(|it| it["folding"] == "erased");
    let notes: Vec<_> = erased.map(|it| it["note"].as_str().unwrap()).collect();
    // Beside what names the customer, what is linked to it: refunds, disputes.
    assert!(notes.len() >= of_customer.len());
    let is_told =
        |id: &str| told.iter().any(|it| it["event_id"] == id && it["folding"] == "erased");
    assert!(of_customer.iter().all(|event| is_told(event.facts.event_id.as_str())));
    let by_ann =
        |note: &&str| note.starts_with("erased on 20") && note.ends_with(" by Ann (request 7)");
    assert!(notes.iter().all(by_ann), "{notes:?}");
    let record = told.iter().find(|it| it["type"] == "subledger.erasure").unwrap();
    assert!(
        record["note"].as_str().unwrap().starts_with(&format!("{} events erased on", notes.len()))
    );
    let of_subscription = run(
        folder,
        &[&MODE[..], &["history", who.subscription_id.as_str(), "--format", "json"]].concat(),
    );
    assert!(of_subscription.out.contains("\"erased\""), "{}", of_subscription.err);

    let id = of_customer[0].facts.event_id.to_string();
    let payload = run(folder, &["event", &id, "--payload"]);
    assert_eq!((payload.status, &*payload.out), (1, ""));
    let once_more = run(folder, &[&MODE[..], &erase].concat());
    assert_eq!(once_more.status, 0, "{}", once_more.err);
    assert!(once_more.err.contains("nothing left to erase"), "{}", once_more.err);
    verified(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_that_was_interrupted_is_ended_by_the_same_command() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let who = somebody(&ledger(folder).await);
    let store = open(folder).await;
    let scope = Scope { account: "".into(), livemode: true };
    let found = erasure::find(&store, &scope, &[], &[who.customer_id.as_str().into()], |_| {})
        .await
        .unwrap();
    let request = ErasureRequest { by: "Ann".to_owned(), reason: None };
    let clock = subledger::clock::Clock::System;
    erasure::erase(&store, &found, &request, &clock).await.unwrap();
    store.close().await;
    assert_eq!(run(folder, &["verify"]).status, 1, "the read model still says it");
    let customer = who.customer_id.clone();
    let ended = run(
        folder,
        &[&MODE[..], &["erase", "--customer", customer.as_str(), "--by", "Ann"]].concat(),
    );
    assert_eq!(ended.status, 0, "{}", ended.err);
    verified(folder);
}

#[tokio::test(flavor = "multi_thread")]
async fn single_events_are_erased_and_what_is_not_there_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    ledger(folder).await;
    let store = open(folder).await;
    let live =
        |it: &LoggedEvent| it.facts.scope.livemode && it.facts.scope.account.as_str().is_empty();
    let event = all(&store).await.into_iter().rfind(live).unwrap();
    store.close().await;
    let id = event.facts.event_id.to_string();
    let erase =
        |ids: &[&str]| run(folder, &[&MODE[..], &["erase", "--by", "Ann", "--yes"], ids].concat());
    let missing = erase(&[&id, "evt_nowhere"]);
    assert_eq!(missing.status, 1, "{}", missing.err);
    assert!(missing.err.contains("the log has no event evt_nowhere"), "{}", missing.err);
    let nobody = erase(&["--customer", "cus_nobody"]);
    assert_eq!(nobody.status, 1, "{}", nobody.err);
    let by_nobody = run(folder, &[&MODE[..], &["erase", "--yes", "--by", "", &id]].concat());
    assert_eq!(by_nobody.status, 2, "{}", by_nobody.err);
    assert_eq!(erase(&[&id]).status, 0);
    verified(folder);
    let store = open(folder).await;
    let record = all(&store).await.into_iter().next_back().unwrap();
    store.close().await;
    assert_eq!(record.source.as_str(), "subledger");
    let refused = erase(&[record.facts.event_id.as_str()]);
    assert_eq!(refused.status, 2, "{}", refused.err);

    // The log with its hole is exported and imported as it is.
    let export = run(folder, &["export"]).out;
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("export.jsonl"), &export).unwrap();
    assert_eq!(run(other.path(), &["import", "export.jsonl"]).status, 0);
    assert_eq!(run(other.path(), &["export"]).out, export);
    verified(other.path());
}
