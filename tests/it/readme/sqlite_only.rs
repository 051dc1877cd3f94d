//! What holds for files of SQLite alone.

use std::process::Command;

use super::*;

/// The commands of a block, as a shell runs them.
fn commands(block: &str) -> String {
    block.lines().filter_map(|line| line.strip_prefix("$ ")).collect::<Vec<_>>().join("\n")
}

#[test]
fn its_way_to_restore_a_backup_gives_the_log_of_the_backup() {
    let directory = ledger();
    let folder = directory.path();
    let backups = tempfile::tempdir().unwrap();
    let blocks = blocks(section("Backup"), "console");
    let [backup, restore] = blocks.as_slice() else { panic!("{blocks:?}") };
    let shell = |block: &str| {
        // The binary is found as `subledger`, and the backup under the date that the README names.
        let binary = std::path::Path::new(env!("CARGO_BIN_EXE_subledger"));
        let script = commands(block)
            .replace("/backups", &backups.path().to_string_lossy())
            .replace("$(date +%F)", "2026-11-01");
        let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
        let mut shell = Command::new("sh");
        shell.current_dir(folder).env_clear().env("PATH", path).args(["-e", "-c", &script]);
        let ran = shell.output().unwrap();
        assert!(ran.status.success(), "{script}{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
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
