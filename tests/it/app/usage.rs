//! The command line itself: its help, mistyped words, empty variables, readers that go away.

use std::path::Path;
use std::process::Stdio;

use reqwest::StatusCode;
use tempfile::TempDir;

use super::commands::{Ran, edit, imported, ran, run, subledger};
use super::server::{Event, SECRET, TestServer, json_of};

/// Three subscriptions of one user; one has a status that Stripe did not have when this was written.
const EVENTS: [(&str, &str, &str); 3] =
    [("evt_1", "sub_1", "active"), ("evt_2", "sub_2", "past_due"), ("evt_3", "sub_3", "novel")];

fn event((id, subscription, status): (&'static str, &'static str, &'static str)) -> String {
    Event { id, subscription, status, ..Event::default() }.body()
}

fn ledger() -> TempDir {
    imported(&EVENTS.map(event))
}

#[test]
fn several_statuses_are_asked_for_at_once_and_a_mistyped_one_is_refused() {
    let directory = ledger();
    let shown = |arguments: &[&str]| -> (i32, Vec<String>) {
        let ran = run(directory.path(), &[&["current"], arguments].concat());
        let ids = ran.out.lines().skip(1).map(|it| it.split(' ').next().unwrap().to_owned());
        (ran.status, ids.collect())
    };
    let both = (0, vec!["sub_1".to_owned(), "sub_2".to_owned()]);
    assert_eq!(shown(&["--status", "active,past_due"]), both);
    assert_eq!(shown(&["--status", "active", "--status", "past_due"]), both);
    assert_eq!(shown(&["--status", "novel"]), (0, vec!["sub_3".to_owned()]));
    assert_eq!(shown(&["--status", "unpaid"]), (0, vec![]), "a status of Stripe's that none has");
    for (status, told) in [
        ("activ", "did you mean active?"),
        ("active,past-due", "did you mean past_due?"),
        ("Active", "did you mean active?"),
        ("zzz", "hint: statuses are active, canceled"),
    ] {
        let ran = run(directory.path(), &["current", "--status", status]);
        assert_eq!((ran.status, &*ran.out), (2, ""), "{status}: {}", ran.err);
        assert!(ran.err.contains(told) && ran.err.lines().count() == 2, "{}", ran.err);
    }
    assert_eq!(run(directory.path(), &["current", "--status", ""]).status, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_takes_the_same_statuses_and_names_what_was_mistyped() {
    let server = TestServer::start().await;
    for body in EVENTS.map(event) {
        server.receive(body).await;
    }
    for (query, count) in [
        ("status=active,past_due", 2),
        ("status=active&status=past_due", 2),
        ("status=novel,active", 2),
        ("status=unpaid", 0),
    ] {
        let page = server.read(&format!("/v1/subscriptions?{query}")).await;
        assert_eq!(page["data"].as_array().unwrap().len(), count, "{query}");
    }
    for (query, told) in [
        ("status=activ", "unknown status \"activ\"; did you mean active?"),
        ("status=active,foo", "unknown status \"foo\"; statuses are active, canceled"),
        ("status=", "contains an empty value"),
        ("status=active,", "contains an empty value"),
        ("custmer=cus_1", "unknown parameter; did you mean customer_id?"),
        ("stauts=active", "unknown parameter; did you mean status?"),
    ] {
        let response = server.get(&format!("/v1/subscriptions?{query}")).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
        let problem = json_of(response).await;
        assert_eq!(problem["type"], "bad-parameter");
        assert!(problem["detail"].as_str().unwrap().contains(told), "{problem}");
    }
    server.stop().await;
}

#[test]
fn nothing_found_is_said_and_is_no_error_unless_one_was_named() {
    let directory = ledger();
    let header = "SUBSCRIPTION  USER  STATUS  ACTIVE  PRICE  ENDS\n";
    for arguments in [&["--user", "nobody"][..], &["--mode", "test"], &["--account", "acct_1"]] {
        let ran = run(directory.path(), &[&["current"], arguments].concat());
        assert_eq!((ran.status, &*ran.out), (0, header), "{arguments:?}: {}", ran.err);
        assert!(ran.err.starts_with("no subscription found in "), "{}", ran.err);
        assert!(ran.err.contains("--mode test"), "{}", ran.err);
    }
    let lines = run(directory.path(), &["current", "--user", "nobody", "--format", "jsonl"]);
    assert_eq!((lines.status, &*lines.out), (0, ""));
    assert!(lines.err.starts_with("no subscription found in live mode\n"), "{}", lines.err);
    let rest = run(directory.path(), &["current", "--after", "sub_9", "--format", "jsonl"]);
    assert_eq!((rest.status, &*rest.err), (0, ""), "the rest of an export may be nothing");
}

/// Every variable that is read, set to nothing, which is how a shell takes one back.
const VARIABLES: [&str; 20] = [
    "STRIPE_WEBHOOK_SECRET",
    "STRIPE_WEBHOOK_SECRET_FILE",
    "SUBLEDGER_API_TOKEN",
    "SUBLEDGER_API_TOKEN_FILE",
    "SUBLEDGER_ACCESS_TOKEN",
    "SUBLEDGER_ACCESS_TOKEN_FILE",
    "SUBLEDGER_MODE",
    "SUBLEDGER_USER_KEY",
    "SUBLEDGER_POLICY",
    "SUBLEDGER_LISTEN",
    "SUBLEDGER_PRIVATE_LISTEN",
    "SUBLEDGER_TOLERANCE_SECONDS",
    "SUBLEDGER_NO_AUTO_REBUILD",
    "SUBLEDGER_UNKNOWN",
    "SUBLEDGER_SIGNING_KEY",
    "SUBLEDGER_SIGNING_KEY_FILE",
    "SUBLEDGER_VERIFIER_KEY",
    "SUBLEDGER_CHECKPOINT_FILE",
    "SUBLEDGER_CHECKPOINT_EVERY_SECONDS",
    "USER",
];

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    let directory = ledger();
    let with_all = |value: &str, arguments: &[&str]| -> Ran {
        let mut command = subledger(directory.path(), arguments);
        command.envs(VARIABLES.map(|name| (name, value)));
        command.envs(["SUBLEDGER_LOG", "SUBLEDGER_LOG_FORMAT"].map(|name| (name, "")));
        ran(&command.output().unwrap())
    };
    for value in ["", " "] {
        assert_eq!(with_all(value, &["rebuild"]).status, 0);
        for arguments in [&["current"][..], &["verify"], &["policy", "show"]] {
            let (empty, unset) = (with_all(value, arguments), run(directory.path(), arguments));
            assert_eq!(empty.status, 0, "{arguments:?}: {}", empty.err);
            assert_eq!(empty.out.lines().next(), unset.out.lines().next(), "{arguments:?}");
        }
        for (arguments, status, told) in [
            (&["serve"][..], 2, "STRIPE_WEBHOOK_SECRET is not set"),
            (&["simulate", "--to", "http://localhost:1"], 2, "STRIPE_WEBHOOK_SECRET is not set"),
            (&["log", "checkpoint"], 2, "SUBLEDGER_SIGNING_KEY is not set"),
            (&["log", "check", "events.jsonl"], 2, "no key to check"),
            (&["erase", "evt_1", "--yes"], 2, "--by"),
        ] {
            let ran = with_all(value, arguments);
            assert_eq!(ran.status, status, "{arguments:?}: {}", ran.err);
            assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
        }
    }
}

#[test]
fn an_address_without_a_host_is_refused_with_one_that_has() {
    let directory = tempfile::tempdir().unwrap();
    for arguments in [
        ["serve", "--listen", "8000"],
        ["serve", "--private-listen", ":8000"],
        ["serve", "--listen", "localhost"],
    ] {
        let ran = run(directory.path(), &arguments);
        assert_eq!(ran.status, 2, "{}", ran.err);
        assert!(ran.err.contains("expected HOST:PORT, such as 127.0.0.1:8000"), "{}", ran.err);
    }
}

#[test]
fn a_database_that_serve_cannot_open_is_refused_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let database = "sqlite://no/such/directory/subledger.db";
    let mut serve = subledger(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
    serve.args(["--database", database]).env("STRIPE_WEBHOOK_SECRET", SECRET);
    let ran = ran(&serve.output().unwrap());
    assert_eq!((ran.status, &*ran.out), (3, ""), "{}", ran.err);
    assert!(ran.err.contains("error: ") && ran.err.contains("no/such/directory"), "{}", ran.err);
    assert!(ran.err.contains("\nhint: DATABASE_URL names the file"), "{}", ran.err);
}

/// Runs a command whose reader has gone away before it writes.
fn unread(directory: &Path, arguments: &[&str]) -> Ran {
    let mut child = subledger(directory, arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    ran(&child.wait_with_output().unwrap())
}

#[test]
fn a_reader_that_goes_away_changes_no_exit_status_and_is_not_worth_a_word() {
    let directory = ledger();
    let formats = |command: &[&'static str], formats: &[&'static str]| -> Vec<Vec<&'static str>> {
        formats.iter().map(|format| [command, &["--format", format]].concat()).collect()
    };
    let rows = ["table", "json", "csv"];
    let many = ["table", "json", "jsonl", "csv"];
    let mut commands = vec![
        vec!["--help"],
        vec!["event", "evt_1"],
        vec!["event", "evt_1", "--payload"],
        vec!["policy", "show"],
        vec!["simulate", "--subscriptions", "9", "--out", "-"],
        vec!["log", "keygen"],
    ];
    commands.extend(formats(&["current"], &many));
    commands.extend(formats(&["history", "user_1"], &many));
    commands.extend(formats(&["explain", "sub_1"], &rows));
    commands.extend(formats(&["projections"], &rows));
    commands.extend(formats(&["export"], &["jsonl", "csv"]));
    commands.extend(formats(&["verify"], &rows));
    commands.extend(formats(&["rebuild", "--dry-run"], &rows));
    for arguments in commands {
        let ran = unread(directory.path(), &arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
        let talk = [
            "generation",
            "no rule differs: ",
            "hint:",
            "0 subscriptions change",
            "the signing key",
        ];
        let is_talk = |line: &str| talk.iter().any(|it| line.starts_with(it));
        assert!(ran.err.lines().all(is_talk), "{arguments:?}: {}", ran.err);
    }

    // What has to be done is done.
    let erased = unread(directory.path(), &["erase", "evt_2", "--by", "Ann", "--yes"]);
    assert!(erased.status == 0 && erased.err.contains("erased: "), "{}", erased.err);
    assert_eq!(run(directory.path(), &["event", "evt_2", "--payload"]).status, 1);
}

#[test]
fn an_answer_of_no_stays_no_where_nobody_reads_it() {
    let directory = ledger();
    edit(
        directory.path(),
        "UPDATE current_subscriptions_g1 SET status = 'x' WHERE subscription_id = 'sub_1'",
    );
    for format in ["table", "json", "csv"] {
        assert_eq!(unread(directory.path(), &["verify", "--format", format]).status, 1, "{format}");
    }
}

mod sqlite_only {
    use super::*;

    #[test]
    fn an_empty_address_of_the_database_is_the_default_one() {
        let directory = ledger();
        let mut current = subledger(directory.path(), &["current"]);
        let ran = ran(&current.env("DATABASE_URL", "").output().unwrap());
        assert_eq!((ran.status, ran.out.lines().count()), (0, 4), "{}", ran.err);
    }
}

mod run_once {
    use super::*;

    use std::fmt::Write as _;

    /// Each command with its own, and none of what it does not use.
    #[test]
    fn the_help_of_every_command() {
        let directory = tempfile::tempdir().unwrap();
        let help = |columns: &str, path: &[&str]| -> String {
            let mut command = subledger(directory.path(), &[path, &["--help"]].concat());
            let ran = ran(&command.env("COLUMNS", columns).output().unwrap());
            assert_eq!((ran.status, &*ran.err), (0, ""), "{path:?}");
            ran.out
        };
        let mut all = String::new();
        for path in [
            "",
            "serve",
            "demo",
            "current",
            "history",
            "explain",
            "event",
            "policy",
            "policy show",
            "policy check",
            "policy explain",
            "rebuild",
            "projections",
            "projections list",
            "projections activate",
            "projections drop",
            "backup",
            "verify",
            "log",
            "log keygen",
            "log checkpoint",
            "log prove",
            "log consistency",
            "log check",
            "import",
            "export",
            "erase",
            "simulate",
        ] {
            let words: Vec<&str> = path.split(' ').filter(|it| !it.is_empty()).collect();
            let text = help("100", &words);
            writeln!(all, "=== subledger {path}\n{text}").unwrap();
            for (columns, text) in [(100, &text), (80, &help("80", &words))] {
                let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
                assert!(widest <= columns, "{path} in {columns} columns:\n{text}");
            }
        }
        crate::app::snapshots().bind(|| insta::assert_snapshot!("cli_help", all));
    }

    #[test]
    fn the_policy_is_shown_as_a_file_to_start_from() {
        let directory = tempfile::tempdir().unwrap();
        let show = |arguments: &[&str]| {
            let ran = run(directory.path(), &[&["policy", "show"], arguments].concat());
            assert_eq!((ran.status, &*ran.err), (0, ""), "{arguments:?}");
            ran.out
        };
        let built_in = show(&[]);
        assert_eq!(
            built_in,
            include_str!("../../../projections/current_subscriptions/policy.toml")
        );
        let file = |text: &str| std::fs::write(directory.path().join("policy.toml"), text).unwrap();
        let mine = "# Ours\npast_due_grace_days = 3\n";
        file(mine);
        let shown = show(&["--policy", "policy.toml"]);
        assert!(
            shown.ends_with(mine) && shown.contains("# unknown_status = \"deny\"\n"),
            "{shown}"
        );
        assert!(!shown.contains("past_due_grace_days = 7"), "{shown}");
        file(&shown);
        assert_eq!(show(&["--policy", "policy.toml"]).matches("Not set").count(), 2);
        file("past_due_grace_dys = 3\n");
        let refused = run(directory.path(), &["policy", "show", "--policy", "policy.toml"]);
        assert_eq!((refused.status, &*refused.out), (2, ""), "{}", refused.err);
        assert!(refused.err.contains("SUBLEDGER_POLICY= subledger policy show"), "{}", refused.err);
    }
}
