//! The live generation may have been made by an older or a newer program, and its rows are whatever
//! that program made of the log.

use subledger::projection::Logic;
use subledger::projector::{RebuildError, RebuildMode};

use super::{dry_run, ledger, run};

/// Changes the read model behind the store's back.
async fn edit(folder: &std::path::Path, sql: &str) {
    let mut connection = crate::raw::read(&crate::database(folder)).await;
    connection.run(sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_only_one_generation_has_appear_and_disappear() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    edit(
        folder.path(),
        "DELETE FROM current_subscriptions_g1 WHERE subscription_id = 'sub_1';
         UPDATE current_subscriptions_g1 SET subscription_id = 'sub_0' WHERE subscription_id = 'sub_2'",
    )
    .await;
    let diff = dry_run(&store, &Logic::default()).await;
    let decisive = "status: \"trialing\" -> null, entitled: true -> null, \
                    entitled_until: \"2026-04-29T23:00:00Z\" -> null";
    let lines = diff.lines();
    assert_eq!(lines.len(), 3);
    assert_eq!(lines[0], format!("sub_0 Disappears Loses: {decisive}"));
    assert!(lines[1].starts_with("sub_1 Appears Gains: status: null -> \"active\""));
    assert!(lines[2].starts_with("sub_2 Appears Gains: status: null -> \"trialing\""));
    let counts = diff.summary.counts;
    assert_eq!((counts.appear, counts.disappear, counts.change, counts.same), (2, 1, 0, 3));
    assert_eq!((counts.live_mode.lose, counts.live_mode.gain), (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_only_one_schema_has_are_named_and_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    edit(
        folder.path(),
        "DROP VIEW current_subscriptions;
         ALTER TABLE current_subscriptions_g1 DROP COLUMN features_truncated;
         ALTER TABLE current_subscriptions_g1 ADD COLUMN mood TEXT;
         UPDATE current_subscriptions_g1 SET mood = 'good', quantity = 2 WHERE subscription_id = 'sub_3'",
    )
    .await;
    let diff = dry_run(&store, &Logic::default()).await;
    assert_eq!(diff.summary.only_new, ["features_truncated"]);
    assert_eq!(diff.summary.only_old, ["mood"]);
    assert_eq!(diff.lines(), ["sub_3 Changes Same: quantity: 2 -> 1"]);
}

/// It is said, and the new generation is better than none.
#[tokio::test(flavor = "multi_thread")]
async fn a_generation_that_cannot_be_compared_is_replaced_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    let older = "DROP VIEW current_subscriptions;
         ALTER TABLE current_subscriptions_g1 RENAME COLUMN entitled TO granted";
    edit(folder.path(), older).await;
    let dry = run(&store, &Logic::default(), RebuildMode::DryRun).await;
    assert!(matches!(dry, Err(RebuildError::NotComparable(1))));
    assert_eq!(store.read_model.generations().await.unwrap().len(), 1);
    assert!(
        run(&store, &Logic::default(), RebuildMode::Swap).await.is_err(),
        "there is no summary"
    );
    assert_eq!(store.read_model.live().await.unwrap().unwrap().id, 3);
}
