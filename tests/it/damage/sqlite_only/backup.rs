//! A backup is whole or not there, and what is no ledger is said to be none.

use std::os::unix::process::ExitStatusExt as _;

use super::super::*;
use crate::app::commands::subledger;
use base64::engine::general_purpose::STANDARD;

/// Names of the files in a directory.
fn files(directory: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    // A process that ends while it closes a connection may leave these; they belong to the log.
    names.retain(|name| !name.ends_with("-wal") && !name.ends_with("-shm"));
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_a_whole_ledger_under_its_name() {
    let (directory, _, store) = folded().await;
    run_to(&directory, &["backup", "copy.db"], 0, "copied the log to copy.db");
    let ran = run_to(&directory, &["verify", "--database", "sqlite://copy.db"], 0, "");
    let head = store.log.head().await.unwrap();
    assert!(ran.out.contains(&STANDARD.encode(head.root)), "{}", ran.out);
    let before = std::fs::read(directory.path().join("copy.db")).unwrap();
    run_to(&directory, &["backup", "copy.db"], 2, "copy.db exists already");
    assert!(std::fs::read(directory.path().join("copy.db")).unwrap() == before);
    run_to(&directory, &["backup", "nowhere/copy.db"], 3, "the directory nowhere does not exist");
    assert!(files(directory.path()).iter().all(|it| !it.contains("partial")));
}

/// A limit on the size of files does to a copy what a full disk does.
#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_finds_no_room_leaves_no_file() {
    let (directory, _, store) = folded().await;
    store.close().await;
    let before = files(directory.path());
    let program = subledger(directory.path(), &[]).get_program().to_owned();
    let script = format!("trap '' XFSZ; ulimit -f 64; exec {} backup copy.db", program.display());
    let shell = std::process::Command::new("bash")
        .current_dir(directory.path())
        .env_clear()
        .args(["-c", &script])
        .output();
    let shell = shell.unwrap();
    let said = String::from_utf8_lossy(&shell.stderr);
    assert_eq!(shell.status.code(), Some(3), "{said}");
    assert!(said.contains("cannot open copy.db: it cannot be written"), "{said}");
    assert_eq!(files(directory.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_is_killed_or_stopped_leaves_nothing_that_is_taken_for_one() {
    let (directory, _, store) = folded().await;
    // Large enough that the copy is not done before the signal comes.
    let body = format!("{{\"text\":\"{}\"}}", "x".repeat(500_000));
    for number in 0..200 {
        let event = crate::store::event(&format!("evt_large_{number}"), &body);
        store.log.append(&[event]).await.unwrap();
    }
    let mut is_killed = false;
    for signal in [libc_signal("KILL"), libc_signal("TERM")] {
        let mut child = subledger(directory.path(), &["backup", "copy.db"]).spawn().unwrap();
        let began = || files(directory.path()).iter().any(|it| it.starts_with("copy.db."));
        while !began() && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        let kill =
            std::process::Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let status = child.wait().unwrap();
        let left = files(directory.path());
        if status.success() {
            // It was faster than the signal.
            assert!(left.contains(&"copy.db".to_owned()));
            std::fs::remove_file(directory.path().join("copy.db")).unwrap();
        } else {
            assert!(!left.contains(&"copy.db".to_owned()), "{left:?}");
            is_killed |= status.signal().is_some();
        }
        for partial in left.iter().filter(|it| it.ends_with(".partial")) {
            let database = format!("sqlite://{partial}");
            let ran = run(directory.path(), &["verify", "--database", &database]);
            assert!(ran.status > 1, "{}", ran.out);
            std::fs::remove_file(directory.path().join(partial)).unwrap();
        }
    }
    assert!(is_killed, "no backup was killed on its way");
}

fn libc_signal(name: &str) -> &'static str {
    match name {
        "KILL" => "-KILL",
        _ => "-TERM",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_ledger_is_said_to_be_none_and_stays_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let other = "CREATE TABLE notes (text TEXT)";
    let mut connection = {
        std::fs::write(directory.path().join("other.db"), "").unwrap();
        raw::file(&directory.path().join("other.db")).await
    };
    connection.run(other).await;
    connection.close().await;
    std::fs::write(directory.path().join("empty.db"), "").unwrap();
    std::fs::write(
        directory.path().join("text.db"),
        "no database at all, and longer than a header is".repeat(40),
    )
    .unwrap();
    let before = files(directory.path());
    let cases = [
        ("empty.db", "it is empty and not a ledger"),
        ("text.db", "it is not a ledger"),
        ("other.db", "it is a database of another program"),
        ("none.db", "there is no ledger at none.db"),
    ];
    for (file, said) in cases {
        let database = format!("sqlite://{file}");
        let bytes = std::fs::read(directory.path().join(file)).ok();
        for command in READS {
            let arguments = [command, &["--database", &database]].concat();
            let ran = run(directory.path(), &arguments);
            assert!([2, 3].contains(&ran.status), "{arguments:?}: {}", ran.err);
            assert!(ran.err.contains(said), "{arguments:?}: {}", ran.err);
            assert_eq!(std::fs::read(directory.path().join(file)).ok(), bytes, "{arguments:?}");
        }
    }
    assert_eq!(files(directory.path()), before);
}

/// Commands that only read a ledger.
pub(super) const READS: [&[&str]; 8] = [
    &["verify"],
    &["export"],
    &["current"],
    &["history", "sub_1"],
    &["explain", "sub_1"],
    &["event", "evt_1"],
    &["projections"],
    &["backup", "copy.db"],
];
