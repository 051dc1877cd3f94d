//! Tests of SQLite files.

use subledger::clock::Clock;
use subledger::store::OpenMode;

use super::*;

#[tokio::test]
async fn a_read_model_that_is_missing_unreadable_or_of_an_older_version_is_made_anew() {
    for spoil in ["remove", "garbage", "older"] {
        let (ledger, _) = live(&FoldBatch::default()).await;
        let path = ledger.url.read_path().unwrap();
        if spoil == "older" {
            raw::file(&path).await.run("PRAGMA user_version = 0").await;
        }
        ledger.store.close().await;
        match spoil {
            "remove" => std::fs::remove_file(&path).unwrap(),
            "garbage" => std::fs::write(&path, vec![7; 50_000]).unwrap(),
            _ => {}
        }
        let clock = Clock::fixed(NOON);
        let store = Store::open(&ledger.url, OpenMode::Existing, clock).await.unwrap();
        assert_eq!(store.read_model.generations().await.unwrap(), [], "{spoil}");
        begin(&store, "two").await;
        let again = ledger.open_again().await;
        assert_eq!(again.read_model.generations().await.unwrap().len(), 1, "and then kept");
    }
}

#[tokio::test]
async fn a_read_model_of_a_newer_program_is_left_to_it() {
    let (ledger, _) = live(&FoldBatch::default()).await;
    let mut sql = raw::read(&ledger.url).await;
    sql.run("PRAGMA user_version = 999").await;
    let opened = Store::open(&ledger.url, OpenMode::Existing, Clock::fixed(NOON)).await;
    let error = opened.unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found: 999, .. }), "{error:?}");
    assert_eq!(ledger.store.read_model.generations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_dropped_generation_gives_its_space_back() {
    let ledger = Ledger::new().await;
    let model = &ledger.store.read_model;
    let (generation, lease) = begin(&ledger.store, "one").await;
    let states = (0..2_000).map(|it| (customer(&format!("cus_{it}")), vec![7; 2_000])).collect();
    assert!(fold(&ledger.store, &lease, 1, &FoldBatch { states, ..FoldBatch::default() }).await);
    let mut sql = raw::read(&ledger.url).await;
    let pages = "SELECT page_count FROM pragma_page_count";
    let before: i64 = sql.value(pages).await;
    model.generation_drop(generation.id).await.unwrap();
    let after: i64 = sql.value(pages).await;
    assert!(after < before / 10, "{before} pages, then {after}");
}
