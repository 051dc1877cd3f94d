//! The policy at hand: checked, explained, and shown for the live generation.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};
use subledger::projection::Logic;
use subledger::projection::policy::BUILT_IN;

use super::commands::{Ran, imported, run};
use super::server::{Event, TestServer};
use super::snapshots;
use crate::ledger::rebuild;

/// A policy that differs from the built-in one, in another order and with a comment.
const OURS: &str = "# Ours\ngrant = [\"unpaid\", \"active\", \"past_due\"]\n\
                    past_due_grace_days = 1\ngrace_requires_payment = true\n\
                    user_sources = [\"subscription.metadata\", \"customer.metadata\"]\n\n\
                    [pause_collection]\nvoid = \"deny\"\n";

fn write(directory: &Path, text: &str) {
    std::fs::write(directory.join("ours.toml"), text).unwrap();
}

fn with_ours(directory: &Path, arguments: &[&str]) -> Ran {
    let ran = run(directory, arguments);
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran
}

#[test]
fn a_file_is_compared_with_the_live_policy_and_without_one_with_the_built_in() {
    let directory = imported(&[Event::default().body()]);
    let folder = directory.path();
    let check = |text: &str| {
        write(folder, text);
        with_ours(folder, &["policy", "check", "ours.toml"])
    };
    let mut shown = String::new();
    let mut show = |title: &str, Ran { out, err, .. }: Ran| {
        writeln!(shown, "=== {title}\n{out}--- stderr\n{err}").unwrap();
    };
    show("another", check(OURS));
    show("the same text", check(BUILT_IN));
    show("only a comment", check("# Ours\n"));
    write(folder, OURS);
    with_ours(folder, &["rebuild", "--policy", "ours.toml"]);
    show("back to the built-in one", check(BUILT_IN));
    show("one key", check(&OURS.replace("days = 1", "days = 2")));
    snapshots().bind(|| insta::assert_snapshot!("cli_policy_check", shown));
}

#[test]
fn what_is_live_is_shown_as_it_is_stored_and_a_file_of_it_is_the_same_policy() {
    let directory = imported(&[Event::default().body()]);
    let folder = directory.path();
    write(folder, OURS);
    with_ours(folder, &["rebuild", "--policy", "ours.toml", "--user-key", "id,user_id"]);
    let live = with_ours(folder, &["policy", "show", "--live"]);
    assert_eq!(live.out, OURS);
    assert_eq!(live.err, "generation 2 is live; its user keys: id,user_id\n");
}

#[test]
fn the_generations_name_the_rules_of_the_live_one_that_are_not_built_in() {
    let directory = imported(&[Event::default().body()]);
    let folder = directory.path();
    let table = || with_ours(folder, &["projections"]).out;
    assert!(!table().contains("rules"), "{}", table());
    write(folder, OURS);
    with_ours(folder, &["rebuild", "--policy", "ours.toml", "--user-key", "id"]);
    let table = table();
    let (_, rules) = table.split_once("\n\n").unwrap();
    snapshots().bind(|| insta::assert_snapshot!("cli_projections_rules", rules));
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");

    let listed = with_ours(folder, &["projections", "--format", "json"]).out;
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let [before, live] = [&listed["data"][0], &listed["data"][1]];
    assert_eq!((&before["policy"], &before["rule_changes"]), (&json!(BUILT_IN), &json!([])));
    assert_eq!((&live["policy"], &live["user_keys"]), (&json!(OURS), &json!(["id"])));
    let keys = live["rule_changes"].as_array().unwrap();
    assert_eq!(keys.len(), 6, "{keys:?}");
    assert_eq!(keys[1], json!({ "key": "past_due_grace_days", "from": "7", "to": "1" }));
    assert_eq!(keys[5], json!({ "key": "user_keys", "from": "user_id", "to": "id" }));
    assert_eq!(live.get("configured"), None);
    let csv = with_ours(folder, &["projections", "--format", "csv"]).out;
    assert!(csv.lines().next().unwrap().ends_with("parked,user_keys,rule_changes"), "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_says_whether_the_live_rules_are_those_that_it_was_started_with() {
    let server = TestServer::start().await;
    server.receive(Event::default().body()).await;
    let live = server.read("/v1/projections").await["data"][0].take();
    assert_eq!((&live["configured"], &live["rule_changes"]), (&json!(true), &json!([])));
    assert_eq!((&live["policy"], &live["user_keys"]), (&json!(BUILT_IN), &json!(["user_id"])));

    rebuild(server.store(), &Logic::parse(OURS, "user_id").unwrap()).await;
    let live = server.read("/v1/projections").await["data"][1].take();
    assert_eq!((&live["status"], &live["configured"]), (&json!("live"), &json!(false)));
    assert_eq!(live["rule_changes"].as_array().unwrap().len(), 5, "{live}");
    server.stop().await;
}

#[test]
fn the_rules_are_explained_with_their_source() {
    let directory = imported(&[Event::default().body()]);
    let folder = directory.path();
    write(folder, OURS);
    let live = with_ours(folder, &["policy", "explain", "--policy", "ours.toml"]).out;
    let file = ["policy", "explain", "ours.toml", "--user-key", "id,user_id"];
    let file = with_ours(folder, &file).out;
    let shown = format!("{live}\n{file}");
    assert!(shown.lines().all(|line| line.chars().count() <= 80), "{shown}");
    snapshots().bind(|| insta::assert_snapshot!("cli_policy_explain", shown));
}

mod run_once {
    use super::*;

    #[test]
    fn without_a_ledger_files_are_checked_and_explained_and_nothing_is_created() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        write(folder, OURS);
        let checked = with_ours(folder, &["policy", "check", "ours.toml"]);
        assert_eq!(checked.out.lines().count(), 5, "{}", checked.out);
        assert!(checked.err.contains("the built-in policy"), "{}", checked.err);
        let first = |arguments: &[&str]| {
            let explained = with_ours(folder, &[&["policy", "explain"], arguments].concat()).out;
            explained.lines().next().unwrap().to_owned()
        };
        let built_in = "Rules of the built-in policy; no generation is live. They are those of the";
        assert_eq!(first(&[]), built_in);
        let configured = "Rules of the file ours.toml; no generation is live.";
        assert_eq!(first(&["--policy", "ours.toml"]), configured);
        let none = run(folder, &["policy", "show", "--live"]);
        assert_eq!((none.status, &*none.out), (1, ""), "{}", none.err);
        assert!(none.err.contains("hint: `subledger rebuild`"), "{}", none.err);
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), 1);
    }

    #[test]
    fn a_wrong_file_is_refused_with_its_line_and_status_2() {
        let directory = tempfile::tempdir().unwrap();
        let folder = directory.path();
        for (text, part) in [
            ("\nmercy = true\n", "line 2: unknown field `mercy`"),
            ("grant = [\"canceled\"]\n", "line 1: `canceled` is final"),
            ("past_due_grace_days = \"7\"\n", "line 1: invalid type"),
        ] {
            write(folder, text);
            for command in ["check", "explain"] {
                let refused = run(folder, &["policy", command, "ours.toml"]);
                assert_eq!((refused.status, &*refused.out), (2, ""), "{}", refused.err);
                let said = format!("error: the policy ours.toml cannot be used: {part}");
                assert!(refused.err.starts_with(&said), "{}", refused.err);
            }
        }
        let missing = run(folder, &["policy", "check", "none.toml"]);
        assert_eq!(missing.status, 2, "{}", missing.err);
        assert!(missing.err.contains("cannot read the policy none.toml"), "{}", missing.err);
    }
}
