//! A log that lost events is refused beside a read model that knows them.

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::find_lost_log;

use crate::app::server::Event;
use crate::ledger::{follow_to_the_end, new_event, open};

mod sqlite_only;

/// A folder with a ledger whose read model has folded two events.
async fn folded() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    for id in ["evt_1", "evt_2"] {
        store.log.append(&[new_event(&Event { id, ..Event::default() }.body())]).await.unwrap();
    }
    follow_to_the_end(&store, &Logic::default()).await;
    store.close().await;
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_is_whole_or_new_is_not_lost() {
    let folder = folded().await;
    for folder in [folder.path(), tempfile::tempdir().unwrap().path()] {
        let lost = find_lost_log(&crate::database(folder), &Clock::System).await;
        assert_eq!(lost.unwrap(), None);
    }
}
