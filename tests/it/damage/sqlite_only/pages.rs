//! Pages of a file that cannot be read at all.

use std::io::{Seek as _, SeekFrom, Write as _};

use super::super::*;

/// Overwrites some successive pages in the middle of a file.
fn overwrite(path: &std::path::Path, page_bytes: u64, pages: u64) {
    let mut file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    let middle = file.metadata().unwrap().len() / 2 / page_bytes * page_bytes;
    file.seek(SeekFrom::Start(middle)).unwrap();
    for _ in 0..page_bytes * pages / 1_024 {
        file.write_all(&[0xff; 1_024]).unwrap();
    }
    file.sync_all().unwrap();
}

/// Events on pages that cannot be read are named, and those before and behind them are read.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_the_log_that_cannot_be_read_is_gone_around() {
    let (directory, url, store) = unfolded().await;
    let size = store.log.head().await.unwrap().size;
    store.close().await;
    overwrite(url.log_path().unwrap(), 16 * 1_024, 1);

    let store = Store::open(&url, OpenMode::Existing, Clock::System).await.unwrap();
    let report = audit::verify(&store, None, |_| {}).await.unwrap();
    let unreadable = report.unreadable;
    assert!((1..40).contains(&unreadable), "{:?}", report.findings);
    assert_eq!(report.events, size.0);
    let status = follow_to_the_end(&store, &Logic::default()).await;
    assert_eq!((status.position, status.parked), (size, unreadable));
    let live = outcome(&store).await;
    let reason = "the database cannot read the row (its page is damaged)";
    assert!(live.0.iter().all(|it| it.reason == reason), "{:?}", live.0);
    rebuild(&store).await;
    assert_eq!(outcome(&store).await, live);

    run_to(&directory, &["export"], 3, "the database cannot read the row");
    let ran = run_to(&directory, &["export", "--skip-damaged"], 1, "not exported: event");
    assert_eq!(lines(&ran), size.0 - unreadable);
}
