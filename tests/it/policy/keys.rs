//! A policy that is wrong is refused before anything is done by it, with the line to mend.

use std::path::Path;
use std::process::{Command, Output};

use subledger::projection::Logic;

const WRONG: [(&str, usize, &str); 10] = [
    ("grnt = []\n", 1, "grnt"),
    ("# mine\ngrant = \"active\"\n", 2, "string"),
    ("\ngrant = [\"canceled\"]\n", 2, "canceled"),
    ("\n\npast_due_grace_days = 1.5\n", 3, "1.5"),
    ("past_due_grace_days = 36501\n", 1, "36500"),
    ("\ngrace_requires_payment = \"yes\"\n", 2, "string"),
    ("stale_after_period_end_days = -1\n", 1, "-1"),
    ("\nunknown_status = \"allow\"\n", 2, "allow"),
    ("[pause_collection]\n\nkeep_as_draft = \"never\"\n", 3, "never"),
    ("[pause_collection]\nvoided = \"deny\"\n", 2, "voided"),
];

#[test]
fn every_wrong_key_or_value_is_refused_with_its_line() {
    for (text, line, word) in WRONG {
        let error = Logic::parse(text, "user_id").unwrap_err();
        assert_eq!(error.line, line, "{text}: {error}");
        assert!(error.message.contains(word), "{text}: {error}");
    }
}

fn rebuild(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_subledger"));
    command.current_dir(directory).env_clear().arg("rebuild");
    command
}

fn assert_refused(output: &Output, line: usize) {
    let error = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 2, "{error}");
    assert!(lines[0].starts_with("error: ") && lines[0].contains("mine.toml"), "{error}");
    assert!(lines[0].contains(&format!("line {line}")), "{error}");
    assert!(lines[1].starts_with("hint: "), "{error}");
}

#[test]
fn the_option_and_the_environment_refuse_a_wrong_policy_with_its_line_and_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    for (text, line, _) in [WRONG[1], WRONG[8]] {
        std::fs::write(directory.path().join("mine.toml"), text).unwrap();
        let by_option = rebuild(directory.path()).args(["--policy", "mine.toml"]).output();
        assert_refused(&by_option.unwrap(), line);
        let by_variable = rebuild(directory.path()).env("SUBLEDGER_POLICY", "mine.toml").output();
        assert_refused(&by_variable.unwrap(), line);
    }
}
