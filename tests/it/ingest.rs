//! Group commit: many requests share a transaction, and each gets its own answer.

use std::sync::Arc;
use std::task::Poll;

use proptest::prelude::*;
use subledger::ids::Position;
use subledger::ingest::{Ingest, Limits, SubmitError};
use subledger::store::Appended;
use tokio::task::JoinSet;

use crate::raw;
use crate::store::log::assert_sound;
use crate::store::{Ledger, event};

type Answers = JoinSet<(usize, Result<Appended, SubmitError>)>;

/// Submits events `first..=last`; when it returns, all of them are in the queue or refused.
async fn submit(ingest: &Ingest, first: usize, last: usize) -> Answers {
    let mut answers = JoinSet::new();
    for number in first..=last {
        let ingest = ingest.clone();
        let mut answer = Box::pin(async move {
            (number, ingest.submit(event(&format!("evt_{number}"), "{}")).await)
        });
        let polled = std::future::poll_fn(|context| Poll::Ready(answer.as_mut().poll(context)));
        match polled.await {
            Poll::Ready(answer) => answers.spawn(std::future::ready(answer)),
            Poll::Pending => answers.spawn(answer),
        };
    }
    answers
}

fn accepted(answers: Vec<(usize, Result<Appended, SubmitError>)>) -> Vec<i64> {
    let mut positions: Vec<_> =
        answers.into_iter().map(|(_, answer)| answer.unwrap().position.0).collect();
    positions.sort_unstable();
    positions
}

#[tokio::test]
async fn what_arrives_during_a_commit_shares_the_next_one() {
    let ledger = Ledger::new().await;
    let (ingest, writer) = Ingest::start(ledger.store.log.clone(), Limits::default());
    let answers = submit(&ingest, 1, 500).await.join_all().await;
    assert_eq!(accepted(answers), (1..=500).collect::<Vec<_>>());
    assert!(ingest.stats().commits() <= 2, "{} commits", ingest.stats().commits());
    assert_eq!(ingest.stats().events_new(), 500);
    assert_eq!(ingest.stats().commits_by_size().iter().sum::<u64>(), ingest.stats().commits());
    assert_eq!((ingest.queued_events(), ingest.queued_bytes()), (0, 0));
    ingest.close();
    writer.await.unwrap();
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn a_commit_is_no_greater_than_its_limits() {
    for limits in [
        Limits { commit_events: 7, ..Limits::default() },
        Limits { commit_bytes: 7 * "{}t=1,v1=00".len(), ..Limits::default() },
    ] {
        let ledger = Ledger::new().await;
        let (ingest, _writer) = Ingest::start(ledger.store.log.clone(), limits);
        submit(&ingest, 1, 70).await.join_all().await;
        assert!(ingest.stats().commits() >= 10, "{} commits", ingest.stats().commits());
        assert_eq!(ledger.store.log.head().await.unwrap().size, Position(70));
    }
}

#[tokio::test]
async fn a_full_queue_refuses_and_what_it_accepted_is_stored() {
    let bytes = "{}t=1,v1=00".len();
    for limits in [
        Limits { queue_events: 10, ..Limits::default() },
        Limits { queue_bytes: 10 * bytes, ..Limits::default() },
    ] {
        let ledger = Ledger::new().await;
        let mut lock = raw::log(&ledger.url).await;
        lock.run(raw::dialect().lock_log).await;
        let (ingest, _writer) = Ingest::start(ledger.store.log.clone(), limits);
        let first = submit(&ingest, 1, 1).await;
        while ingest.queued_events() > 0 {
            tokio::task::yield_now().await;
        }
        // The writer has taken the first and waits for the lock; ten more may wait.
        let mut rest = submit(&ingest, 2, 16).await;
        assert_eq!((ingest.queued_events(), ingest.queued_bytes()), (10, 10 * bytes));
        for _ in 0..5 {
            let (_, refused) = rest.join_next().await.unwrap().unwrap();
            assert_eq!(refused, Err(SubmitError::QueueFull));
        }
        lock.run("ROLLBACK").await;
        let mut stored = accepted(first.join_all().await);
        stored.extend(accepted(rest.join_all().await));
        assert_eq!(stored, (1..=11).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_event_greater_than_the_whole_queue_is_stored_alone() {
    let ledger = Ledger::new().await;
    let limits = Limits { queue_bytes: 1, commit_bytes: 1, ..Limits::default() };
    let (ingest, _writer) = Ingest::start(ledger.store.log.clone(), limits);
    let answer = ingest.submit(event("evt_1", &"x".repeat(100_000))).await.unwrap();
    assert_eq!(answer.position, Position(1));
}

#[tokio::test]
async fn an_event_that_the_database_refuses_fails_alone_and_its_neighbours_are_stored() {
    let ledger = Ledger::new().await;
    let (ingest, _writer) = Ingest::start(ledger.store.log.clone(), Limits::default());
    ingest.submit(event("evt_0", "{}")).await.unwrap();
    let mut sql = raw::log(&ledger.url).await;
    sql.run(raw::dialect().fault_at_evt_20).await;
    let (refused, stored): (Vec<_>, Vec<_>) = submit(&ingest, 1, 40)
        .await
        .join_all()
        .await
        .into_iter()
        .partition(|(_, answer)| answer.is_err());
    assert_eq!(refused, [(20, Err(SubmitError::Unavailable))]);
    assert_eq!(accepted(stored), (2..=40).collect::<Vec<_>>());
    // Of the batch as a whole, and of the event by itself.
    assert_eq!(ingest.stats().commits_failed(), 2);
    sql.run(raw::dialect().no_fault).await;
    let last = ingest.submit(event("evt_20", "{}")).await.unwrap();
    assert_eq!((last.position, last.duplicate), (Position(41), false));
    assert_sound(&ledger.store).await;
}

#[tokio::test]
async fn a_log_that_stays_locked_is_unavailable_and_then_works_again() {
    let ledger = Ledger::new().await;
    let (ingest, _writer) = Ingest::start(ledger.store.log.clone(), Limits::default());
    let mut lock = raw::log(&ledger.url).await;
    lock.run(raw::dialect().lock_log).await;
    assert_eq!(ingest.submit(event("evt_1", "{}")).await, Err(SubmitError::Unavailable));
    lock.run("ROLLBACK").await;
    assert!(!ingest.submit(event("evt_1", "{}")).await.unwrap().duplicate);
}

#[tokio::test]
async fn closing_stores_what_was_accepted_and_refuses_the_rest() {
    let ledger = Ledger::new().await;
    let (ingest, writer) =
        Ingest::start(ledger.store.log.clone(), Limits { commit_events: 16, ..Limits::default() });
    let answers = submit(&ingest, 1, 100).await;
    ingest.close();
    assert_eq!(ingest.submit(event("evt_101", "{}")).await, Err(SubmitError::Closed));
    writer.await.unwrap();
    assert_eq!(accepted(answers.join_all().await), (1..=100).collect::<Vec<_>>());
    let reopened = ledger.open_again().await;
    assert_eq!(reopened.log.head().await.unwrap().size, Position(100));
    assert_sound(&reopened).await;
}

#[tokio::test]
async fn nobody_waits_for_a_writer_that_is_gone() {
    let ledger = Ledger::new().await;
    let mut lock = raw::log(&ledger.url).await;
    lock.run(raw::dialect().lock_log).await;
    let (ingest, writer) = Ingest::start(ledger.store.log.clone(), Limits::default());
    let mut answers = submit(&ingest, 1, 1).await;
    while ingest.queued_events() > 0 {
        tokio::task::yield_now().await;
    }
    let mut queued = submit(&ingest, 2, 2).await;
    writer.abort();
    for answers in [&mut answers, &mut queued] {
        let (_, answer) = answers.join_next().await.unwrap().unwrap();
        assert_eq!(answer, Err(SubmitError::Unavailable));
    }
    assert_eq!(ingest.submit(event("evt_3", "{}")).await, Err(SubmitError::Closed));
}

#[tokio::test]
async fn whoever_hangs_up_does_not_keep_the_event_from_being_stored() {
    let ledger = Ledger::new().await;
    let (ingest, writer) = Ingest::start(ledger.store.log.clone(), Limits::default());
    let mut answers = submit(&ingest, 1, 5).await;
    answers.abort_all();
    while answers.join_next().await.is_some() {}
    ingest.close();
    writer.await.unwrap();
    assert_eq!(ledger.store.log.head().await.unwrap().size, Position(5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_answer_names_the_place_where_the_event_stands(
        ids in prop::collection::vec(0..40_usize, 1..200),
        commit_events in 1..50_usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let ledger = Ledger::new().await;
            let limits = Limits { commit_events, ..Limits::default() };
            let (ingest, _writer) = Ingest::start(ledger.store.log.clone(), limits);
            let ids = Arc::new(ids);
            let mut answers = JoinSet::new();
            for &id in ids.iter() {
                let ingest = ingest.clone();
                answers.spawn(async move {
                    (id, ingest.submit(event(&format!("evt_{id}"), "{}")).await.unwrap())
                });
            }
            let answers = answers.join_all().await;
            for (id, answer) in &answers {
                let at = ledger.store.log.events_at(&[answer.position]).await.unwrap();
                assert_eq!(at[0].facts.event_id.as_str(), format!("evt_{id}"));
            }
            let new = answers.iter().filter(|(_, answer)| !answer.duplicate).count();
            let size = ledger.store.log.head().await.unwrap().size;
            assert_eq!(usize::try_from(size.0).unwrap(), new, "one is new of each id");
            assert_sound(&ledger.store).await;
        });
    }
}
