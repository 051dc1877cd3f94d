//! Events that one version of the fold could not read are folded by the next one: by a rebuild, and automatically.

use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::projection::Logic;
use subledger::store::{
    DatabaseUrl, FoldBatch, FoldOutcome, GenerationLogic, OpenMode, Parked, Store,
};
use subledger::time::ReceivedAt;

use crate::app::server::{Event, TestServer, options};
use crate::ledger::new_event;
use crate::store::begin;

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_with_a_mended_fold_folds_what_was_parked() {
    let folder = tempfile::tempdir().unwrap();
    let options = options(folder.path());
    older_fold_parked_a_good_event(&options.database).await;

    let server = TestServer::run(folder, options).await;
    server.caught_up().await;
    assert_eq!(server.read("/v1/projections").await["parked"], serde_json::json!([]));
    let row = server.read("/v1/subscriptions/sub_1").await;
    assert_eq!((&row["status"], &row["parked"]), (&"active".into(), &0.into()));
    let health = server.client.get(format!("{}/healthz", server.url)).send().await.unwrap();
    assert_eq!(health.text().await.unwrap(), r#"{"status":"ok","reasons":[]}"#);
    server.stop().await;
}

/// A log with one event, and a live generation that an older program could not fold it into.
async fn older_fold_parked_a_good_event(url: &DatabaseUrl) {
    let store = Store::open(url, OpenMode::Create, Clock::System).await.unwrap();
    let event = new_event(&Event::default().body());
    store.log.append(&[event]).await.unwrap();
    let logged = store.log.events_at(&[Position(1)]).await.unwrap().remove(0);
    let logic = Logic::default();
    let older = GenerationLogic {
        fingerprint: "of an older program".to_owned(),
        fold_version: subledger::projection::FOLD_VERSION - 1,
        policy: logic.policy_text.clone(),
        user_keys: logic.user_keys_text(),
    };
    let model = &store.read_model;
    let (generation, lease) = begin(&store, &older, ("older", ReceivedAt(1), 1)).await;
    let parked = Parked {
        position: Position(1),
        event_id: logged.facts.event_id.clone(),
        scope: logged.facts.scope.clone(),
        customer: Some("cus_of_user_1".into()),
        subscription: Some("sub_1".into()),
        event_type: logged.facts.event_type.clone(),
        reason: "subscription: nothing this old fold could read".to_owned(),
    };
    let batch = FoldBatch {
        folded_received_at: logged.received_at,
        parked: vec![parked],
        ..FoldBatch::default()
    };
    let folded = model.fold_commit(&lease, Position::ZERO, Position(1), logged.leaf_hash, &batch);
    assert_eq!(folded.await.unwrap(), FoldOutcome::Committed);
    model.generation_complete(&lease, None).await.unwrap();
    assert_eq!(model.parked_count(generation.id).await.unwrap(), 1);
    store.close().await;
}
