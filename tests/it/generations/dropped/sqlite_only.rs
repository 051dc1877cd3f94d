//! Tests of SQLite files.

use std::path::Path;

use subledger::projection::Logic;
use subledger::store::FoldOutcome;

use super::*;
use crate::ledger::{rebuild, strict};
use crate::store::{Ledger, keep_alive};

/// The bytes of the read model on the disk: the file, and its write-ahead log.
fn bytes(ledger: &Ledger) -> (u64, u64) {
    let of = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let file = ledger.url.read_path().unwrap();
    (of(&file), of(&file.with_extension("db-wal")))
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_being_made_stays_and_an_abandoned_one_goes_with_its_bytes() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    let lease = build(store).await;
    let drop_it = ["projections", "drop", "3"];
    let living = keep_alive(store, &lease);
    let refused = run(ledger.directory.path(), &drop_it);
    drop(living);
    let told = "error: process 4711 is building generation 3 and has folded 1 of 1 events\nhint: ";
    assert_eq!(refused.status, 2, "{}", refused.err);
    assert!(refused.err.starts_with(told), "{}", refused.err);

    store.read_model.lease_release(&lease).await.unwrap();
    let listed = run(ledger.directory.path(), &["projections"]).out;
    assert!(
        listed.contains("no process is building it: `subledger projections drop 3`"),
        "{listed}"
    );
    let (file, wal) = bytes(&ledger);
    assert!(file + wal > 8_000_000, "{file} and {wal} bytes");
    let dropped = run(ledger.directory.path(), &drop_it);
    assert_eq!((dropped.status, &*dropped.err), (0, "dropped generation 3\n"));
    let (file, wal) = bytes(&ledger);
    assert!(file < 1_000_000 && wal == 0, "{file} and {wal} bytes");
    let unknown = run(ledger.directory.path(), &drop_it);
    assert_eq!(unknown.status, 1, "{}", unknown.err);

    // Whoever was making it learns that it is gone, and writes nothing.
    let nothing = FoldBatch::default();
    let late =
        store.read_model.fold_commit(&lease, Position(1), Position(2), [0; 32], &nothing).await;
    assert_eq!(late.unwrap(), FoldOutcome::Fenced);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_swap_gives_the_space_of_what_is_outdated_back() {
    let ledger = of_two_generations().await;
    let store = &ledger.store;
    let lease = build(store).await;
    store.read_model.generation_complete(&lease, None).await.unwrap();
    rebuild(store, &Logic::default()).await;
    let (before, _) = bytes(&ledger);
    rebuild(store, &strict()).await;
    let (after, wal) = bytes(&ledger);
    assert!(before > 8_000_000 && after + wal < 1_000_000, "{before}, {after}, {wal} bytes");
}
