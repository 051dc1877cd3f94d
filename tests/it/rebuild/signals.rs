//! The real program, killed with `kill -9` while it makes a generation.

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use subledger::clock::Clock;

use super::{STRICT, ledger, read_model_bytes, statuses};
use crate::app::commands::{run, subledger};
use crate::app::server::SECRET;
use crate::raw;
use crate::store::Ledger;

/// Enough that a rebuild takes a while.
const EVENTS: usize = 12_000;
/// Number of times that each command is killed.
const KILLS: u32 = 6;
/// Bytes by which a file may grow: pages of the list of free pages.
const SLACK_BYTES: u64 = 64 * 1024;

fn start(folder: &Path, arguments: &[&str]) -> Child {
    subledger(folder, arguments)
        .env("STRIPE_WEBHOOK_SECRET", SECRET)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn current(folder: &Path) -> String {
    let ran = run(folder, &["current", "--format", "csv"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    ran.out
}

/// The time that a lease holds goes by. A rebuild that was done before it was killed is taken back.
async fn leases_end(folder: &Path) {
    let mut sql = raw::read(&crate::database(folder)).await;
    sql.run("UPDATE generations SET lease_until = 0").await;
    let live: i64 = sql.value("SELECT id FROM generations WHERE status = 'live'").await;
    if live != 1 {
        assert_eq!(run(folder, &["projections", "activate", "1"]).status, 0);
        assert_eq!(run(folder, &["projections", "drop", &live.to_string()]).status, 0);
        sql.run("UPDATE generations SET pinned = 0").await;
    }
    sql.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_leaves_the_live_generation_and_no_bytes() {
    let Ledger { directory, store, .. } = ledger(EVENTS, 400).await;
    let folder = directory.path().to_owned();
    store.close().await;
    std::fs::write(folder.join("strict.toml"), STRICT).unwrap();
    let (before, size_before) = (current(&folder), read_model_bytes(&folder));
    let (rebuild, serve) = (
        ["rebuild", "--policy", "strict.toml"],
        ["serve", "--listen", "127.0.0.1:0", "--policy", "strict.toml"],
    );
    // How long it takes when nobody disturbs it, and what it then makes.
    let stopwatch = Clock::stopwatch();
    assert_eq!(run(&folder, &["rebuild", "--dry-run", "--policy", "strict.toml"]).status, 0);
    let whole = stopwatch.elapsed();

    let mut left_behind = 0;
    for turn in 0..2 * KILLS {
        let mut child = start(&folder, if turn % 2 == 0 { &rebuild[..] } else { &serve[..] });
        // Spread over its length.
        tokio::time::sleep(whole.mul_f64(f64::from(turn + 1) / f64::from(2 * KILLS + 4))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        leases_end(&folder).await;
        assert_eq!(current(&folder), before, "turn {turn}");
        let listed = run(&folder, &["projections"]).out;
        left_behind += u32::from(listed.contains("no process is building it"));
    }
    assert!(left_behind >= KILLS / 2, "only {left_behind} of {} were caught at it", 2 * KILLS);

    // A program that need not rebuild drops what is left when it serves.
    let mut child = start(&folder, &["serve", "--listen", "127.0.0.1:0"]);
    let store = crate::ledger::open(&folder).await;
    let swept = async {
        while statuses(&store).await.len() > 1 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), swept).await.unwrap();
    store.close().await;
    let stopped = std::process::Command::new("kill").arg(child.id().to_string()).status().unwrap();
    assert!(stopped.success() && child.wait().unwrap().success());
    let size = read_model_bytes(&folder);
    assert!(size <= size_before + SLACK_BYTES, "{size} bytes, {size_before} before");

    assert_eq!(run(&folder, &rebuild).status, 0);
    let verified = run(&folder, &["verify"]);
    assert_eq!(verified.status, 0, "{}", verified.out);
}
