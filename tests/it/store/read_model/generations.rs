//! Generations: the one that answers, the right to write to it, and the traces of a failed write.

use super::*;

#[tokio::test]
async fn before_a_generation_is_live_the_answer_is_that_it_is_being_built() {
    let ledger = Ledger::new().await;
    let (_, lease) = begin(&ledger.store, "one").await;
    assert!(fold(&ledger.store, &lease, 1, &FoldBatch::default()).await);
    let model = &ledger.store.read_model;
    let filter = SubscriptionFilter::default();
    let building = model.subscriptions(&filter, None, 1).await;
    assert!(matches!(building, Err(StoreError::ReadModelBuilding)), "{building:?}");
    let subject = TimelineKey::Customer(customer("cus_1"));
    let building = model.timeline(&subject, Position::ZERO, 1).await;
    assert!(matches!(building, Err(StoreError::ReadModelBuilding)), "{building:?}");
    assert_eq!(model.live().await.unwrap(), None);
    model.generation_complete(&lease, None).await.unwrap();
    model.subscriptions(&filter, None, 1).await.unwrap();
}

#[tokio::test]
async fn a_swap_keeps_the_previous_generation_and_drops_older_ones() {
    let ledger = Ledger::new().await;
    let model = &ledger.store.read_model;
    let filter = SubscriptionFilter::default();
    let mut last = None;
    for number in 1..=3 {
        let (_, lease) = begin(&ledger.store, &number.to_string()).await;
        let batch = FoldBatch {
            rows: made(vec![row(&format!("sub_{number}"), &[])]),
            ..FoldBatch::default()
        };
        assert!(fold(&ledger.store, &lease, number, &batch).await);
        if let Some(live) = model.live().await.unwrap() {
            assert_eq!(live.id, number - 1, "nothing changes before the swap");
        }
        assert_eq!(model.generation_complete(&lease, None).await.unwrap(), SwapOutcome::Live);
        last = Some(lease);
        let (stamp, rows) = model.subscriptions(&filter, None, 10).await.unwrap();
        assert_eq!(stamp.generation, number);
        assert_eq!(rows[0].subscription_id.as_str(), format!("sub_{number}"));
    }
    let statuses: Vec<_> =
        model.generations().await.unwrap().iter().map(|it| (it.id, it.status)).collect();
    assert_eq!(statuses, [(2, GenerationStatus::Previous), (3, GenerationStatus::Live)]);
    let mut sql = raw::read(&ledger.url).await;
    let schema = sql.schema().await;
    assert!(!schema.iter().any(|(name, _)| name.contains("_g1")), "{schema:?}");

    model.generation_activate(2).await.unwrap();
    assert_eq!(model.live().await.unwrap().unwrap().id, 2, "and it can be gone back to");
    assert!(matches!(model.generation_drop(2).await, Err(StoreError::GenerationIsLive(2))));
    model.generation_drop(3).await.unwrap();
    assert!(matches!(model.generation_drop(3).await, Err(StoreError::NoGeneration(3))));
    let gone = model.generation_complete(&last.unwrap(), None).await.unwrap();
    assert_eq!(gone, SwapOutcome::TakenOver);
    assert_eq!(begin(&ledger.store, "4").await.0.id, 4, "no number is given twice");
}

/// Number of rows of a generation, live or not.
async fn rows_of(ledger: &Ledger, generation: i64) -> i64 {
    let sql = format!("SELECT count(*) FROM current_subscriptions_g{generation}");
    raw::read(&ledger.url).await.value(&sql).await
}

#[tokio::test]
async fn whoever_lost_the_lease_writes_nothing() {
    let ledger = Ledger::new().await;
    let model = &ledger.store.read_model;
    let (generation, old) = begin(&ledger.store, "one").await;
    let batch = FoldBatch { rows: made(vec![row("sub_1", &[])]), ..FoldBatch::default() };
    let later = |seconds: i64| ReceivedAt(NOON.0 + seconds * 1_000_000);
    let id = generation.id;
    assert_eq!(model.lease_take(id, "other", later(9), 10).await.unwrap(), None);
    assert_eq!(model.lease_take(id, "me", later(9), 10).await.unwrap().as_ref(), Some(&old));
    assert_eq!(model.lease_take(id, "other", later(18), 10).await.unwrap(), None);
    let new = model.lease_take(id, "other", later(19), 10).await.unwrap().unwrap();
    assert_ne!(new.token, old.token);
    assert!(!fold(&ledger.store, &old, 1, &batch).await);
    assert_eq!(rows_of(&ledger, id).await, 0);

    let elsewhere = model.fold_commit(&new, Position(3), Position(4), [0; 32], &batch).await;
    assert_eq!(elsewhere.unwrap(), FoldOutcome::Fenced, "the checkpoint is not there");
    assert_eq!(rows_of(&ledger, id).await, 0);
    assert!(fold(&ledger.store, &new, 1, &batch).await);
    model.lease_release(&new).await.unwrap();
    assert!(model.lease_take(id, "me", later(19), 10).await.unwrap().is_some());
    assert_eq!(model.lease_take(99, "me", NOON, 10).await.unwrap(), None);
}

#[tokio::test]
async fn a_fold_that_fails_leaves_rows_and_checkpoint_as_they_were() {
    let ledger = Ledger::new().await;
    let model = &ledger.store.read_model;
    let (_, lease) = begin(&ledger.store, "one").await;
    let batch = FoldBatch {
        states: vec![(customer("cus_1"), vec![1])],
        rows: made(vec![row("sub_1", &[("status", Value::Null)])]),
        ..FoldBatch::default()
    };
    model.fold_commit(&lease, Position(0), Position(1), [0; 32], &batch).await.unwrap_err();
    let mut short = MadeRows::new(&CurrentSubscriptions);
    short.tables[0] = vec![vec![Value::Null]];
    let short = FoldBatch { rows: vec![short], ..FoldBatch::default() };
    model.fold_commit(&lease, Position(0), Position(1), [0; 32], &short).await.unwrap_err();
    assert_eq!(model.generations().await.unwrap()[0].position, Position::ZERO);
    assert_eq!(model.states(lease.tables(), &[customer("cus_1")]).await.unwrap(), HashMap::new());
    assert!(fold(&ledger.store, &lease, 1, &FoldBatch::default()).await);
}
