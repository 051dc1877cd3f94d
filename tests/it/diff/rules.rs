//! Changed rules show whom they concern, and a dry run changes nothing.

use subledger::projection::Logic;
use subledger::projector::RebuildMode;
use subledger::store::AccessEffect;

use super::{dry_run, ledger, run};
use crate::ledger::{open, policy, rows};

#[tokio::test(flavor = "multi_thread")]
async fn a_status_that_is_denied_and_one_that_is_granted_show_exactly_who_loses_and_who_gains() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    let diff = dry_run(&store, &policy("grant = [\"active\", \"past_due\", \"unpaid\"]")).await;
    assert_eq!(
        diff.lines(),
        [
            "sub_2 Changes Loses: entitled: true -> false, \
             entitled_until: \"2026-04-29T23:00:00Z\" -> null",
            "sub_4 Changes Gains: entitled: false -> true, \
             entitled_until: null -> \"2026-04-29T23:00:00Z\"",
        ]
    );
    let counts = &diff.summary.counts;
    assert_eq!((counts.appear, counts.disappear, counts.change, counts.same), (0, 0, 2, 3));
    let access = counts.live_mode;
    assert_eq!((access.before, access.after, access.lose, access.gain), (3, 3, 1, 1));
    let fields: Vec<_> = counts.fields.iter().map(|it| (it.field, it.change)).collect();
    assert_eq!(fields, [("entitled", 2), ("entitled_until", 2)]);
    assert_eq!((diff.summary.live, diff.summary.generation), (Some(1), 2));
    assert_eq!(diff.summary.position, store.log.head().await.unwrap().size);
}

/// The field that changes is a date, and the date has passed.
#[tokio::test(flavor = "multi_thread")]
async fn fewer_days_of_grace_lose_access_at_the_instant_that_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    let diff = dry_run(&store, &policy("past_due_grace_days = 0")).await;
    assert_eq!(diff.summary.access_at.to_string(), "2026-03-01T00:00:00Z");
    assert_eq!(
        diff.lines(),
        ["sub_3 Changes Loses: \
          entitled_until: \"2026-03-07T23:00:00Z\" -> \"2026-02-28T23:00:00Z\""]
    );
    let diff = dry_run(&store, &policy("past_due_grace_days = 3")).await;
    assert_eq!(diff.effects(), [AccessEffect::Same]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_key_shows_whose_subscriptions_lose_their_user() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    let logic = Logic { user_keys: vec!["account_id".to_owned()], ..Logic::default() };
    let diff = dry_run(&store, &logic).await;
    assert_eq!(diff.summary.rules, ["user keys"]);
    assert_eq!(diff.summary.counts.change, 5);
    assert_eq!(diff.changed[0].user_id.as_deref(), Some("user_1"));
    assert_eq!(
        diff.lines()[0],
        "sub_1 Changes Same: user_id: \"user_1\" -> null, \
         user_id_source: \"subscription.metadata\" -> null"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rules_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    let diff = dry_run(&store, &Logic::default()).await;
    assert_eq!((diff.summary.differing(), diff.summary.counts.same), (0, 5));
    assert!(diff.changed.is_empty() && diff.summary.counts.fields.is_empty());
    assert!(diff.summary.rules.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_leaves_generations_tables_view_and_rows_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    let url = crate::database(folder.path());
    let schema = async || crate::raw::read(&url).await.schema().await;
    let before =
        (rows(&store).await, store.read_model.generations().await.unwrap(), schema().await);
    let diff = dry_run(&store, &policy("grant = []")).await;
    assert_eq!(diff.summary.counts.live_mode.lose, 3);
    let after = (rows(&store).await, store.read_model.generations().await.unwrap(), schema().await);
    assert_eq!(before, after);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dry_run_says_is_what_the_rebuild_then_does() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    let strict = policy("grant = [\"active\"]");
    let said = dry_run(&store, &strict).await;
    let done = run(&store, &strict, RebuildMode::Swap).await.unwrap();
    assert_eq!(said.lines(), done.lines());
    assert_eq!(said.summary.counts, done.summary.counts);
    let entitled: Vec<_> = rows(&store).await.into_iter().filter(|row| row.entitled).collect();
    assert_eq!(entitled.len(), 1);
    assert_eq!(dry_run(&store, &strict).await.summary.differing(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_first_generation_everything_is_new() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    super::append(&store, &[("sub_1", "user_1", "active"), ("sub_2", "user_2", "unpaid")]).await;
    let diff = dry_run(&store, &Logic::default()).await;
    assert_eq!((diff.summary.live, diff.summary.counts.appear), (None, 2));
    assert_eq!(diff.summary.counts.live_mode.gain, 1);
    assert!(diff.changed.is_empty());
    assert!(store.read_model.generations().await.unwrap().is_empty());
}
