//! Every key of the policy, and what is refused.

use std::path::Path;
use std::process::Output;

use serde_json::json;
use subledger::projection::policy::Policy;

use super::life::{
    active, created, inactive, life_under, no_end, on, period, shows, until, updated,
};
use crate::app::commands::subledger;

/// A wrong text, the line on which it is wrong, and a word of what is said.
const REFUSED: [(&str, usize, &str); 14] = [
    ("mercy = true", 1, "mercy"),
    ("\n\nPast_due_grace_days = 3", 3, "Past_due_grace_days"),
    ("grant = \"active\"", 1, "string"),
    ("grant = [\n  7,\n]", 2, "integer"),
    ("# final\ngrant = [\"canceled\"]", 2, "canceled"),
    ("\ngrant = [\"incomplete_expired\"]", 2, "incomplete_expired"),
    ("past_due_grace_days = 1.5", 1, "float"),
    ("past_due_grace_days = 36501", 1, "36500"),
    ("grace_requires_payment = \"yes\"", 1, "string"),
    ("\nstale_after_period_end_days = -1", 2, "-1"),
    ("unknown_status = \"maybe\"", 1, "maybe"),
    ("[pause_collection]\nkeep_as_draft = true", 2, ""),
    ("[pause_collection]\nmark_uncollectible = \"Deny\"", 2, "Deny"),
    ("[pause_collection]\nvoid = \"deny\"\nvoid = \"deny\"", 3, "duplicate"),
];

#[test]
fn a_status_grants_where_the_policy_lists_it() {
    for (policy, status, granted) in [
        ("", "unpaid", false),
        ("grant = [\"unpaid\"]", "unpaid", true),
        ("grant = [\"paused\"]", "paused", true),
        ("grant = [\"incomplete\"]", "incomplete", true),
        ("grant = []", "active", false),
        ("grant = [\"active\"]", "trialing", false),
        ("grant = [\"active\"]", "past_due", false),
        ("", "hibernating", false),
        ("grant = [\"hibernating\"]", "hibernating", true),
        ("unknown_status = \"grant\"", "hibernating", true),
        ("unknown_status = \"grant\"", "unpaid", false),
    ] {
        let told = on(0, created(json!({ "status": status })));
        let asked = if granted { active(1) } else { inactive(1) };
        life_under(policy, [told, shows("status", status), asked]);
    }
}

#[test]
fn what_is_final_never_grants_whatever_the_policy_says() {
    for status in ["canceled", "incomplete_expired"] {
        let told = on(0, created(json!({ "status": status })));
        life_under("unknown_status = \"grant\"", [told, inactive(0), no_end()]);
    }
}

#[test]
fn the_least_of_the_ends_counts_where_several_keys_set_one() {
    let policy = "past_due_grace_days = 10\nstale_after_period_end_days = 5";
    life_under(
        policy,
        [
            on(0, created(json!({ "status": "active" }))),
            until(35),
            on(30, updated(json!({ "status": "past_due", "items": period(30, 32) }))),
            until(37),
            on(31, updated(json!({ "items": period(30, 60) }))),
            until(40),
        ],
    );
}

#[test]
fn a_wrong_key_or_value_is_refused_with_its_line() {
    for (text, line, word) in REFUSED {
        let error = Policy::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(word), "{text}: {error}");
    }
}

#[test]
fn a_command_refuses_a_wrong_policy_and_says_where() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("mine.toml");
    for (text, line, word) in REFUSED {
        std::fs::write(&file, text).unwrap();
        for output in both_ways(directory.path(), "mine.toml") {
            let err = refusal(&output);
            assert!(err.contains("the policy mine.toml cannot be used"), "{err}");
            assert!(err.contains(&format!("line {line}:")) && err.contains(word), "{err}");
        }
    }
}

#[test]
fn a_command_refuses_a_policy_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    for output in both_ways(directory.path(), "nowhere.toml") {
        let err = refusal(&output);
        assert!(err.contains("cannot read the policy nowhere.toml"), "{err}");
    }
}

/// A command with this policy by `--policy`, and by the environment.
fn both_ways(directory: &Path, file: &str) -> [Output; 2] {
    let by_option = subledger(directory, &["rebuild", "--policy", file]).output().unwrap();
    let mut by_environment = subledger(directory, &["rebuild"]);
    [by_option, by_environment.env("SUBLEDGER_POLICY", file).output().unwrap()]
}

/// Message of a refused command: on stderr only, with a hint.
fn refusal(output: &Output) -> String {
    let err = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{err}");
    assert!(output.stdout.is_empty());
    assert!(err.contains("`SUBLEDGER_POLICY= subledger policy show`"), "{err}");
    err
}
