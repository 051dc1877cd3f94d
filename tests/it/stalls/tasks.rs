//! Tasks are watched, and an end in order comes whatever hangs.

use subledger::service::Service;

use crate::app::server::options;

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_ends_by_itself_is_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::start(options(folder.path())).await.unwrap();
    service.app().ingest.close();
    assert_eq!(service.failed().await, "the writer of the log");
    assert!(service.stop().await, "the rest ends in order");
}
