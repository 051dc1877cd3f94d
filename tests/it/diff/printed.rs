//! The difference as a shell shows it.

use std::path::Path;

use subledger::clock::Clock;
use subledger::time::ReceivedAt;
use tempfile::TempDir;

use crate::app::commands::{edit, import, run};
use crate::app::server::Event;
use crate::app::snapshots;

/// Granted access has no end, so that what is shown does not depend on today.
const BEFORE: &str = "stale_after_period_end_days = 0\n";
const AFTER: &str = "stale_after_period_end_days = 0\ngrant = [\"active\", \"unpaid\"]\n";

fn ledger() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let mut bodies = Vec::new();
    let mut add = |event: Event| bodies.push(event.body());
    for (id, subscription, user, status) in [
        ("evt_1", "sub_1", "user_1", "active"),
        ("evt_2", "sub_2", "user_2", "trialing"),
        ("evt_3", "sub_3", "user_3", "trialing"),
        ("evt_4", "sub_4", "user_4", "unpaid"),
        ("evt_5", "sub_5", "user_5", "canceled"),
    ] {
        add(Event { id, subscription, user, status, ..Event::default() });
    }
    let status = "trialing";
    add(Event { id: "evt_6", account: Some("acct_1"), status, ..Event::default() });
    add(Event { id: "evt_7", livemode: false, status, ..Event::default() });
    let path = directory.path();
    std::fs::write(path.join("before.toml"), BEFORE).unwrap();
    std::fs::write(path.join("after.toml"), AFTER).unwrap();
    import(path, &bodies);
    directory
}

/// Runs a rebuild that must end well, and gives back what it printed, without the instant.
fn rebuild(path: &Path, arguments: &[&str]) -> (String, String) {
    let ran = run(path, &[&["rebuild"], arguments].concat());
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    let is_table = !arguments.contains(&"--format");
    assert!(!is_table || ran.out.lines().all(|it| it.chars().count() <= 100), "{}", ran.out);
    let without_instant = |line: &str| match line.split_once("Access as of ") {
        Some((rules, instant)) => {
            assert!(ReceivedAt::parse(instant.trim_end_matches('.')).is_some(), "{line}");
            format!("{rules}Access as of [now].\n")
        }
        None => format!("{line}\n"),
    };
    (ran.out.lines().map(without_instant).collect(), ran.err)
}

#[test]
fn a_summary_says_what_changes_and_who_loses_access_and_limit_lists_more() {
    let directory = ledger();
    let path = directory.path();
    let (first, said) = rebuild(path, &["--policy", "before.toml"]);
    assert_eq!(
        first,
        "No generation is live yet: all 7 subscriptions are new, 5 of them have access.\n"
    );
    assert!(said.starts_with("generation 1 is live: 7 events folded in "), "{said}");

    let dry = &["--dry-run", "--policy", "after.toml"];
    let (summary, said) = rebuild(path, dry);
    assert!(said.ends_with(", 0 parked\n") && said.contains("was a dry run"), "{said}");
    let (listed, _) = rebuild(path, &[dry, &["--limit", "2"][..]].concat());
    let (nothing, _) = rebuild(path, &["--policy", "before.toml"]);
    // Nobody folds this into the live generation.
    let later = Event { id: "evt_8", user: "user_2", subscription: "sub_2", ..Event::default() };
    std::fs::write(path.join("later.json"), later.body()).unwrap();
    assert_eq!(run(path, &["import", "later.json"]).status, 0);
    let (behind, _) = rebuild(path, dry);
    let left_out = "  left out                             1  of customers with later events, which only one has \
         folded\n";
    assert!(behind.contains(left_out) && behind.contains("position 7 of"), "{behind}");
    snapshots().bind(|| {
        insta::assert_snapshot!("cli_rebuild", summary);
        insta::assert_snapshot!("cli_rebuild_limit", listed);
        insta::assert_snapshot!("cli_rebuild_nothing", nothing);
    });
}

#[test]
fn every_change_is_a_line_of_csv_and_an_entry_of_json() {
    let directory = ledger();
    let path = directory.path();
    rebuild(path, &["--policy", "before.toml"]);
    let dry = &["--dry-run", "--policy", "after.toml", "--format"];
    let (csv, said) = rebuild(path, &[dry, &["csv"][..]].concat());
    snapshots().bind(|| insta::assert_snapshot!("cli_rebuild_csv", csv));
    assert!(said.contains("4 subscriptions lose access and 1 gain it"), "{said}");

    let (json, _) = rebuild(path, &[dry, &["json"][..]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["summary"]["change"], &json["summary"]["same"]), (&5.into(), &2.into()));
    assert_eq!(json["summary"]["test_mode"]["lose"], 1);
    let changes = json["changes"].as_array().unwrap();
    assert_eq!((changes.len(), &changes[0]["access"]), (5, &"loses".into()));
    assert_eq!(changes[4]["fields"][0]["field"], "entitled");
    assert_eq!(changes[4]["fields"][0]["to"], true);

    let (json, _) = rebuild(path, &[dry, &["json", "--limit", "0"][..]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["changes"], serde_json::json!([]));
}

#[test]
fn a_second_rebuild_is_refused_and_says_how_far_the_first_is() {
    let directory = ledger();
    let path = directory.path();
    rebuild(path, &[]);
    let until = Clock::System.now().0 + 60_000_000;
    edit(
        path,
        &format!(
            "INSERT INTO generations (id, status, fingerprint, fold_version, policy, user_keys, log_id, position,
                lease_holder, lease_until, created_at)
             SELECT 2, 'building', fingerprint, fold_version, policy, user_keys, log_id, 4, 'another', {until}, 0
             FROM generations"
        ),
    );
    let ran = run(path, &["rebuild", "--dry-run"]);
    assert_eq!((ran.status, &*ran.out), (3, ""), "{}", ran.err);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(
        lines[0],
        "error: another process is building generation 2 and has folded 4 of 7 events"
    );
    assert!(lines[1].starts_with("hint: "), "{}", ran.err);
}
