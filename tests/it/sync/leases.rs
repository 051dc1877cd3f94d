//! Leases of an account and mode: one process at a time reads Stripe's API for it.

use std::time::Duration;

use subledger::coverage::{CoveredBy, Span};
use subledger::ids::Scope;
use subledger::lease::{HeldLease, Taken, Task};
use subledger::store::{Log, TaskLease};
use subledger::time::StripeTime;

use crate::app::commands::{ran, subledger};
use crate::ledger::open;

fn live() -> Scope {
    Scope { livemode: true, ..Scope::default() }
}

async fn take(log: &Log, task: Task) -> Taken {
    HeldLease::take(log, &live(), task).await.unwrap()
}

async fn held(log: &Log, task: Task) -> HeldLease {
    match take(log, task).await {
        Taken::Held(lease) => lease,
        Taken::Busy { task } => panic!("{task:?} is running"),
    }
}

/// A lease that nobody renews any more.
async fn abandoned(log: &Log) -> TaskLease {
    let lease = held(log, Task::Sync).await;
    lease.lease().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_renewed_is_not_taken_and_one_that_is_released_is_taken_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let lease = held(&store.log, Task::Backfill).await;
    let other = take(&store.log, Task::Sync).await;
    assert!(matches!(other, Taken::Busy { task: Some(Task::Backfill) }), "{other:?}");
    // Another account or mode is another lease.
    let test = HeldLease::take(&store.log, &Scope::default(), Task::Sync).await.unwrap();
    assert!(matches!(test, Taken::Held(_)));
    let token = lease.lease().token;
    lease.release().await.unwrap();
    assert_eq!(held(&store.log, Task::Sync).await.lease().token, token + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_not_renewed_is_taken_and_its_former_holder_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let former = abandoned(&store.log).await;
    let lease = held(&store.log, Task::Sync).await;
    let span = |to| Span { from: StripeTime(0), to: StripeTime(to), by: CoveredBy::Sync };
    let record = async |lease, to| {
        store.log.record_coverage_under(lease, &live(), span(to), None).await.unwrap()
    };
    assert!(!record(&former, 9).await);
    assert!(record(lease.lease(), 5).await);
    assert_eq!(store.log.coverage().await.unwrap()[0].complete_to(), Some(StripeTime(5)));
    assert!(!store.log.task_lease_renew(&former).await.unwrap());
    store.log.task_lease_release(&former).await.unwrap();
    assert!(store.log.task_lease_renew(lease.lease()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
#[cfg(target_os = "linux")]
async fn a_lease_of_a_process_that_has_ended_is_taken_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let name = abandoned(&store.log).await.name;
    let seen = store.log.task_lease(&name).await.unwrap().unwrap();
    // No process has this number.
    let (_, rest) = seen.holder.split_once('-').unwrap();
    let ended = format!("4194305-{rest}");
    store.log.task_lease_take(&name, &ended, Some(&seen)).await.unwrap().unwrap();
    let took = tokio::time::timeout(Duration::from_secs(4), take(&store.log, Task::Sync)).await;
    assert!(matches!(took.unwrap(), Taken::Held(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_backfill_is_refused_and_one_beside_a_sync_waits() {
    let world = crate::backfill::world::World::start(38, 3).await;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let backfill = async || {
        let mut command = subledger(folder.path(), &["backfill", "--rate", "0"]);
        let key = subledger::simulate::serve::LIVE_KEY;
        command.envs([("STRIPE_API_BASE", &*world.base), ("STRIPE_API_KEY", key)]);
        tokio::task::spawn_blocking(move || ran(&command.output().unwrap())).await.unwrap()
    };
    let lease = held(&store.log, Task::Backfill).await;
    let refused = backfill().await;
    assert_eq!(refused.status, 3, "{}", refused.err);
    let why = "a backfill of your own account in live mode is running in another process";
    assert!(refused.err.contains(why), "{}", refused.err);
    assert!(refused.err.contains("wait for it, or stop it"), "{}", refused.err);
    lease.release().await.unwrap();
    let lease = held(&store.log, Task::Sync).await;
    let sync = async {
        // Until the backfill has seen it, and then a little.
        tokio::time::sleep(Duration::from_secs(2)).await;
        lease.release().await.unwrap();
    };
    let (done, ()) = tokio::join!(backfill(), sync);
    assert_eq!(done.status, 0, "{}", done.err);
}
