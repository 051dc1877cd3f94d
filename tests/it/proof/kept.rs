//! The hashes that are kept so that proofs are quick: those of the log, however they came to be.

use subledger::audit;
use subledger::ids::Position;
use subledger::store::{DatabaseUrl, StoreError};

use super::{all, events, key};
use crate::raw;
use crate::store::Ledger;

type Row = (i64, i64, Vec<u8>);

async fn nodes(url: &DatabaseUrl) -> Vec<Row> {
    raw::log(url).await.rows("SELECT level, number, hash FROM nodes ORDER BY level, number").await
}

async fn run(url: &DatabaseUrl, statement: &'static str) {
    raw::log(url).await.run(statement).await;
}

/// A log of so many events, appended in batches that end anywhere.
async fn ledger(size: usize, batch: usize) -> Ledger {
    let ledger = Ledger::new().await;
    for start in (0..size).step_by(batch) {
        ledger.store.log.append(&events(start..size.min(start + batch))).await.unwrap();
    }
    ledger
}

#[tokio::test]
async fn what_appends_keep_is_what_filling_finds() {
    let ledger = ledger(700, 97).await;
    let appended = nodes(&ledger.url).await;
    let places: Vec<_> = appended.iter().map(|(level, number, _)| (*level, *number)).collect();
    assert_eq!(places, [(8, 0), (8, 1)]);
    assert_eq!(ledger.store.log.fill_nodes().await.unwrap(), 0);

    for (delete, missing) in [("DELETE FROM nodes WHERE number = 0", 1), ("DELETE FROM nodes", 2)] {
        run(&ledger.url, delete).await;
        assert_eq!(ledger.store.log.fill_nodes().await.unwrap(), missing, "{delete}");
        assert_eq!(nodes(&ledger.url).await, appended, "{delete}");
    }
}

#[tokio::test]
async fn a_ledger_that_is_older_than_the_table_proves_before_and_after_it_is_filled() {
    let ledger = ledger(600, 600).await;
    let appended = nodes(&ledger.url).await;
    run(&ledger.url, "DROP TABLE nodes").await;
    run(&ledger.url, "DELETE FROM _sqlx_migrations WHERE version = 2").await;

    let store = ledger.open_again().await;
    assert_eq!(nodes(&ledger.url).await, []);
    let before = audit::prove_inclusion(&store.log, Position(3), &key()).await.unwrap();
    // What is appended meanwhile is kept, and filling finds the gap before it.
    store.log.append(&events(600..800)).await.unwrap();
    assert_eq!(nodes(&ledger.url).await.len(), 1);
    assert_eq!(store.log.fill_nodes().await.unwrap(), 2);
    assert_eq!(nodes(&ledger.url).await[..2], appended);
    let leaf = all(&store).await[2].recomputed_leaf_hash();
    assert_eq!(before.check(leaf, key().verifier()).unwrap().size, 600);
    let after = audit::prove_inclusion(&store.log, Position(3), &key()).await.unwrap();
    assert_eq!(after.check(leaf, key().verifier()).unwrap().size, 800);
}

#[tokio::test]
async fn a_kept_hash_that_was_edited_proves_nothing_and_is_found() {
    let ledger = ledger(600, 600).await;
    let mut sql = raw::log(&ledger.url).await;
    let refused = crate::store::refused(&mut sql, "UPDATE nodes SET number = 7").await;
    assert!(refused.contains("never changes"), "{refused}");
    run(&ledger.url, "DELETE FROM nodes WHERE number = 0").await;
    run(&ledger.url, "INSERT INTO nodes SELECT 8, 0, hash FROM nodes WHERE number = 1").await;

    let log = &ledger.store.log;
    // The first 256 are what the hash is about; a proof of one of them does not need it.
    assert!(audit::prove_inclusion(log, Position(1), &key()).await.is_ok());
    let proof = audit::prove_inclusion(log, Position(300), &key()).await;
    assert!(matches!(proof, Err(StoreError::Corrupt(_))), "{proof:?}");
    let proof = audit::prove_consistency(log, (512, 600), &key()).await;
    assert!(matches!(proof, Err(StoreError::Corrupt(_))), "{proof:?}");
    let report = audit::verify(&ledger.store, None, |_| {}).await.unwrap();
    let messages: Vec<_> = report.findings.iter().map(|it| it.message.as_str()).collect();
    assert_eq!(messages, ["the stored hash of the subtree 0 of 2^8 events does not match them"]);

    // It is nothing but what the log says: it can be made again.
    run(&ledger.url, "DELETE FROM nodes").await;
    log.fill_nodes().await.unwrap();
    assert!(audit::prove_inclusion(log, Position(300), &key()).await.is_ok());
    assert!(audit::verify(&ledger.store, None, |_| {}).await.unwrap().is_clean());
}

#[tokio::test]
async fn every_event_of_a_log_is_proven_in_it_and_every_older_log_is_its_beginning() {
    const SIZE: u64 = 300;
    let ledger = ledger(usize::try_from(SIZE).unwrap(), 41).await;
    let log = &ledger.store.log;
    let (key, logged) = (key(), all(&ledger.store).await);
    for (event, other) in logged.iter().zip(logged.iter().cycle().skip(1)) {
        let proof = audit::prove_inclusion(log, event.position, &key).await.unwrap();
        assert_eq!(proof.check(event.recomputed_leaf_hash(), key.verifier()).unwrap().size, SIZE);
        assert!(proof.check(other.recomputed_leaf_hash(), key.verifier()).is_err());
    }
    for old in 0..=SIZE {
        let before = audit::checkpoint_at(log, old).await.unwrap().unwrap();
        let proof = audit::prove_consistency(log, (old, SIZE), &key).await.unwrap().unwrap();
        assert_eq!(proof.check(&before, key.verifier()).unwrap().size, SIZE, "{old}");
    }
    assert_eq!(audit::checkpoint_at(log, SIZE + 1).await.unwrap(), None);
    assert_eq!(audit::prove_consistency(log, (20, 10), &key).await.unwrap(), None);
    assert_eq!(audit::prove_consistency(log, (20, SIZE + 1), &key).await.unwrap(), None);
}

mod sqlite_only {
    use super::*;

    /// One hash of 65,536 events, beside those of 256 below it.
    #[tokio::test]
    async fn a_longer_log_keeps_the_next_height_too() {
        let ledger = ledger(66_000, 8_000).await;
        let appended = nodes(&ledger.url).await;
        assert_eq!(appended.len(), 257 + 1);
        assert_eq!(appended.last().map(|(level, number, _)| (*level, *number)), Some((16, 0)));
        let log = &ledger.store.log;
        let leaf = log.leaf_hash_at(Position(65_900)).await.unwrap().unwrap();
        let prove = async || audit::prove_inclusion(log, Position(65_900), &key()).await.unwrap();
        let proof = prove().await;
        assert!(proof.check(leaf, key().verifier()).is_ok());
        run(&ledger.url, "DELETE FROM nodes").await;
        assert_eq!(prove().await, proof);
        assert_eq!(log.fill_nodes().await.unwrap(), 258);
        assert_eq!(nodes(&ledger.url).await, appended);
    }
}
