//! The commands, as a shell runs them: output, exit status, and what is said when it goes wrong.

mod sqlite_only;

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use super::server::Event;
use super::snapshots;
use crate::raw;

/// The binary with an empty environment, in a directory of its own.
pub(crate) fn subledger(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_subledger"));
    command.current_dir(directory).env_clear().args(arguments);
    if let Some(url) = crate::address(directory) {
        command.env("DATABASE_URL", url);
    }
    command
}

pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn run(directory: &Path, arguments: &[&str]) -> Ran {
    ran(&subledger(directory, arguments).output().unwrap())
}

pub(crate) fn ran(output: &Output) -> Ran {
    Ran {
        status: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

/// Imports events from a file `events.jsonl`, one on a line.
pub(crate) fn import(directory: &Path, bodies: &[String]) {
    let mut lines = String::new();
    for body in bodies {
        writeln!(lines, "{}", serde_json::from_str::<serde_json::Value>(body).unwrap()).unwrap();
    }
    std::fs::write(directory.join("events.jsonl"), lines).unwrap();
    let imported = run(directory, &["import", "events.jsonl"]);
    assert_eq!(imported.status, 0, "{}", imported.err);
}

/// Ledger of imported events, with a live read model, in a directory of its own.
pub(crate) fn imported(bodies: &[String]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    import(directory.path(), bodies);
    let rebuilt = run(directory.path(), &["rebuild"]);
    assert_eq!(rebuilt.status, 0, "{}", rebuilt.err);
    directory
}

/// Ledger of two ended subscriptions. Their rows do not depend on the current date.
fn ledger() -> TempDir {
    let event = |(id, subscription, user)| {
        Event { id, subscription, user, status: "canceled", ..Event::default() }.body()
    };
    imported(&[("evt_1", "sub_1", "user_1"), ("evt_2", "sub_2", "user_2")].map(event))
}

/// Changes the read models of a ledger behind its back.
pub(crate) fn edit(directory: &Path, sql: &str) {
    let url = crate::database(directory);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut connection = raw::read(&url).await;
        connection.run(sql).await;
        connection.close().await;
    });
}

#[test]
fn rows_are_written_as_a_table_as_json_and_as_csv() {
    let directory = ledger();
    let of = |arguments: &[&str]| {
        let ran = run(directory.path(), arguments);
        assert_eq!((ran.status, &*ran.err), (0, ""), "{arguments:?}");
        ran.out
    };
    let current = of(&["current"]);
    let history = of(&["history", "user_1", "--format", "csv"]);
    assert!(current.lines().all(|line| line.chars().count() <= 100), "{current}");
    snapshots().bind(|| {
        insta::assert_snapshot!("cli_current", current);
        insta::assert_snapshot!("cli_current_csv", of(&["current", "--format", "csv"]));
        insta::assert_snapshot!("cli_history", of(&["history", "sub_1"]));
    });
    assert_eq!(history.lines().count(), 2, "{history}");

    let json: serde_json::Value =
        serde_json::from_str(&of(&["current", "--user", "user_2", "--format", "json"])).unwrap();
    assert_eq!(json["data"].as_array().unwrap().len(), 1);
    assert_eq!(json["data"][0]["subscription_id"], "sub_2");
    let active = run(directory.path(), &["current", "--active", "--format", "csv"]);
    assert_eq!((active.status, active.out.lines().count()), (0, 1));
    let event: serde_json::Value = serde_json::from_str(&of(&["event", "evt_2"])).unwrap();
    assert_eq!((&event["position"], &event["source"]), (&2.into(), &"import".into()));
    assert!(of(&["event", "evt_2", "--payload"]).starts_with('{'));
    let listed = of(&["projections", "list"]);
    assert!(listed.contains("live"));
    assert_eq!(of(&["projections"]), listed);
    let told = of(&["history", "sub_1", "--format", "json"]);
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(told["state"][0]["active"], false);
    assert!(of(&["verify"]).ends_with("no difference\n"));
}

#[test]
fn the_help_names_every_setting_and_each_commands_own() {
    let directory = tempfile::tempdir().unwrap();
    let help = run(directory.path(), &["--help"]);
    assert_eq!(help.status, 0);
    for name in [
        "DATABASE_URL",
        "--database",
        "STRIPE_WEBHOOK_SECRET",
        "STRIPE_WEBHOOK_SECRET_FILE",
        "SUBLEDGER_API_TOKEN_FILE",
        "SUBLEDGER_ACCESS_TOKEN_FILE",
        "SUBLEDGER_LISTEN",
        "SUBLEDGER_API_TOKEN",
        "SUBLEDGER_TOLERANCE_SECONDS",
        "SUBLEDGER_MODE",
        "SUBLEDGER_PRIVATE_LISTEN",
        "SUBLEDGER_ACCESS_TOKEN",
        "SUBLEDGER_NO_AUTO_REBUILD",
        "SUBLEDGER_USER_KEY",
        "SUBLEDGER_POLICY",
        "SUBLEDGER_SIGNING_KEY",
        "SUBLEDGER_SIGNING_KEY_FILE",
        "SUBLEDGER_VERIFIER_KEY",
        "SUBLEDGER_CHECKPOINT_FILE",
        "SUBLEDGER_CHECKPOINT_EVERY_SECONDS",
        "SUBLEDGER_LOG",
        "SUBLEDGER_LOG_FORMAT",
    ] {
        assert!(help.out.contains(name), "{name} is not in\n{}", help.out);
    }
}

#[test]
fn a_port_in_use_is_said_and_leaves_no_ledger_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let directory = tempfile::tempdir().unwrap();
    let mut serve = subledger(directory.path(), &["serve", "--listen", &address]);
    let ran = ran(&serve.env("STRIPE_WEBHOOK_SECRET", "whsec_x").output().unwrap());
    assert_eq!(ran.status, 3, "{}", ran.err);
    assert!(ran.err.contains(&address) && ran.err.contains("--listen"), "{}", ran.err);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    let arguments = ["simulate", "--subscriptions", "40", "--out", "-"];
    let mut child = subledger(directory.path(), &arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = ran(&child.wait_with_output().unwrap());
    assert_eq!((ran.status, &*ran.err), (0, ""));
}

mod run_once {
    use super::*;

    /// The demo compares every row with the simulator's truth and says no where one differs.
    #[test]
    fn the_demo_runs_with_nothing_set_up_and_ends_equal_to_the_truth() {
        let directory = tempfile::tempdir().unwrap();
        let ran = run(directory.path(), &["demo", "--once", "--until", "2026-06-01T00:00:00Z"]);
        assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
        crate::readme::assert_shows_parts_of_the_demo(&ran.out);
        let (_, compared) = ran.out.split_once("the expected state: ").unwrap();
        let numbers: Vec<usize> =
            compared.split(' ').filter_map(|word| word.parse().ok()).collect();
        assert!(numbers[0] > 250 && numbers[0] == numbers[1], "{compared}");
        assert!(ran.out.contains("curl -s -H \"Authorization: Bearer $TOKEN\""), "{}", ran.out);
        assert!(ran.out.contains("invoice.payment_failed"), "{}", ran.out);
        let late = |line: &str| line.split_whitespace().any(|word| word == "late");
        assert!(ran.out.lines().any(late), "{}", ran.out);
        let widest =
            ran.out.lines().filter(|it| !it.contains("curl")).map(|it| it.chars().count()).max();
        assert!(widest <= Some(100), "{}", ran.out);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
