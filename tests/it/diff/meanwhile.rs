//! The log does not stand still while two generations are compared, and what arrives is no effect of
//! the rules.

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::Projector;
use subledger::simulate::{self, Plan};

use super::{append, dry_run, ledger, policy};
use crate::ledger::{open, rows};

#[tokio::test(flavor = "multi_thread")]
async fn customers_of_whom_only_one_generation_knows_the_latest_are_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let store = ledger(folder.path()).await;
    // Nobody folds the live generation: it stays behind.
    append(&store, &[("sub_2", "user_2", "unpaid"), ("sub_6", "user_6", "active")]).await;
    let diff = dry_run(&store, &policy("grant = []")).await;
    let counts = &diff.summary.counts;
    assert_eq!((counts.left_out, counts.appear, counts.change, counts.same), (2, 0, 2, 2));
    assert_eq!(diff.summary.position.0, 5);
    let changed: Vec<&str> = diff.changed.iter().map(|it| it.subscription.as_str()).collect();
    assert_eq!(changed, ["sub_1", "sub_3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn under_the_same_rules_nothing_differs_however_fast_events_arrive() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulate::simulate(&Plan { seed: 21, subscriptions: 60, ..Plan::default() });
    let (before, meanwhile) = simulation.events.split_at(simulation.events.len() / 3);
    crate::ledger::append(&store, before).await;
    let projector = Projector::start(store.clone(), Logic::default(), Clock::System);
    projector.handle().reached(store.log.head().await.unwrap().size).await;

    let (appending, meanwhile) = (store.clone(), meanwhile.to_vec());
    let appended = tokio::spawn(async move {
        for few in meanwhile.chunks(7) {
            crate::ledger::append(&appending, few).await;
        }
    });
    let mut compared = 0;
    loop {
        let is_last = appended.is_finished();
        let diff = dry_run(&store, &Logic::default()).await;
        assert_eq!(diff.lines(), [""; 0], "{:?}", diff.summary);
        compared += 1;
        if is_last {
            let counts = diff.summary.counts;
            assert_eq!(counts.left_out, 0, "both have folded all");
            assert_eq!(counts.same, i64::try_from(rows(&store).await.len()).unwrap());
            break;
        }
    }
    assert!(compared > 1);
    appended.await.unwrap();
    projector.stop().await;
}
