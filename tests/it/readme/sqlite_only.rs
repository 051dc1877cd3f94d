//! Commands of the pages, on files of SQLite.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::*;

/// Runs a script in a folder, with the program found as `subledger`; returns what it prints.
fn shell(folder: &Path, script: &str) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_subledger"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
    let mut shell = Command::new("sh");
    shell.current_dir(folder).env_clear().env("PATH", path);
    let ran = shell.args(["-e", "-c", &format!("exec 2>&1\n{script}")]).output().unwrap();
    let out = String::from_utf8(ran.stdout).unwrap();
    assert!(ran.status.success(), "{script}\n{out}");
    out
}

/// Commands of a block.
fn commands(block: &str) -> impl Iterator<Item = &str> {
    block.lines().filter_map(|line| line.strip_prefix("$ "))
}

/// Lines of a text, with durations left out.
fn lines_without_durations(text: &str) -> Vec<String> {
    let is_duration = |word: &str| {
        let number = word.trim_end_matches(',').trim_end_matches('s').trim_end_matches('m');
        word.contains('s') && number.parse::<f64>().is_ok()
    };
    let line = |line: &str| {
        let words = line.split(' ').filter(|word| !is_duration(word));
        words.collect::<Vec<_>>().join(" ")
    };
    text.lines().map(line).collect()
}

/// The commands of the session are those that stand in the README. `UPDATE_README=1` writes their output there.
#[test]
fn its_session_shows_what_the_program_prints() {
    let session = blocks(section(README, "A session"), "console")[0];
    let directory = tempfile::tempdir().unwrap();
    let mut printed = String::new();
    for command in commands(session) {
        let out = shell(directory.path(), command);
        writeln!(printed, "$ {command}\n{}", out.trim_end()).unwrap();
    }
    let printed: String = printed
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| line.trim_end().to_owned() + "\n")
        .collect();
    if lines_without_durations(session) == lines_without_durations(&printed) {
        return;
    }
    assert_eq!(
        std::env::var("UPDATE_README").as_deref(),
        Ok("1"),
        "the README is outdated:\n{printed}"
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    std::fs::write(path, README.replace(session, &printed)).unwrap();
}

#[test]
fn its_way_to_restore_a_backup_gives_the_log_of_the_backup() {
    let directory = ledger();
    let folder = directory.path();
    let backups = tempfile::tempdir().unwrap();
    let operations = include_str!("../../../src/guide/operations.md");
    let blocks = blocks(section(operations, "Backup"), "console");
    let [backup, restore] = blocks.as_slice() else { panic!("{blocks:?}") };
    let shell = |block: &str| {
        // The backup is found under the date that the guide names.
        let script = commands(block).collect::<Vec<_>>().join("\n");
        let script = script.replace("/backups", &backups.path().to_string_lossy());
        shell(folder, &script.replace("$(date +%F)", "2026-11-01"))
    };
    let root = || run(folder, &["verify"]).out.lines().next().unwrap().to_owned();
    let before = root();
    shell(backup);

    // What came after the backup, in a write-ahead log that a crash left.
    let late = Event { id: "evt_9", subscription: "sub_9", ..Event::default() }.body();
    let late: serde_json::Value = serde_json::from_str(&late).unwrap();
    std::fs::write(folder.join("late.jsonl"), late.to_string()).unwrap();
    assert_eq!(run(folder, &["import", "late.jsonl"]).status, 0);
    assert_eq!(run(folder, &["rebuild"]).status, 0);
    std::fs::write(folder.join("subledger.db-wal"), vec![7; 40_000]).unwrap();
    std::fs::write(folder.join("subledger.db-shm"), vec![0; 32_768]).unwrap();
    assert_ne!(root(), before);

    assert!(shell(restore).ends_with("no difference\n"));
    assert_eq!(root(), before);
    assert_eq!(run(folder, &["current", "--subscription", "sub_9"]).status, 1);
}
