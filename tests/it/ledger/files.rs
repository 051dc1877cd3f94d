//! What holds for files of SQLite alone.

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
