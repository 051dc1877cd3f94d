//! Generations side by side: going back, dropping, asking before a rebuild, and reading those that
//! another version of this program made.

mod activate;
mod consent;
mod dropped;
mod frozen;
mod other_version;
mod rebuilding;
#[cfg(unix)]
mod rules_logged;

use std::time::Duration;

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::{ProjectorHandle, Status};
use subledger::store::{DatabaseUrl, GenerationId, GenerationStatus, Store};

use crate::app::server::Event;
use crate::ledger::{new_event, rebuild, strict};
use crate::raw;
use crate::store::Ledger;

/// A ledger with one trial, whose first generation grants it access and whose second, live one, does
/// not.
async fn of_two_generations() -> Ledger {
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger.store, "evt_1", "sub_1").await;
    assert_eq!(rebuild(&ledger.store, &Logic::default()).await.generation, 1);
    assert_eq!(rebuild(&ledger.store, &strict()).await.generation, 2);
    ledger
}

/// One more subscription on trial.
async fn append(store: &Store, id: &'static str, subscription: &'static str) {
    let event = Event { id, subscription, status: "trialing", ..Event::default() };
    store.log.append(&[new_event(&event.body())]).await.unwrap();
}

async fn statuses(store: &Store) -> Vec<(GenerationId, GenerationStatus, bool)> {
    let generations = store.read_model.generations().await.unwrap();
    generations.iter().map(|it| (it.id, it.status, it.pinned)).collect()
}

/// Subscriptions whose rows grant access.
async fn granted(store: &Store) -> Vec<String> {
    let rows = crate::ledger::rows(store).await;
    rows.into_iter()
        .filter(|row| row.entitled)
        .map(|row| row.subscription_id.into_string())
        .collect()
}

/// Waits for what the follower has to notice by itself.
async fn until(projector: &ProjectorHandle, there: impl Fn(&Status) -> bool) -> Status {
    let wait = async {
        loop {
            let status = projector.status();
            if there(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let status = || projector.status();
    let noticed = tokio::time::timeout(Duration::from_mins(1), wait).await;
    noticed.unwrap_or_else(|_| panic!("not noticed: {:?}", status()))
}

/// Makes a generation one of another version of this program, with these changes to its tables.
async fn of_another_version(url: &DatabaseUrl, generation: GenerationId, changes: &str) {
    let mut sql = raw::read(url).await;
    let changes = format!(
        "UPDATE generations SET fingerprint = 'of another version', fold_version = fold_version - 1
         WHERE id = {generation}; {changes}"
    );
    sql.run(&changes).await;
}
