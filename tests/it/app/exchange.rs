//! Events leave a ledger and enter another: nothing is lost, and nothing is made up.

use std::path::Path;

use serde_json::Value;

use super::commands::run;
use super::server::Event;

fn of(directory: &Path, database: &str, arguments: &[&str]) -> String {
    let database = format!("sqlite://{database}");
    let ran = run(directory, &[arguments, &["--database", &database]].concat());
    assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    ran.out
}

#[test]
fn an_export_into_an_empty_log_gives_the_same_log() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let simulate = ["simulate", "--subscriptions", "20", "--shuffle", "--out", "made.jsonl"];
    assert_eq!(run(path, &simulate).status, 0);
    of(path, "first.db", &["import", "made.jsonl"]);
    let export = of(path, "first.db", &["export"]);
    let made = std::fs::read_to_string(path.join("made.jsonl")).unwrap();
    assert_eq!(export, made, "a simulation is written as the export of its ledger");

    // An event that comes once more is counted, and the count is exported too.
    let first: Value = serde_json::from_str(export.lines().next().unwrap()).unwrap();
    std::fs::write(path.join("again.json"), first["payload"].as_str().unwrap()).unwrap();
    of(path, "first.db", &["import", "again.json"]);
    let export = of(path, "first.db", &["export"]);
    assert!(export.lines().next().unwrap().contains("\"redeliveries\":[{"));

    std::fs::write(path.join("export.jsonl"), &export).unwrap();
    of(path, "second.db", &["import", "export.jsonl"]);
    assert_eq!(of(path, "second.db", &["export"]), export);
    let root = |database| {
        let report: Value =
            serde_json::from_str(&of(path, database, &["verify", "--format", "json"])).unwrap();
        report["root"].clone()
    };
    assert_eq!(root("first.db"), root("second.db"));

    let lines = export.lines().count();
    let tail = of(path, "first.db", &["export", "--after", &(lines - 2).to_string()]);
    assert_eq!(tail.lines().count(), 2);
    of(path, "first.db", &["backup", "copy.db"]);
    assert_eq!(of(path, "copy.db", &["export"]), export);
}

#[test]
fn an_import_says_what_was_new_known_and_bad_and_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let body = Event::default().body();
    let other = Event { id: "evt_2", ..Event::default() }.body();
    std::fs::write(path.join("one.json"), &body).unwrap();
    std::fs::write(path.join("list.json"), format!("{{\"object\":\"list\",\"data\":[{other}]}}"))
        .unwrap();
    let line: Value = serde_json::from_str(&other.replace("evt_2", "evt_3")).unwrap();
    std::fs::write(path.join("lines.jsonl"), format!("{line}\n{{\"id\":\n{line}\n")).unwrap();

    let ran = run(path, &["import", "one.json", "list.json", "lines.jsonl"]);
    assert_eq!(ran.status, 1, "a record was bad");
    assert!(ran.err.contains("lines.jsonl:2: "), "{}", ran.err);
    assert!(ran.err.contains("imported 3 events, skipped 1"), "{}", ran.err);
    assert!(ran.err.contains("1 invalid"), "{}", ran.err);
    // The bytes of a file with one event, and of an element of a list, are kept as they were.
    assert_eq!(run(path, &["event", "evt_1", "--payload"]).out, body);
    assert_eq!(run(path, &["event", "evt_2", "--payload"]).out, other);

    // Into a log that has other events an export is appended.
    let export = run(path, &["export"]).out;
    std::fs::write(path.join("export.jsonl"), export.replace("evt_3", "evt_4")).unwrap();
    let ran = run(path, &["import", "export.jsonl"]);
    assert_eq!(ran.status, 1, "the payload no longer matches its hash: {}", ran.err);
    assert!(ran.err.contains("export.jsonl:3: the payload does not match its hash"), "{}", ran.err);
}

#[test]
fn the_same_seed_gives_the_same_simulation_and_the_truth_beside_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let simulate = |out: &str| {
        let arguments = [
            "simulate",
            "--subscriptions",
            "5",
            "--duplicates",
            "0.5",
            "--truth",
            "truth",
            "--out",
        ];
        let ran = run(path, &[&arguments[..], &[out]].concat());
        assert_eq!(ran.status, 0, "{}", ran.err);
        std::fs::read_to_string(path.join(out)).unwrap()
    };
    assert_eq!(simulate("a"), simulate("b"));
    assert_eq!(std::fs::read_to_string(path.join("truth")).unwrap().lines().count(), 5);
    let ran = run(path, &["import", "a"]);
    assert_eq!(ran.status, 0, "{}", ran.err);
    assert!(!ran.err.contains("skipped 0 "), "duplicates are skipped: {}", ran.err);
}
