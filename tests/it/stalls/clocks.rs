//! Times that were stored by a clock that was ahead.

use std::time::Duration;

use subledger::audit::{self, Past, Subject, SubjectKind};
use subledger::clock::Clock;
use subledger::ids::{AccountId, Scope};
use subledger::projection::Logic;
use subledger::projection::read_model::PROJECTIONS;
use subledger::projector::{self, FollowerState, Projector};
use subledger::store::{
    BeginOutcome, GenerationLogic, GenerationStatus, OpenMode, Store, tables_schema,
};
use subledger::time::ReceivedAt;
use tokio_util::sync::CancellationToken;

use crate::app::server::Event;
use crate::ledger::{SWAP, follow_to_the_end, new_event};
use crate::store::Ledger;

/// Seconds that the clock was ahead.
const AHEAD: i64 = 2 * 60 * 60;

fn ahead() -> ReceivedAt {
    ReceivedAt(Clock::System.now().0 + AHEAD * 1_000_000)
}

async fn append(ledger: &Ledger, id: &'static str) {
    let body = Event { id, ..Event::default() }.body();
    ledger.store.log.append(&[new_event(&body)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_ends_hours_from_now_and_is_not_renewed_is_taken_over() {
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger, "evt_1").await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    let model = &ledger.store.read_model;
    let taken = model.lease_take(1, "another", ahead(), 10).await.unwrap();
    assert!(taken.is_some());
    append(&ledger, "evt_2").await;
    // It ends when all is folded.
    let status = follow_to_the_end(&ledger.store, &Logic::default()).await;
    assert_eq!(status.position.0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_is_renewed_is_left_to_its_holder_whatever_its_clock_says() {
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger, "evt_1").await;
    follow_to_the_end(&ledger.store, &Logic::default()).await;
    let model = &ledger.store.read_model;
    let lease = model.lease_take(1, "another", ahead(), 10).await.unwrap().unwrap();
    append(&ledger, "evt_2").await;
    let projector = Projector::start(ledger.store.clone(), Logic::default(), Clock::System);
    for _ in 0..30 {
        assert!(model.lease_renew(&lease, ahead(), 10).await.unwrap());
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let status = projector.handle().status();
    assert_eq!((&status.state, status.position.0), (&FollowerState::Standby, 1));
    // And nobody is told that all is well: the log is ahead, and nothing moves.
    assert_eq!(status.lag_events(), 1);
    assert!(status.stalled_for() > Duration::ZERO);
    assert!(status.lag_seconds(ReceivedAt(0)) > 0.0, "whatever the clock says");
    projector.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_rebuild_of_a_clock_that_was_ahead_does_not_block_the_next_one() {
    let ledger = Ledger::with_clock(Clock::System).await;
    append(&ledger, "evt_1").await;
    let (model, stop) = (&ledger.store.read_model, CancellationToken::new());
    let logic = Logic::default();
    let stored = GenerationLogic {
        fingerprint: logic.fingerprint(&tables_schema(PROJECTIONS)),
        fold_version: 1,
        policy: String::new(),
        user_keys: String::new(),
    };
    let log_id = ledger.store.log.head().await.unwrap().log_id;
    let begun =
        model.generation_begin(None, &stored, &log_id, "another", ahead(), 10).await.unwrap();
    assert!(matches!(begun, BeginOutcome::Started(..)));
    let rebuilt = projector::rebuild(&ledger.store, &logic, &Clock::System, &stop, SWAP, |_| {});
    assert_eq!(rebuilt.await.unwrap().generation, 2);
    let left = model.generations().await.unwrap();
    assert_eq!(left.len(), 1, "what was killed is dropped: {left:?}");
    assert_eq!(left[0].status, GenerationStatus::Live);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_known_at_leaves_out_because_it_was_received_in_the_future_is_counted() {
    let early = Ledger::with_clock(Clock::fixed(ahead())).await;
    append(&early, "evt_1").await;
    // The same database, by a clock that was set right.
    let ledger = Store::open(&early.url, OpenMode::Existing, Clock::System).await.unwrap();
    let body = Event { id: "evt_2", ..Event::default() }.body();
    ledger.log.append(&[new_event(&body)]).await.unwrap();
    follow_to_the_end(&ledger, &Logic::default()).await;
    let subject = || Subject {
        kind: SubjectKind::Subscription,
        id: Event::default().subscription.to_owned(),
        scope: Scope { account: AccountId::default(), livemode: true },
    };
    let now = Past { known_at: Some(Clock::System.now()), ..Past::default() };
    let (_, history) = audit::history(&ledger, subject(), now).await.unwrap().unwrap();
    assert_eq!((history.events.len(), history.received_in_future), (0, 2));
    let then = Past { known_at: Some(ReceivedAt(ahead().0 + 60_000_000)), ..Past::default() };
    for past in [then, Past::default()] {
        let (_, history) = audit::history(&ledger, subject(), past).await.unwrap().unwrap();
        assert_eq!((history.events.len(), history.received_in_future), (2, 0));
    }
}
