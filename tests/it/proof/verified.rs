//! A checkpoint that was taken away finds what no look at the log alone could find.

use subledger::audit;
use subledger::store::Store;

use super::events;
use crate::store::{Ledger, event};

async fn findings(store: &Store, checkpoint: subledger::proof::Checkpoint) -> Vec<String> {
    let report = audit::verify_against(store, None, &[checkpoint], |_| {}).await.unwrap();
    assert_eq!(report.checkpoints, 1);
    report.findings.into_iter().map(|it| it.message).collect()
}

#[tokio::test]
async fn a_log_that_was_rewritten_with_all_its_hashes_is_not_the_one_that_was_signed() {
    let ledger = Ledger::new().await;
    ledger.store.log.append(&events(0..20)).await.unwrap();
    let signed = audit::checkpoint(&ledger.store.log).await.unwrap();
    ledger.store.log.append(&events(20..30)).await.unwrap();
    assert_eq!(findings(&ledger.store, signed).await, Vec::<String>::new());

    // The same log but for one payload, with every hash as it should be.
    let rewritten = Ledger::new().await;
    let mut others = events(0..30);
    others[4] = event("evt_4", "{\"status\":\"active\"}");
    rewritten.store.log.append(&others).await.unwrap();
    assert!(audit::verify(&rewritten.store, None, |_| {}).await.unwrap().is_clean());
    assert_eq!(
        findings(&rewritten.store, signed).await,
        ["the log of 20 events is not the one that was signed"]
    );
}

#[tokio::test]
async fn a_log_that_lost_its_end_is_shorter_than_what_was_signed() {
    let ledger = Ledger::new().await;
    let empty = audit::checkpoint(&ledger.store.log).await.unwrap();
    ledger.store.log.append(&events(0..20)).await.unwrap();
    let signed = audit::checkpoint(&ledger.store.log).await.unwrap();
    assert_eq!(findings(&ledger.store, empty).await, Vec::<String>::new());

    let older = Ledger::new().await;
    older.store.log.append(&events(0..10)).await.unwrap();
    assert_eq!(
        findings(&older.store, signed).await,
        ["a checkpoint speaks of 20 events, the log holds 10"]
    );
}
