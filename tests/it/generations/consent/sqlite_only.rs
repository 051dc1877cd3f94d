//! Tests of SQLite files.

use super::super::append;
use super::*;
use crate::ledger::{rebuild, strict};

#[tokio::test(flavor = "multi_thread")]
async fn a_log_with_events_and_no_read_model_needs_a_rebuild_and_an_empty_one_does_not() {
    let ledger = Ledger::with_clock(Clock::System).await;
    assert_eq!(reason(&ledger, &strict()).await, None, "nothing is in the log");
    append(&ledger.store, "evt_1", "sub_1").await;
    assert_eq!(reason(&ledger, &strict()).await, Some(RebuildReason::NoneLive));
    rebuild(&ledger.store, &strict()).await;
    assert_eq!(reason(&ledger, &strict()).await, None);
    assert_eq!(reason(&ledger, &Logic::default()).await, Some(RebuildReason::OtherLogic));
    projector::activate(&ledger.store, 1).await.unwrap();
    assert_eq!(reason(&ledger, &Logic::default()).await, None, "a pinned one is left alone");
    ledger.store.close().await;
    std::fs::remove_file(ledger.url.read_path().unwrap()).unwrap();
    assert_eq!(reason(&ledger, &strict()).await, Some(RebuildReason::NoneLive));
    assert!(!ledger.url.read_path().unwrap().exists(), "looking makes nothing");
    std::fs::remove_file(ledger.url.log_path().unwrap()).unwrap();
    assert_eq!(reason(&ledger, &strict()).await, None, "there is no ledger yet");
    assert!(!ledger.url.log_path().unwrap().exists(), "looking makes nothing");
}
