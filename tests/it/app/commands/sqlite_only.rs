//! Tests of SQLite files.

use super::*;

/// Changes a file of the ledger behind its back.
fn edit_file(directory: &Path, file: &str, sql: &'static str) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut connection = raw::file(&directory.join(file)).await;
        connection.run(sql).await;
        connection.close().await;
    });
}

/// One clear line, a hint, and the exit status that says whose turn it is.
#[test]
fn what_goes_wrong_is_said_in_one_line_with_a_hint() {
    let directory = ledger();
    let path = directory.path();
    std::fs::write(path.join("policy.toml"), "grnt = []\n").unwrap();
    std::fs::write(path.join("taken.db"), "").unwrap();
    let cases: [(&[&str], i32, &str); 14] = [
        (&["serve"], 2, "STRIPE_WEBHOOK_SECRET"),
        (
            &["current", "--database", "postgres://me:secret@localhost:1/x"],
            3,
            "postgres://localhost:1/x",
        ),
        (&["current", "--database", "subledger.db"], 2, "sqlite://"),
        (&["current", "--database", "sqlite://nowhere.db"], 2, "nowhere.db"),
        (&["import", "--database", "sqlite://no/such/dir/x.db", "events.jsonl"], 3, "no/such/dir"),
        (&["import", "no-such-file"], 3, "no-such-file"),
        (&["rebuild", "--policy", "policy.toml"], 2, "policy.toml"),
        (&["rebuild", "--policy", "no-policy.toml"], 2, "no-policy.toml"),
        (&["rebuild", "--user-key", " , "], 2, "SUBLEDGER_USER_KEY"),
        (&["history", "sub_unknown"], 1, "sub_unknown"),
        (&["current", "--subscription", "sub_nope"], 1, "sub_nope"),
        (&["current", "--customer", "cus_nope"], 1, "cus_nope"),
        (&["event", "evt_unknown"], 1, "evt_unknown"),
        (&["backup", "taken.db"], 2, "taken.db"),
    ];
    for (arguments, status, named) in cases {
        let ran = run(path, arguments);
        let lines: Vec<&str> = ran.err.lines().collect();
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.err);
        assert_eq!(lines.len(), 2, "{arguments:?}: {}", ran.err);
        assert!(lines[0].starts_with("error: ") && lines[0].contains(named), "{}", ran.err);
        assert!(lines[1].starts_with("hint: "), "{}", ran.err);
        assert_eq!(ran.out, "", "{arguments:?}");
    }
    assert_eq!(run(path, &["curent"]).status, 2);
    assert_eq!(run(path, &["history", "user_1", "--as-of", "yesterday"]).status, 2);
}

#[test]
fn a_ledger_of_a_newer_program_is_not_touched_and_an_empty_one_is_no_error() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("none.jsonl"), "").unwrap();
    for arguments in [&["import", "none.jsonl"][..], &["rebuild"], &["current"]] {
        let ran = run(directory.path(), arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.err);
    }
    edit_file(
        directory.path(),
        "subledger.db",
        "UPDATE _sqlx_migrations SET version = 99 WHERE version = 1",
    );
    let ran = run(directory.path(), &["current"]);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!((ran.status, lines.len(), &*ran.out), (3, 2, ""), "{}", ran.err);
    assert!(lines[0].starts_with("error: ") && lines[0].contains("version 99"), "{}", ran.err);
    assert!(lines[1].starts_with("hint: "), "{}", ran.err);
}

#[test]
fn a_read_model_that_does_not_exist_yet_is_not_an_empty_one() {
    let directory = ledger();
    for file in ["subledger.read.db", "subledger.read.db-wal", "subledger.read.db-shm"] {
        let _ = std::fs::remove_file(directory.path().join(file));
    }
    let ran = run(directory.path(), &["current"]);
    assert_eq!(ran.status, 3, "{}", ran.err);
    assert!(ran.err.contains("is being built") && ran.err.contains("rebuild"), "{}", ran.err);
}

#[test]
fn verify_finds_a_row_that_was_edited_and_a_log_that_was() {
    let directory = ledger();
    let edit = |file, sql| edit_file(directory.path(), file, sql);
    edit(
        "subledger.read.db",
        "UPDATE current_subscriptions_g1 SET status = 'active' WHERE subscription_id = 'sub_1'",
    );
    let ran = run(directory.path(), &["verify"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("sub_1") && ran.out.contains("status"), "{}", ran.out);

    assert_eq!(run(directory.path(), &["rebuild"]).status, 0);
    assert_eq!(run(directory.path(), &["verify"]).status, 0);
    edit(
        "subledger.db",
        "PRAGMA writable_schema = 1;
         DELETE FROM sqlite_schema WHERE type = 'trigger';
         PRAGMA writable_schema = RESET;
         UPDATE events SET payload = replace(payload, 'canceled', 'active') WHERE position = 2",
    );
    let ran = run(directory.path(), &["verify"]);
    assert_eq!(ran.status, 1);
    assert!(ran.out.contains("at 2: the payload is not the one that was hashed"), "{}", ran.out);
}
