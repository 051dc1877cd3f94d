//! A rebuild for which there is no room: a limit of the system on the size of its files, under which a write
//! fails as it does on a full disk, and which needs no rights to set.
#![cfg(unix)]

use std::path::Path;
use std::process::Command;

use subledger::store::GenerationStatus;

use crate::app::commands::{Ran, ran, run};
use crate::app::server::{Event, TestServer, options};
use crate::rebuild::{STRICT, bytes, ledger, statuses};

/// Runs the binary with no file of it growing beyond so many bytes.
fn run_limited(folder: &Path, bytes: u64, arguments: &[&str]) -> Ran {
    // The signal of that limit ends a program that does not ignore it. Blocks are of 512 bytes.
    let script = format!("trap '' XFSZ; ulimit -f {}; exec \"$0\" \"$@\"", bytes / 512);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_subledger")]).args(arguments);
    ran(&command.current_dir(folder).env_clear().output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_so_and_gives_its_space_back_while_the_live_generation_serves_on() {
    // Customers take room, and there are few events of each.
    let ledger = ledger(6_000, 3_000).await;
    ledger.store.close().await;
    let folder = ledger.directory.path().to_owned();
    std::fs::write(folder.join("strict.toml"), STRICT).unwrap();
    let (file, log) = (folder.join("subledger.read.db"), folder.join("subledger.db"));
    let (size_before, log_before) = (bytes(&file), std::fs::read(&log).unwrap());

    let server = TestServer::run(ledger.directory, options(&folder)).await;
    server.caught_up().await;
    // Early, in the middle, and where most of it is made. The write-ahead log takes it all first.
    let from_log = ["rebuild", "--policy", "strict.toml", "--from-log"];
    for limit in [size_before / 8, size_before / 2, size_before * 3 / 4] {
        let ran = run_limited(&folder, limit, &from_log);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(ran.status, 3, "{limit} bytes: {}", ran.err);
        let told =
            "error: a file of the ledger cannot grow: its disk is full, or a limit is reached (";
        let is_told = lines.iter().any(|it| it.starts_with(told) && it.contains("SQLite error"));
        assert!(is_told, "{limit} bytes: {}", ran.err);
        assert!(ran.err.contains("hint: ") && ran.err.contains("free space"), "{}", ran.err);
        assert_eq!(statuses(server.store()).await, [(1, GenerationStatus::Live)], "{}", ran.err);
        assert_eq!(server.get("/v1/subscriptions?limit=1").await.status(), 200);
    }
    assert_eq!(server.store().log.head().await.unwrap().size.0, 6_000);
    server.receive(Event::default().body()).await;
    let directory = server.stop().await;
    let size = bytes(&file);
    assert!(size <= size_before + 512 * 1024, "{size} bytes, {size_before} before");
    let log_after = std::fs::read(&log).unwrap();
    assert!(log_after.len() >= log_before.len());

    // Also where the rows are made from the states. What could not be dropped is dropped by the next rebuild.
    let from_states = ["rebuild", "--policy", "strict.toml"];
    let ran = run_limited(&folder, size_before / 4, &from_states);
    assert!(ran.status == 3 && ran.err.contains("free space"), "{}", ran.err);
    let store = crate::ledger::open(directory.path()).await;
    assert_eq!(statuses(&store).await[0], (1, GenerationStatus::Live), "{}", ran.err);
    store.close().await;

    // With room it goes through.
    assert_eq!(run(directory.path(), &from_states).status, 0);
    let store = crate::ledger::open(directory.path()).await;
    let left = statuses(&store).await;
    assert!(left.iter().all(|(_, it)| *it != GenerationStatus::Building), "{left:?}");
    store.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_file_without_room_is_told_with_its_directory() {
    let ledger = ledger(6_000, 3_000).await;
    ledger.store.close().await;
    let folder = ledger.directory.path();
    let rebuild = ["rebuild", "--from-log", "--memory", "16MiB"];
    // That file grows first.
    let limit = bytes(&folder.join("subledger.read.db")) / 8;
    let ran = run_limited(folder, limit, &rebuild);
    assert_eq!(ran.status, 3, "{}", ran.err);
    let told = "the temporary file of the rebuild in .: File too large";
    assert!(ran.err.contains(told) && ran.err.contains("free space"), "{}", ran.err);
    let store = ledger.open_again().await;
    assert_eq!(statuses(&store).await, [(1, GenerationStatus::Live)], "{}", ran.err);
    store.close().await;
    // With room it goes through.
    assert_eq!(run(folder, &rebuild).status, 0);
    assert_eq!(std::fs::read_dir(folder).unwrap().count(), 2, "no other file is left");
}
