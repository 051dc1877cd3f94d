//! Commands that read leave a ledger as it is, and read it where nothing can be written.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use super::super::*;
use super::backup::READS;
use crate::app::commands::{ran, subledger};

/// Somebody who owns nothing: root may write everywhere.
const NOBODY: u32 = 65_534;

fn as_nobody(directory: &Path, arguments: &[&str]) -> Ran {
    // The binary may lie where nobody else may look.
    let mut command = subledger(directory, arguments);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    ran(&command.output().unwrap())
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Files of a directory with their contents.
fn contents(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

/// Takes away the right to write, and gives it back when dropped.
struct Sealed<'a>(&'a Path);

impl<'a> Sealed<'a> {
    fn new(directory: &'a Path) -> Self {
        for file in std::fs::read_dir(directory).unwrap() {
            set_mode(&file.unwrap().path(), 0o444);
        }
        set_mode(directory, 0o555);
        Self(directory)
    }
}

impl Drop for Sealed<'_> {
    fn drop(&mut self) {
        set_mode(self.0, 0o755);
    }
}

fn reads_of<'a>(subscription: &'a str, event: &'a str) -> Vec<Vec<&'a str>> {
    let name = |it: &&'a str| match *it {
        "sub_1" => subscription,
        "evt_1" => event,
        other => other,
    };
    let reads = READS.iter().filter(|it| it[0] != "backup");
    reads.map(|it| it.iter().map(name).collect()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_is_read_where_nothing_can_be_written() {
    let (directory, _, store) = folded().await;
    let subscription = rows(&store).await.remove(0).subscription_id;
    let event = store.log.events_at(&[Position(1)]).await.unwrap().remove(0).facts.event_id;
    store.close().await;
    let path = directory.path();
    let _sealed = Sealed::new(path);
    let before = contents(path);
    let others = tempfile::tempdir().unwrap();
    set_mode(others.path(), 0o777);
    for arguments in reads_of(subscription.as_str(), event.as_str()) {
        let ran = as_nobody(path, &arguments);
        let is_of_live_mode = !matches!(arguments[0], "history" | "explain");
        let expected: &[i32] = if is_of_live_mode { &[0] } else { &[0, 1] };
        assert!(expected.contains(&ran.status), "{arguments:?}: {}{}", ran.out, ran.err);
    }
    let copy = others.path().join("copy.db");
    let ran = as_nobody(path, &["backup", copy.to_str().unwrap()]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(contents(path) == before, "a file was changed");
}

/// The last commits may be in the write-ahead log only, so it must not be ignored.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_ahead_log_that_cannot_be_read_is_named() {
    let (directory, _, store) = folded().await;
    let copy = tempfile::tempdir().unwrap();
    for file in ["subledger.db", "subledger.db-wal"] {
        // As a copy of the files of a running service is.
        std::fs::copy(directory.path().join(file), copy.path().join(file)).unwrap();
    }
    assert!(std::fs::metadata(copy.path().join("subledger.db-wal")).unwrap().len() > 0);
    {
        let _sealed = Sealed::new(copy.path());
        let before = contents(copy.path());
        let ran = as_nobody(copy.path(), &["export"]);
        assert_eq!(ran.status, 3, "{}", ran.err);
        assert!(
            ran.err.contains("subledger.db-wal cannot be read on a read-only medium"),
            "{}",
            ran.err
        );
        assert!(contents(copy.path()) == before);
    }
    let ran = run_to(&copy, &["export"], 0, "");
    assert_eq!(lines(&ran), store.log.head().await.unwrap().size.0);
    let log = std::fs::read(directory.path().join("subledger.db")).unwrap();
    assert!(std::fs::read(copy.path().join("subledger.db")).unwrap() == log, "it was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_of_an_older_program_is_not_migrated_by_whoever_reads_it() {
    let directory = tempfile::tempdir().unwrap();
    raw::lay_out_0_1_0(directory.path());
    let before = contents(directory.path());
    for arguments in reads_of("sub_1", "evt_1") {
        let ran = run(directory.path(), &arguments);
        assert_eq!(ran.status, 3, "{arguments:?}: {}", ran.err);
        assert!(ran.err.contains("was made by an older version of this program"), "{}", ran.err);
        assert!(contents(directory.path()) == before, "{arguments:?}");
    }
    run_to(&directory, &["rebuild"], 0, "");
    run_to(&directory, &["verify"], 0, "");
}

/// Beside a service that runs, the same files are read.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_has_just_committed_is_read() {
    let (directory, _, store) = folded().await;
    let size = store.log.head().await.unwrap().size.0;
    let before = lines(&run_to(&directory, &["export"], 0, ""));
    store.log.append(&[crate::store::event("evt_last", "{}")]).await.unwrap();
    let after = lines(&run_to(&directory, &["export"], 0, ""));
    assert_eq!((before, after), (size, size + 1));
}
