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

/// Commands of a section of the guide "Adopt".
fn of_adopt(heading: &str) -> String {
    let adopt = include_str!("../../../src/guide/adopt.md");
    // The section ends with its own level, or with the one above.
    let (_, rest) = adopt.split_once(&format!("# {heading}\n")).unwrap();
    let section = rest.split("\n#").next().unwrap();
    commands(blocks(section, "console")[0]).collect::<Vec<_>>().join("\n")
}

#[test]
fn its_import_of_lists_users_and_comparison_do_what_the_guide_says() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path();
    let list =
        |object: serde_json::Value| json!({ "object": "list", "data": [object] }).to_string();
    let subscription = json!({
        "id": "sub_1", "object": "subscription", "livemode": true, "customer": "cus_1", "status": "unpaid",
        "items": { "object": "list", "data": [], "has_more": false },
    });
    let customer = json!({ "id": "cus_1", "object": "customer", "livemode": true });
    let file = std::fs::File::create(folder.join("subscriptions.json.gz")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    std::io::Write::write_all(&mut gzip, list(subscription).as_bytes()).unwrap();
    gzip.finish().unwrap();
    std::fs::write(folder.join("customers.json"), list(customer)).unwrap();
    let said = shell(folder, &of_adopt("Import lists of objects"));
    assert!(said.contains("imported 2 events, skipped 0 "), "{said}");

    let script = of_adopt("Users of your own table");
    let (link, current) = script.split_once('\n').unwrap();
    assert_eq!(run(folder, &["rebuild"]).status, 0);
    assert!(shell(folder, current).contains("sub_1"));
    std::fs::write(folder.join("users.csv"), "user_id,customer_id\n7,cus_1\n").unwrap();
    let said = shell(folder, link);
    assert!(said.contains("linked 1 customers to users"), "{said}");
    assert_eq!(run(folder, &["rebuild"]).status, 0);
    assert!(shell(folder, current).contains("no subscription found"));

    std::fs::write(folder.join("old.csv"), "user_id,active\n7,false\n").unwrap();
    let said = shell(folder, &of_adopt("Compare with the old code"));
    assert!(said.contains("compared 1 users: 0 differ, 1 agree"), "{said}");
}
