//! Tests of SQLite files.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_model_of_another_log_is_made_again_once_somebody_has_dropped_it() {
    let folder = tempfile::tempdir().unwrap();
    let simulation = simulation(14);
    let store = open(folder.path()).await;
    let (backed_up, lost) = simulation.events.split_at(simulation.events.len() / 2);
    append(&store, backed_up).await;
    let backup = folder.path().join("backup.db");
    store.log.backup(&backup).await.unwrap();
    append(&store, lost).await;
    follow_to_the_end(&store, &Logic::default()).await;
    store.close().await;
    for name in ["subledger.db-wal", "subledger.db-shm"] {
        let _ = std::fs::remove_file(folder.path().join(name));
    }
    std::fs::rename(&backup, folder.path().join("subledger.db")).unwrap();

    let store = open(folder.path()).await;
    store.read_model.generations_clear().await.unwrap();
    follow_to_the_end(&store, &Logic::default()).await;
    assert_verifies(&store).await;
    append(&store, lost).await;
    follow_to_the_end(&store, &Logic::default()).await;
    assert_rows_are_true(&rows(&store).await, &simulation.truth);
    assert_verifies(&store).await;
}

/// Runs a statement in the `sqlite3` of this machine, which is older than the one that is compiled in here.
fn sqlite3(folder: &Path, file: &str, sql: &str) -> String {
    let mut command = std::process::Command::new("sqlite3");
    let ran = command.current_dir(folder).args(["-readonly", file, sql]).output();
    let ran = ran.expect("sqlite3 is not installed: tests/run.sh installs it");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// The view's rows, as text.
fn viewed(folder: &Path) -> Vec<String> {
    let sql = "SELECT subscription_id || ' ' || items FROM current_subscriptions \
        ORDER BY account, livemode, subscription_id";
    sqlite3(folder, "subledger.read.db", sql).lines().map(str::to_owned).collect()
}

/// An older SQLite opens no table of a file that holds a view which it cannot parse.
#[tokio::test(flavor = "multi_thread")]
async fn an_older_sqlite_reads_both_files_and_the_same_items() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let simulation = simulation(21);
    append(&store, &simulation.events).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let rows = rows(&store).await;
    assert!(rows.iter().any(|row| row.items.0.len() > 1), "order matters somewhere");
    let expected: Vec<String> = rows
        .iter()
        .map(|row| {
            format!("{} {}", row.subscription_id, serde_json::to_string(&row.items).unwrap())
        })
        .collect();
    assert_eq!(viewed(folder.path()), expected);
    let count =
        sqlite3(folder.path(), "subledger.db", "SELECT count(*) FROM events").trim().to_owned();
    assert_eq!(count, simulation.events.len().to_string());
    // One table or view that cannot be parsed makes a whole file unreadable: the read model is for SQLite 3.35, which
    // knows no STRICT tables (3.37) and no `->` (3.38); the log has such tables.
    for (file, newer) in [("subledger.read.db", &["STRICT", "->"][..]), ("subledger.db", &["->"])] {
        let schema = "SELECT group_concat(sql, char(10)) FROM sqlite_schema";
        let schema = sqlite3(folder.path(), file, schema);
        for word in newer {
            assert!(!schema.contains(word), "{file}: {word} in {schema}");
        }
    }

    // A view that an older version of this program wrote is written again when the ledger is opened.
    store.close().await;
    let mut sql = crate::raw::file(&folder.path().join("subledger.read.db")).await;
    let old = "DROP VIEW current_subscriptions; CREATE VIEW current_subscriptions AS SELECT s.subscription_id,
        (SELECT json_group_array(item.value ORDER BY item.key) FROM json_each(s.items) AS item) AS items
        FROM current_subscriptions_g1 AS s";
    sql.run(old).await;
    drop(sql);
    let store = open(folder.path()).await;
    assert_eq!(viewed(folder.path()), expected);
    store.close().await;
}
