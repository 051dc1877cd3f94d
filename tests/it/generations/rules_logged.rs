//! The log of a server names the rules that it replaces, and those that another process made live.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::of_two_generations;
use crate::app::commands::{run, subledger};
use crate::app::server::SECRET;

/// Running server, and the lines of its log.
struct Served {
    child: Child,
    lines: Receiver<String>,
    said: String,
}

/// Time after which a line that does not come is a failure.
const PATIENCE: Duration = Duration::from_mins(1);

impl Served {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let serve = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let mut command = subledger(folder, &serve);
        command.env("STRIPE_WEBHOOK_SECRET", SECRET).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line + "\n"))
        });
        Self { child, lines, said: String::new() }
    }

    /// The next line with these words.
    fn line(&mut self, words: &str) -> String {
        loop {
            let next = self.lines.recv_timeout(PATIENCE);
            let line = next.unwrap_or_else(|_| panic!("no line with {words:?}:\n{}", self.said));
            self.said.push_str(&line);
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits until it follows the live generation and knows that no rebuild is running any more: it may still follow the
    /// former one when the new one is logged as live.
    async fn ready(&mut self) {
        if !self.said.contains("listening on http://") {
            self.line("listening on http://");
        }
        let (_, address) = self.said.split_once("listening on http://").unwrap();
        let url = format!("http://{}/readyz", address.split(',').next().unwrap());
        let wait = async {
            loop {
                let answer = crate::client().get(&url).send().await.unwrap();
                let is_ready = answer.status().is_success();
                if is_ready && !answer.text().await.unwrap().contains("building ") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.expect("it becomes ready");
    }

    /// Ends it, and returns all that it said.
    fn stop(mut self) -> String {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").arg(&id).status().unwrap().success());
        self.line("stopped");
        std::mem::take(&mut self.said)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_be_replaced_is_warned_of_before_the_rebuild_with_the_ways_to_keep_it() {
    let ledger = of_two_generations().await;
    let folder = ledger.directory.path();
    ledger.store.close().await;
    let mut served = Served::start(folder, &[]);
    let warning = served.line("will be replaced");
    for part in [
        "WARN generation 2 was built with other rules",
        r#"grant: ["active"] -> ["active", "past_due", "trialing"]"#,
        "`subledger projections activate 2`",
        "`subledger policy show --live > FILE`",
        "--user-key user_id`",
    ] {
        assert!(warning.contains(part), "{warning}");
    }
    served.line("rebuilding the read model");
    served.line("generation 3 is live");
    served.ready().await;
    assert_eq!(run(folder, &["projections", "activate", "2"]).status, 0);
    let next = served.line("another process");
    assert!(next.contains("generation 2, which is live instead of generation 3"), "{next}");
    let said = served.stop();
    assert_eq!(said.matches("will be replaced").count(), 1, "{said}");
    assert_eq!(said.matches("another process").count(), 1, "its own rebuild is none: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rules_that_are_shown_as_live_keep_what_a_person_rebuilt() {
    let ledger = of_two_generations().await;
    let folder = ledger.directory.path();
    ledger.store.close().await;
    let live = run(folder, &["policy", "show", "--live"]);
    assert_eq!(live.status, 0, "{}", live.err);
    std::fs::write(folder.join("live.toml"), live.out).unwrap();
    let mut served = Served::start(folder, &["--policy", "live.toml"]);
    served.ready().await;
    let said = served.stop();
    assert!(!said.contains("rebuilding") && !said.contains("will be replaced"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_activates_or_swaps_in_is_logged_with_what_differs() {
    let ledger = of_two_generations().await;
    let folder = ledger.directory.path();
    ledger.store.close().await;
    let strict = "grant = [\"active\"]";
    std::fs::write(folder.join("strict.toml"), strict).unwrap();
    std::fs::write(folder.join("three.toml"), format!("{strict}\npast_due_grace_days = 3"))
        .unwrap();
    let mut served = Served::start(folder, &["--policy", "strict.toml"]);
    served.ready().await;

    assert_eq!(run(folder, &["projections", "activate", "1"]).status, 0);
    let line = served.line("another process");
    let words = "activated generation 1, which is live instead of generation 2; what differs: \
                 grant: [\"active\"] -> [\"active\", \"past_due\", \"trialing\"]";
    assert!(line.contains("INFO") && line.contains(words), "{line}");

    let rebuilt = ["rebuild", "--policy", "three.toml", "--user-key", "id"];
    assert_eq!(run(folder, &rebuilt).status, 0);
    let line = served.line("another process");
    for part in [
        "swapped in generation 3, which is live instead of generation 1",
        "past_due_grace_days: 7 -> 3; user_keys: user_id -> id",
    ] {
        assert!(line.contains(part), "{line}");
    }
    served.stop();
}
