//! `serve --no-auto-rebuild` asks before it makes the read model anew.

mod sqlite_only;

use std::path::Path;
use std::process::Output;

use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::{self, RebuildReason};

use super::of_two_generations;
use crate::app::commands::{Ran, ran, run, subledger};
use crate::app::server::SECRET;
use crate::store::Ledger;

fn serve(directory: &Path, arguments: &[&str]) -> Ran {
    let listen = ["serve", "--no-auto-rebuild", "--listen", "127.0.0.1:0"];
    let mut serve = subledger(directory, &[&listen[..], arguments].concat());
    let output: Output = serve.env("STRIPE_WEBHOOK_SECRET", SECRET).output().unwrap();
    ran(&output)
}

#[tokio::test(flavor = "multi_thread")]
async fn another_policy_is_refused_with_the_command_to_run_and_nothing_is_changed() {
    let ledger = of_two_generations().await;
    let path = ledger.directory.path();
    std::fs::write(path.join("my policy.toml"), "grant = []\n").unwrap();
    ledger.store.close().await;
    let files = || {
        let mut files: Vec<_> = std::fs::read_dir(path)
            .unwrap()
            .map(|file| file.unwrap())
            .map(|file| (file.file_name(), std::fs::read(file.path()).unwrap()))
            .collect();
        files.sort();
        files
    };
    let before = files();
    let refused = serve(path, &["--policy", "my policy.toml", "--user-key", "id,user_id"]);
    assert_eq!((refused.status, &*refused.out), (2, ""), "{}", refused.err);
    let lines: Vec<&str> = refused.err.lines().collect();
    assert!(lines[0].contains("built with another policy, user key or version"), "{}", refused.err);
    let hint = "run `subledger rebuild --policy 'my policy.toml' --user-key id,user_id`";
    assert_eq!(lines[1..], [format!("hint: {hint}")]);
    assert!(files() == before, "a file was changed");

    let arguments = ["--policy", "my policy.toml", "--user-key", "id,user_id"];
    assert_eq!(run(path, &[&["rebuild"][..], &arguments].concat()).status, 0);
    assert_eq!(reason(&ledger, &Logic::parse("grant = []\n", "id,user_id").unwrap()).await, None);
}

async fn reason(ledger: &Ledger, logic: &Logic) -> Option<RebuildReason> {
    projector::find_rebuild_reason(&ledger.url, logic, &Clock::System).await.unwrap()
}
