//! Fetches that fail, are killed, or lose their database: the end is the same.

use std::pin::pin;

use subledger::projector::Projector;

use super::*;
use crate::database_outage::{DatabaseOutage, first_steps};

/// World, and a ledger that heard thin events of it and fetched all that they name.
async fn calm(seed: u64) -> (World, TempDir, Store) {
    let plan = Plan { seed, subscriptions: 25, months: 2, ..Plan::default() };
    let world = World::with(plan, Options::default()).await;
    let (folder, calm) = new_ledger().await;
    hear_thin(&calm, world.events.iter()).await;
    fetch_all(&calm, &world).await;
    follow_to_the_end(&calm, &Logic::default()).await;
    (world, folder, calm)
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_and_kills_change_nothing_about_the_end() {
    let (world, _calm_folder, calm) = calm(30).await;
    let (_folder, store) = new_ledger().await;
    hear_thin(&store, world.events.iter()).await;
    note_thin_events(&store.log).await.unwrap();
    let dice = &mut Dice::new(5);
    let (mut kills, mut rounds) = (0, 0);
    while waiting(&store).await > 0 {
        rounds += 1;
        assert!(rounds < 500, "{} wait", waiting(&store).await);
        world.stripe.set_faults(Faults {
            seed: rounds,
            refusals: 0.1,
            server_errors: 0.1,
            cuts: 0.1,
            ..Faults::default()
        });
        let fold = FoldWait::start(&store, Logic::default(), Clock::System).await.unwrap();
        for scope in world.scopes() {
            let attempts = dice.between(1, 3);
            let key = if scope.livemode { "sk_live_simulated" } else { "sk_test_simulated" };
            let (client, clock) = (world.client_with(key, attempts), world.clock());
            let fetch = fetch_thin_events(&store, &client, &fold, &scope, &clock);
            // The first rounds end before they have done much.
            let polls_max = if kills < 20 { 6 } else { 300 };
            match first_steps(dice.between(1, polls_max), pin!(fetch)).await {
                Some(outcome) => drop(outcome.unwrap()),
                None => kills += 1,
            }
        }
        fold.stop().await;
    }
    assert!(kills >= 20, "{kills}");
    world.stripe.set_faults(Faults::default());
    assert_same_end(&store, &calm).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_goes_away_at_any_moment_of_a_fetch_changes_nothing_about_the_end() {
    let (world, _calm_folder, calm) = calm(31).await;
    let dice = &mut Dice::new(9);
    let (mut failures, mut ledgers) = (0, 0);
    // How many outages a fetch of a fast machine notices is chance.
    while failures < 10 {
        ledgers += 1;
        assert!(ledgers < 100, "{failures}");
        let (folder, beside) = new_ledger().await;
        hear_thin(&beside, world.events.iter()).await;
        note_thin_events(&beside.log).await.unwrap();
        let outage = DatabaseOutage::of(folder.path()).await;
        let store = outage.open().await;
        let projector = Projector::start(beside.clone(), Logic::default(), Clock::System);
        let fold = FoldWait::beside_service(&store);
        let mut rounds = 0;
        while waiting(&beside).await > 0 {
            rounds += 1;
            assert!(rounds < 100, "{} wait", waiting(&beside).await);
            for scope in world.scopes() {
                let (client, clock) = (world.client(scope.livemode), world.clock());
                let fetch = fetch_thin_events(&store, &client, &fold, &scope, &clock);
                match outage.hit(dice, 60, fetch).await {
                    Ok(_) => {}
                    Err(BackfillError::Store(error)) => {
                        assert!(error.is_unavailable(), "{error:?}");
                        failures += 1;
                    }
                    Err(error) => panic!("{error:?}"),
                }
            }
        }
        projector.stop().await;
        for state in [ThinState::Fetched, ThinState::Gone] {
            assert_eq!(of_state(&beside, state).await, of_state(&calm, state).await, "{state:?}");
        }
        assert_same_end(&beside, &calm).await;
        store.close().await;
        beside.close().await;
    }
}

/// Fails unless two ledgers have rows of the same content.
async fn assert_same_end(store: &Store, calm: &Store) {
    follow_to_the_end(store, &Logic::default()).await;
    let (rows, expected) = (rows(store).await, rows(calm).await);
    assert_eq!(rows.len(), expected.len());
    // An observation that only confirms what an event said is not appended, and which of them is first is chance here.
    let content = |row: &SubscriptionRow| SubscriptionRow {
        api_version: None,
        last_event_id: EventId::default(),
        last_event_at: StripeTime::default(),
        event_count: 0,
        observed_at: None,
        ..row.clone()
    };
    for (row, expected) in rows.iter().zip(&expected) {
        assert_eq!(content(row), content(expected));
    }
}
