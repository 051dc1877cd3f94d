//! Tests of SQLite files.

use std::path::Path;
use std::time::Duration;

use subledger::ids::Position;
use subledger::projector::{FollowerState, Projector};
use subledger::service::{Options, Service, StartError};
use subledger::store::{DatabaseUrl, StoreError};

use super::*;
use crate::app::commands::{run, subledger};
use crate::app::server::{SECRET, options};

/// A way to lose a log, or the end of it.
type Loss = (&'static str, fn(&Path));

const LOSSES: [Loss; 4] = [
    ("deleted", |folder| {
        for suffix in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.join(format!("subledger.db{suffix}")));
        }
    }),
    ("emptied", |folder| std::fs::write(folder.join("subledger.db"), "").unwrap()),
    ("replaced by a new one", |folder| {
        std::fs::remove_file(folder.join("subledger.db")).unwrap();
        let other = tempfile::tempdir().unwrap();
        let imported = run(other.path(), &["import", "/dev/null"]);
        assert_eq!(imported.status, 0, "{}", imported.err);
        std::fs::copy(other.path().join("subledger.db"), folder.join("subledger.db")).unwrap();
    }),
    ("replaced by an older backup", |folder| {
        std::fs::copy(folder.join("older.db"), folder.join("subledger.db")).unwrap();
    }),
];

/// A folder as [`folded`] makes it, with a backup of its log from before the last event.
async fn folded_with_backup() -> tempfile::TempDir {
    let folder = folded().await;
    let store = open(folder.path()).await;
    store.log.backup(&folder.path().join("older.db")).await.unwrap();
    store
        .log
        .append(&[new_event(&Event { id: "evt_3", ..Event::default() }.body())])
        .await
        .unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    store.close().await;
    folder
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_log_is_refused_nothing_is_changed_and_it_can_be_accepted_by_name() {
    for (loss, lose) in LOSSES {
        let folder = folded_with_backup().await;
        lose(folder.path());
        let read_model = || std::fs::read(folder.path().join("subledger.read.db")).unwrap();
        let before = (read_model(), files(folder.path()));
        let mut serve = subledger(folder.path(), &["serve", "--listen", "127.0.0.1:0"]);
        let refused = serve.env("STRIPE_WEBHOOK_SECRET", SECRET).output().unwrap();
        let told = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{loss}: {told}");
        assert!(told.contains("--accept-new-log") && told.contains('3'), "{loss}: {told}");
        for arguments in [&["rebuild"][..], &["erase", "evt_1", "--yes"]] {
            let refused = run(folder.path(), arguments);
            assert_eq!(refused.status, 2, "{loss}: {arguments:?}: {}", refused.err);
        }
        assert!(
            (read_model(), files(folder.path())) == before,
            "{loss}: nothing is made or changed"
        );

        let options = options(folder.path());
        let accepted = Options { accept_new_log: true, ..options };
        let service = Service::start(accepted).await.unwrap();
        while service.app().projector.status().state != FollowerState::Following {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert!(service.stop().await);
    }
}

fn files(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_ahead_log_that_was_lost_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let event = |id| new_event(&Event { id, ..Event::default() }.body());
    store.log.append(&[event("evt_1")]).await.unwrap();
    store.close().await;
    let store = open(folder.path()).await;
    store.log.append(&[event("evt_2")]).await.unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    // As a copy of the files without the `-wal` of the log.
    let copy = tempfile::tempdir().unwrap();
    for name in ["subledger.db", "subledger.read.db", "subledger.read.db-wal"] {
        std::fs::copy(folder.path().join(name), copy.path().join(name)).unwrap();
    }
    store.close().await;
    let url = DatabaseUrl::from_path(copy.path().join("subledger.db"));
    let lost = find_lost_log(&url, &Clock::System).await.unwrap().unwrap();
    assert_eq!((lost.folded, lost.log_size), (Position(2), Some(Position(1))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_lost_while_it_is_followed_never_drops_the_read_model() {
    let folder = folded_with_backup().await;
    std::fs::copy(folder.path().join("older.db"), folder.path().join("subledger.db")).unwrap();
    let store = open(folder.path()).await;
    let projector = Projector::start(store.clone(), Logic::default(), Clock::System);
    let handle = projector.handle();
    while handle.status().state != FollowerState::Failing {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let live = store.read_model.live().await.unwrap().unwrap();
    assert_eq!((live.id, live.position), (1, Position(3)));
    projector.stop().await;
    assert!(StoreError::OtherLog.hint().unwrap().contains("--accept-new-log"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_refuses_says_how_much_is_lost() {
    let folder = folded().await;
    std::fs::remove_file(folder.path().join("subledger.db")).unwrap();
    let Err(StartError::LogLost(lost)) = Service::start(options(folder.path())).await else {
        panic!("it started")
    };
    assert_eq!((lost.folded, lost.log_size), (Position(2), None));
    assert!(lost.to_string().contains("built from 2 events"), "{lost}");
}
