//! Permissions of a ledger's files: only their owner can read them, whatever the umask.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use subledger::clock::Clock;
use subledger::store::{OpenMode, Store};

/// The permissions of every file in a folder, by name.
fn modes(folder: &Path) -> Vec<(String, u32)> {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        (entry.file_name().into_string().unwrap(), mode)
    });
    let mut modes: Vec<_> = files.collect();
    modes.sort();
    modes
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn every_file_that_is_made_is_its_owners_alone_also_without_a_umask() {
    let folder = tempfile::tempdir().unwrap();
    let script = r#"umask 000 && echo '' > none.jsonl && chmod 600 none.jsonl &&
        "$0" import none.jsonl && "$0" rebuild && "$0" backup copy.db && "$0" log keygen"#;
    let mut shell = Command::new("sh");
    shell.current_dir(folder.path()).env_remove("DATABASE_URL");
    let ran = shell.args(["-c", script, env!("CARGO_BIN_EXE_subledger")]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let modes = modes(folder.path());
    let names: Vec<_> = modes.iter().map(|it| it.0.as_str()).collect();
    let expected = ["copy.db", "none.jsonl", "subledger.db", "subledger.key", "subledger.read.db"];
    assert_eq!(names, expected);
    assert!(modes.iter().all(|it| it.1 == 0o600), "{modes:?}");
}

/// SQLite makes `-wal` and `-shm` with the mode of their file.
#[tokio::test]
async fn the_files_beside_them_are_as_private_and_a_mode_that_somebody_gave_stays() {
    let folder = tempfile::tempdir().unwrap();
    let url = crate::database(folder.path());
    let store = Store::open(&url, OpenMode::Create, Clock::System).await.unwrap();
    let private = modes(folder.path());
    for suffix in ["db", "db-wal", "db-shm", "read.db", "read.db-wal", "read.db-shm"] {
        assert!(private.contains(&(format!("subledger.{suffix}"), 0o600)), "{private:?}");
    }
    assert_eq!(private.len(), 6, "{private:?}");
    assert!(store.files_readable_by_all().is_empty());
    store.close().await;

    // A group of auditors may have been let in.
    set_mode(&folder.path().join("subledger.read.db"), 0o640);
    set_mode(&folder.path().join("subledger.db"), 0o644);
    let store = Store::open(&url, OpenMode::Create, Clock::System).await.unwrap();
    let shared = modes(folder.path());
    assert!(shared.contains(&("subledger.read.db".to_owned(), 0o640)), "{shared:?}");
    assert_eq!(store.files_readable_by_all(), [folder.path().join("subledger.db")]);
    store.close().await;
}

#[tokio::test]
async fn a_read_model_that_is_made_anew_is_as_private() {
    let folder = tempfile::tempdir().unwrap();
    let url = crate::database(folder.path());
    let path = url.read_path().unwrap();
    std::fs::write(&path, vec![7; 50_000]).unwrap();
    set_mode(&path, 0o666);
    let store = Store::open(&url, OpenMode::Create, Clock::System).await.unwrap();
    store.close().await;
    assert!(modes(folder.path()).iter().all(|it| it.1 == 0o600), "{:?}", modes(folder.path()));
}
