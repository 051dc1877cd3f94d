//! Tests of SQLite files.

use super::*;

#[tokio::test]
async fn no_program_can_change_or_delete_what_was_logged() {
    let ledger = Ledger::new().await;
    let log = &ledger.store.log;
    log.append(&[event("evt_1", "one"), event("evt_2", "two")]).await.unwrap();
    log.append(&[event("evt_1", "one")]).await.unwrap();
    let before = all(&ledger.store).await;
    let mut sql = raw::log(&ledger.url).await;
    let copy = "INSERT OR REPLACE INTO events SELECT 3, event_id, account, livemode, 'x', api_version, created, created_nanos, received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash FROM events WHERE position = 1";
    let replace = "INSERT OR REPLACE INTO events SELECT position, 'evt_9', account, livemode, 'x', api_version, created, created_nanos, received_at, source, signature, payload_hash, leaf_hash, salt, payload, signed_with, signature_hash FROM events WHERE position = 1";
    for (statement, reason) in [
        ("DELETE FROM events", "events are never deleted"),
        ("UPDATE events SET payload = 'x'", "only erased"),
        ("UPDATE events SET payload = NULL", "only erased"),
        ("UPDATE events SET payload = NULL, salt = NULL", "only erased"),
        ("UPDATE events SET signature = NULL", "only erased"),
        (
            "UPDATE events SET payload = NULL, salt = NULL, signature = NULL, type = 'x'",
            "only erased",
        ),
        (
            "UPDATE events SET payload = NULL, salt = NULL, signature = NULL, signature_hash = NULL",
            "only erased",
        ),
        (
            "UPDATE events SET payload = NULL, salt = NULL, signature = NULL, signature_hash = x'00'",
            "only erased",
        ),
        (
            "UPDATE events SET payload = NULL, salt = NULL, signature = NULL, signed_with = 'x'",
            "only erased",
        ),
        ("UPDATE events SET signed_with = 'live:00000000'", "only erased"),
        ("UPDATE OR REPLACE events SET position = 2 WHERE position = 1", "only erased"),
        (copy, "the log only grows"),
        (replace, "the log only grows"),
        ("DELETE FROM log_head", "never deleted"),
        ("UPDATE log_head SET size = 1", "never goes backwards"),
        ("UPDATE log_head SET root = x'00'", "never goes backwards"),
        ("UPDATE log_head SET log_id = 'x'", "never goes backwards"),
        (
            "INSERT OR REPLACE INTO log_head SELECT one, 'x', 0, root, frontier, 0, 0 FROM log_head",
            "one head",
        ),
        ("DELETE FROM redeliveries", "never deleted"),
        ("UPDATE redeliveries SET count = 0", "only count up"),
        ("UPDATE redeliveries SET payload = 'x'", "only count up"),
        (
            "INSERT OR REPLACE INTO redeliveries SELECT position, payload_hash, 'x', 0, 0, 0, NULL FROM redeliveries",
            "counted",
        ),
    ] {
        let message = refused(&mut sql, statement).await;
        assert!(message.contains(reason), "{statement}: {message}");
    }
    assert_eq!(all(&ledger.store).await, before);
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn a_backup_is_the_same_log_and_overwrites_nothing() {
    let ledger = Ledger::new().await;
    ledger.store.log.append(&[event("evt_1", "one"), event("evt_2", "two")]).await.unwrap();
    let path = ledger.directory.path().join("copy.db");
    ledger.store.log.backup(&path).await.unwrap();
    ledger.store.log.append(&[event("evt_3", "three")]).await.unwrap();
    let refused = ledger.store.log.backup(&path).await;
    assert!(matches!(refused, Err(StoreError::FileExists { .. })), "{refused:?}");
    let nowhere = ledger.directory.path().join("missing/copy.db");
    let refused = ledger.store.log.backup(&nowhere).await;
    assert!(matches!(refused, Err(StoreError::CannotOpen { .. })), "{refused:?}");

    let url = subledger::store::DatabaseUrl::from_path(path);
    let copy = Store::open(&url, OpenMode::Existing, Clock::fixed(NOON)).await.unwrap();
    assert_eq!(all(&copy).await, all(&ledger.store).await[..2]);
    assert_eq!(copy.log.append(&[event("evt_4", "")]).await.unwrap(), [new(3)]);
    assert_sound(&copy).await;
}
