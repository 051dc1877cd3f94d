//! The store, through its public verbs, and through SQL where the file itself must hold a promise.

mod access;
mod sqlite_only {
    mod log_faults;
    #[cfg(unix)]
    mod private;
}
pub(crate) mod log;
pub(crate) mod read_model;

use std::time::Duration;

use subledger::clock::Clock;
use subledger::ids::Scope;
use subledger::store::{
    BeginOutcome, DatabaseUrl, EventFacts, EventSource, Generation, GenerationLogic, Lease,
    NewEvent, OpenMode, Store,
};
use subledger::time::{ReceivedAt, StripeTime};
use tempfile::TempDir;
use tokio_util::task::AbortOnDropHandle;

use crate::raw;

/// Time at which the clocks of these tests stand: 2026-01-01T00:00:00Z.
pub(crate) const NOON: ReceivedAt = ReceivedAt(1_767_225_600_000_000);

/// A ledger in a directory of its own, which goes when the test ends.
pub(crate) struct Ledger {
    pub(crate) directory: TempDir,
    pub(crate) url: DatabaseUrl,
    pub(crate) store: Store,
}

impl Ledger {
    pub(crate) async fn new() -> Self {
        Self::with_clock(Clock::fixed(NOON)).await
    }

    pub(crate) async fn with_clock(clock: Clock) -> Self {
        Self::in_folder(tempfile::tempdir().unwrap(), clock).await
    }

    /// Ledger on PostgreSQL, whichever database the other tests run on.
    pub(crate) async fn on_postgres() -> Self {
        Self::in_folder(crate::folder_on_postgres(), Clock::fixed(NOON)).await
    }

    async fn in_folder(directory: TempDir, clock: Clock) -> Self {
        let url = crate::database(directory.path());
        let store = Store::open(&url, OpenMode::Create, clock).await.unwrap();
        Self { directory, url, store }
    }

    /// Another handle on the same files, as another process would have.
    pub(crate) async fn open_again(&self) -> Store {
        Store::open(&self.url, OpenMode::Existing, Clock::fixed(NOON)).await.unwrap()
    }
}

/// Begins a generation as a process does that makes one, with a lease for so many seconds.
pub(crate) async fn begin(
    store: &Store,
    logic: &GenerationLogic,
    (holder, now, seconds): (&str, ReceivedAt, u32),
) -> (Generation, Lease) {
    let log_id = store.log.head().await.unwrap().log_id;
    let begun = store.read_model.generation_begin(None, logic, &log_id, holder, now, seconds);
    match begun.await.unwrap() {
        BeginOutcome::Started(generation, lease) => (generation, lease),
        BeginOutcome::AlreadyBuilding(other) => panic!("somebody makes generation {}", other.id),
        BeginOutcome::LayerIsGone(_) => unreachable!("it begins its own layer"),
    }
}

/// Renews a lease as a process does that lives, until this is dropped.
pub(crate) fn keep_alive(store: &Store, lease: &Lease) -> AbortOnDropHandle<()> {
    let (model, lease) = (store.read_model.clone(), lease.clone());
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            model.lease_renew(&lease, Clock::System.now(), 10).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }))
}

/// Runs SQL that must fail, and answers with the message.
pub(crate) async fn refused(connection: &mut raw::Connection, sql: &'static str) -> String {
    connection.try_run(sql).await.expect_err(sql).to_string()
}

pub(crate) fn facts(event_id: &str) -> EventFacts {
    EventFacts {
        scope: Scope { account: "".into(), livemode: true },
        event_id: event_id.into(),
        event_type: "customer.updated".to_owned(),
        api_version: Some("2020-08-27".to_owned()),
        created: StripeTime(1_767_225_599),
        created_nanos: 0,
    }
}

pub(crate) fn event(event_id: &str, payload: &str) -> NewEvent {
    let signature = Some("t=1,v1=00".to_owned());
    NewEvent::new(facts(event_id), EventSource::Webhook, signature, payload.to_owned()).unwrap()
}
