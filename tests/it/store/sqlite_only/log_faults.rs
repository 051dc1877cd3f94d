//! Faults of a file: reported clearly, nothing half-written, and repaired if possible.

use std::fs;

use sqlx::{Connection as _, Executor as _};
use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::store::{DatabaseUrl, OpenMode, Store, StoreError};

use crate::raw;
use crate::store::log::assert_sound;
use crate::store::{Ledger, NOON, event};

async fn open(url: &DatabaseUrl, opening: OpenMode) -> Result<Store, StoreError> {
    Store::open(url, opening, Clock::fixed(NOON)).await
}

#[tokio::test]
async fn a_missing_ledger_is_said_to_be_missing() {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::from_path(directory.path().join("no.db"));
    let error = open(&url, OpenMode::Existing).await.unwrap_err();
    assert!(matches!(error, StoreError::NoLedger { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("there is no ledger at {}", url.log_path().unwrap().display())
    );
    assert!(error.hint().is_some());
    assert!(
        !url.log_path().unwrap().exists() && !url.read_path().unwrap().exists(),
        "asking makes no file"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_a_ledger_is_refused_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let text = directory.path().join("notes.txt");
    fs::write(&text, "not a database, but long enough to be looked at as one ".repeat(40)).unwrap();
    let stranger = directory.path().join("stranger.db");
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(&stranger);
    let mut connection =
        sqlx::SqliteConnection::connect_with(&options.create_if_missing(true)).await.unwrap();
    connection.execute("CREATE TABLE theirs (x)").await.unwrap();
    for (path, reason) in [
        (text, "it is not a ledger"),
        (stranger, "it is a database of another program"),
        (directory.path().join("missing/ledger.db"), "does not exist"),
        (directory.path().to_owned(), "it is a directory"),
    ] {
        let error = open(&DatabaseUrl::from_path(&path), OpenMode::Create).await.unwrap_err();
        assert!(matches!(error, StoreError::CannotOpen { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
    let tables: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(tables, 1, "the other program's database is as it was");
}

#[tokio::test]
async fn a_ledger_of_a_newer_program_is_left_alone() {
    let ledger = Ledger::new().await;
    raw::log(&ledger.url)
        .await
        .run("INSERT INTO _sqlx_migrations VALUES (99, 'later', '2030-01-01', TRUE, x'00', 0)")
        .await;
    let error = open(&ledger.url, OpenMode::Create).await.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error:?}");
}

#[tokio::test]
async fn a_locked_log_is_unavailable_and_works_again_when_the_lock_is_gone() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", "")]).await.unwrap();
    let mut other = raw::log(&ledger.url).await;
    other.run("BEGIN IMMEDIATE").await;
    let batch = [event("evt_2", "")];
    let (append, check) = tokio::join!(log.append(&batch), async {
        ledger.open_again().await.log.check_append().await
    });
    assert!(append.unwrap_err().is_unavailable());
    assert!(check.unwrap_err().is_unavailable());
    other.run("ROLLBACK").await;
    log.check_append().await.unwrap();
    assert_eq!(log.append(&[event("evt_3", "")]).await.unwrap()[0].position, Position(2));
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn a_failure_in_the_middle_of_a_batch_leaves_nothing_of_it() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", "")]).await.unwrap();
    raw::log(&ledger.url)
        .await
        .run("CREATE TRIGGER fault BEFORE INSERT ON events WHEN NEW.event_id = 'evt_400' BEGIN SELECT RAISE(ABORT, 'fault'); END")
        .await;
    let batch: Vec<_> = (2..=600).map(|it| event(&format!("evt_{it}"), "")).collect();
    assert!(log.append(&batch).await.is_err());
    assert_eq!(log.head().await.unwrap().size, Position(1));
    raw::log(&ledger.url).await.run("DROP TRIGGER fault").await;
    log.append(&batch).await.unwrap();
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn an_append_that_is_cancelled_leaves_a_log_that_works() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    let batch: Vec<_> = (1..=300).map(|it| event(&format!("evt_{it}"), "")).collect();
    for polls in 1..12 {
        let mut append = Box::pin(log.append(&batch));
        for _ in 0..polls {
            let once = std::future::poll_fn(|context| {
                std::task::Poll::Ready(append.as_mut().poll(context).is_ready())
            });
            if once.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(append);
    }
    log.append(&batch).await.unwrap();
    assert_eq!(log.head().await.unwrap().size, Position(300));
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn a_log_whose_file_was_moved_away_takes_no_event() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", "")]).await.unwrap();
    let aside = ledger.directory.path().join("aside.db");
    fs::rename(ledger.url.log_path().unwrap(), &aside).unwrap();
    assert!(log.append(&[event("evt_2", "")]).await.unwrap_err().is_unavailable());
    assert!(log.check_append().await.unwrap_err().is_unavailable());
    fs::copy(&aside, ledger.url.log_path().unwrap()).unwrap();
    assert!(log.append(&[event("evt_2", "")]).await.unwrap_err().is_unavailable());
    fs::rename(&aside, ledger.url.log_path().unwrap()).unwrap();
    log.append(&[event("evt_2", "")]).await.unwrap();
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn the_write_ahead_log_stays_short_even_with_a_reader_that_never_lets_go() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    let wal = ledger.directory.path().join("subledger.db-wal");
    let payload = "x".repeat(1024 * 1024);
    let mut events = (1..).map(|it| event(&format!("evt_{it}"), &payload));
    for _ in 0..10 {
        log.append(&events.by_ref().take(10).collect::<Vec<_>>()).await.unwrap();
    }
    let mib = |path| fs::metadata(path).unwrap().len() / 1024 / 1024;
    assert!(mib(&wal) < 40, "{} MiB", mib(&wal));

    let mut reader = raw::log(&ledger.url).await;
    reader.run("BEGIN; SELECT count(*) FROM events").await;
    for _ in 0..9 {
        log.append(&events.by_ref().take(10).collect::<Vec<_>>()).await.unwrap();
    }
    let pinned = mib(&wal);
    assert!(pinned > 80, "{pinned} MiB");
    reader.run("COMMIT").await;
    for _ in 0..10 {
        log.append(&events.by_ref().take(10).collect::<Vec<_>>()).await.unwrap();
    }
    assert!(mib(&wal) <= pinned + 11, "{} MiB after {pinned}", mib(&wal));
}

#[tokio::test]
async fn what_is_committed_is_answered_so_even_where_the_checkpoint_after_it_fails() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    let payload = "x".repeat(1024 * 1024);
    let mut events = (1..).map(|it| event(&format!("evt_{it}"), &payload));
    let mut batch = || events.by_ref().take(10).collect::<Vec<_>>();
    for _ in 0..5 {
        log.append(&batch()).await.unwrap();
    }
    // The file loses what was moved into it: the next checkpoint, due after one more batch, finds
    // it damaged, while the commit only writes to the write-ahead log.
    let file = fs::OpenOptions::new().write(true).open(ledger.url.log_path().unwrap()).unwrap();
    assert!(file.metadata().unwrap().len() > 30 * 1024 * 1024);
    file.set_len(0).unwrap();
    log.append(&batch()).await.unwrap();
    assert_eq!(*log.appended().borrow(), Position(60));
    assert_eq!(file.metadata().unwrap().len(), 0, "the checkpoint moved nothing");
}
