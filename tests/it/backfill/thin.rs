//! Thin events: what they name is fetched, and the rows are those of a ledger that heard the snapshots.

mod history;
mod interrupted;
mod served;

use std::collections::BTreeSet;

use subledger::backfill::{
    BackfillError, FoldWait, ThinOutcome, fetch_thin_events, note_thin_events,
};
use subledger::clock::Clock;
use subledger::ids::{EventId, Position, Scope};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::simulate::serve::{CONNECT_PERMISSION, Faults, Key, Options, SeenRequest};
use subledger::simulate::{Plan, SimulatedEvent, thin_twin};
use subledger::store::{Store, ThinEvent, ThinState};
use subledger::stripe::thin::folded_twin;
use subledger::stripe_api::{ApiClient, ApiError};
use subledger::time::{DAY_SECONDS, StripeTime};
use tempfile::TempDir;

use super::world::World;
use super::wrong;
use crate::ledger::{append_bodies, follow_to_the_end, open, rows};
use crate::order::Dice;

/// Twin of an event, if it is one that is fetched.
fn twin(event: &SimulatedEvent) -> Option<SimulatedEvent> {
    thin_twin(event).filter(|it| folded_twin(&it.event_type).is_some())
}

/// Appends the thin twins of events. An event without one is appended itself.
async fn hear_thin<'a>(store: &Store, events: impl Iterator<Item = &'a SimulatedEvent>) {
    let bodies: Vec<String> = events
        .map(|event| twin(event).map_or_else(|| event.body.clone(), |twin| twin.body))
        .collect();
    for some in bodies.chunks(200) {
        append_bodies(store, some).await;
    }
}

async fn round(
    store: &Store,
    world: &World,
    scope: &Scope,
    client: &ApiClient,
) -> Result<ThinOutcome, BackfillError> {
    let fold = FoldWait::start(store, Logic::default(), Clock::System).await?;
    let outcome = fetch_thin_events(store, client, &fold, scope, &world.clock()).await;
    fold.stop().await;
    outcome
}

/// Fetches what waits, of all accounts and modes.
async fn fetch_all(store: &Store, world: &World) -> ThinOutcome {
    let mut all = ThinOutcome::default();
    for scope in world.scopes() {
        let client = world.client(scope.livemode);
        loop {
            all.add(round(store, world, &scope, &client).await.unwrap());
            if !all.has_more {
                break;
            }
        }
    }
    all
}

async fn waiting(store: &Store) -> u64 {
    store.log.thin_waiting().await.unwrap().iter().map(|it| it.waiting).sum()
}

/// All noted thin events.
async fn noted(store: &Store) -> Vec<ThinEvent> {
    let size = store.log.head().await.unwrap().size;
    let positions: Vec<Position> = (1..=size.0).map(Position).collect();
    store.log.thin_events_at(&positions).await.unwrap()
}

async fn of_state(store: &Store, state: ThinState) -> usize {
    noted(store).await.iter().filter(|it| it.state == state).count()
}

/// Requests since the last call.
fn asked(world: &World) -> Vec<SeenRequest> {
    world.stripe.take_requests()
}

async fn new_ledger() -> (TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    (folder, store)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_that_hears_only_thin_events_has_the_rows_of_one_that_hears_snapshots() {
    let world = World::with(
        Plan { seed: 21, subscriptions: 40, months: 3, ..Plan::default() },
        Options::default(),
    )
    .await;
    let (_thin_folder, thin) = new_ledger().await;
    let (_folder, snapshots) = new_ledger().await;
    let (mut heard_until, end) = (i64::MIN, world.stripe.now());
    for days in [20, 40, 60, 80, 100] {
        let now = (world.start.0 + days * DAY_SECONDS).min(end.0);
        world.stripe.set_now(StripeTime(now));
        let some = world.events.iter().filter(|it| (heard_until + 1..=now).contains(&it.created));
        hear_thin(&thin, some.clone()).await;
        let bodies: Vec<_> = some.map(|it| it.body.as_str()).collect();
        append_bodies(&snapshots, &bodies).await;
        heard_until = now;
        let outcome = fetch_all(&thin, &world).await;
        assert!(outcome.appended > 50, "{outcome:?}");
        assert_eq!((outcome.failed, outcome.gone, outcome.stopped), (0, 0, None));
        assert_eq!(waiting(&thin).await, 0);
    }
    for request in asked(&world) {
        assert!(request.url.starts_with("/v1/events/"), "{request:?}");
    }
    follow_to_the_end(&thin, &Logic::default()).await;
    follow_to_the_end(&snapshots, &Logic::default()).await;
    let expected = rows(&snapshots).await;
    assert!(expected.len() > 30, "{}", expected.len());
    assert_eq!(rows(&thin).await, expected);
    let report = subledger::audit::verify(&thin, None, |_| {}).await.unwrap();
    assert!(report.is_clean(), "{:#?}", report.findings);

    let size = thin.log.head().await.unwrap().size;
    fetch_all(&thin, &world).await;
    assert_eq!(asked(&world), [], "nothing waits, so nothing is asked for");
    assert_eq!(thin.log.head().await.unwrap().size, size);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_events_that_stripe_no_longer_has_the_objects_are_observed() {
    let world = World::start(22, 60).await;
    let (_folder, store) = new_ledger().await;
    hear_thin(&store, world.events.iter()).await;
    let outcome = fetch_all(&store, &world).await;
    assert_eq!((outcome.failed, outcome.stopped), (0, None));
    assert_eq!(waiting(&store).await, 0);
    let observed = world.observed(&store).await;
    assert!(observed.len() > 200, "{}", observed.len());
    assert!(outcome.appended > observed.len() as u64, "the events of the last month, too");
    // Each object is asked for once a round, however many events name it.
    let asked = asked(&world);
    let account_header = |it: &SeenRequest| it.account.clone().unwrap_or_default();
    let accounts: BTreeSet<_> = asked.iter().map(account_header).collect();
    assert!(accounts.len() > 1, "connected accounts are asked for by name: {accounts:?}");
    follow_to_the_end(&store, &Logic::default()).await;
    let wrong = wrong(&rows(&store).await, &world).await;
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_in_the_log_already_costs_no_request() {
    let world = World::start(23, 20).await;
    let (_folder, store) = new_ledger().await;
    for event in world.events.iter().rev().take(500) {
        append_bodies(&store, &[twin(event).map_or_else(|| event.body.clone(), |it| it.body)])
            .await;
    }
    let bodies: Vec<_> = world.events.iter().map(|it| it.body.as_str()).collect();
    for some in bodies.chunks(500) {
        append_bodies(&store, some).await;
    }
    let size = store.log.head().await.unwrap().size;
    let outcome = fetch_all(&store, &world).await;
    assert!(outcome.known > 300 && outcome.known == outcome.seen, "{outcome:?}");
    assert_eq!(asked(&world), []);
    assert_eq!(store.log.head().await.unwrap().size, size);
    assert_eq!(of_state(&store, ThinState::Fetched).await as u64, outcome.known);
}

/// Body of a thin event of long ago.
fn thin(id: &str, snapshot: &str, related: &str) -> String {
    format!(
        r#"{{"id":"{id}","object":"v2.core.event","type":"v1.customer.subscription.updated","livemode":true,
        "created":"2026-03-01T00:00:00.417Z","context":null,"snapshot_event":{snapshot},"related_object":{related}}}"#
    )
}

const LOST: &str = r#"{"id":"sub_lost","type":"subscription","url":"/v1/subscriptions/sub_lost"}"#;

#[tokio::test(flavor = "multi_thread")]
async fn what_stripe_shows_no_more_is_gone_if_the_key_belongs_to_the_account() {
    let world = World::start(24, 10).await;
    let own = Scope { livemode: true, ..Scope::default() };
    let client = world.client(true);
    let (_folder, store) = new_ledger().await;
    append_bodies(&store, &[thin("evt_thin1", "\"evt_lost\"", LOST)]).await;
    follow_to_the_end(&store, &Logic::default()).await;
    // Nothing tells yet whether the key shows the right account.
    let outcome = round(&store, &world, &own, &client).await.unwrap();
    assert_eq!((outcome.gone, outcome.failed), (0, 1));
    let [it] = &noted(&store).await[..] else { panic!() };
    assert_eq!((it.state, it.attempts), (ThinState::Waiting, 1));
    assert!(it.error.as_deref().unwrap().contains("check that the API key belongs"), "{it:?}");

    hear_thin(&store, world.events.iter().filter(|it| it.livemode && it.account.is_empty())).await;
    let outcome = round(&store, &world, &own, &client).await.unwrap();
    assert!(outcome.appended > 0 && outcome.gone >= 1, "{outcome:?}");
    let lost = noted(&store).await.into_iter().next().unwrap();
    assert_eq!((lost.state, lost.object_id.as_deref()), (ThinState::Gone, Some("sub_lost")));
    assert_eq!(lost.error.as_deref(), Some("Stripe has nothing at /v1/subscriptions/sub_lost"));

    let other = World::start(25, 10).await;
    append_bodies(&store, &[thin("evt_thin2", "\"evt_lost\"", LOST)]).await;
    follow_to_the_end(&store, &Logic::default()).await;
    let failed = round(&store, &other, &own, &other.client(true)).await;
    assert!(matches!(failed, Err(BackfillError::OtherAccount(_))), "{failed:?}");
    assert_eq!(waiting(&store).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_ids_and_urls_send_no_request() {
    let world = World::start(26, 5).await;
    let (_folder, store) = new_ledger().await;
    let mut bodies = Vec::new();
    for url in [
        "https://evil.example/v1/customers/cus_1",
        "//evil.example/v1/customers/cus_1",
        "/v1/customers/../accounts",
        "/v1/customers/cus_1?limit=1",
        "/v1/customers/cus_1#x",
        "/v1/customers/%2e%2e/x",
        "/v2/core/events/evt_1",
        "@evil.example/v1/x",
    ] {
        let related = serde_json::json!({ "id": "cus_1", "type": "customer", "url": url });
        let id = format!("evt_url{}", bodies.len());
        bodies.push(thin(&id, "\"evt_1\"", &related.to_string()));
    }
    for snapshot in ["\"\"", "\"evt_1/../../accounts\"", "\"evt_1?x\"", "7", "{}"] {
        bodies.push(thin(&format!("evt_id{}", bodies.len()), snapshot, "null"));
    }
    bodies.push(thin("evt_nothing", "null", "null"));
    append_bodies(&store, &bodies).await;
    fetch_all(&store, &world).await;
    assert_eq!(asked(&world), []);
    let noted = noted(&store).await;
    assert_eq!(noted.len(), bodies.len());
    for it in noted {
        assert_eq!(it.state, ThinState::Gone);
        assert!(it.error.unwrap().starts_with("it cannot be read: "));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_visible_yet_is_asked_for_again() {
    let options = Options { events_visible_after_seconds: 60, ..Options::default() };
    let plan = Plan { seed: 27, subscriptions: 10, ..Plan::default() };
    let world = World::with(plan, options).await;
    let is_own = |it: &&SimulatedEvent| it.livemode && it.account.is_empty();
    let events = world.events.iter().filter(is_own).filter(|it| twin(it).is_some());
    let last = events.max_by_key(|it| it.created).unwrap();
    let (_folder, store) = new_ledger().await;
    hear_thin(&store, std::iter::once(last)).await;
    for (later, young, appended) in [(1, 1, 0), (59, 1, 0), (60, 0, 1)] {
        world.stripe.set_now(StripeTime(last.created + later));
        let outcome = fetch_all(&store, &world).await;
        assert_eq!((outcome.young, outcome.appended), (young, appended), "after {later} s");
    }
    assert_eq!(noted(&store).await[0].attempts, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_type_that_the_key_may_not_read_holds_up_no_other() {
    let key = "rk_live_partial";
    let reads =
        ["rak_event_read", "rak_subscription_read", "rak_customer_read", CONNECT_PERMISSION];
    let keys = vec![Key::restricted(key, reads), Key::full("sk_test_simulated")];
    let plan = Plan { seed: 28, subscriptions: 20, ..Plan::default() };
    let world = World::with(plan, Options { keys, ..Options::default() }).await;
    let own = Scope { livemode: true, ..Scope::default() };
    let (_folder, store) = new_ledger().await;
    hear_thin(&store, world.events.iter().filter(|it| it.livemode && it.account.is_empty())).await;
    let outcome = round(&store, &world, &own, &world.client_with(key, 3)).await.unwrap();
    assert!(outcome.failed > 20 && outcome.appended > 20, "{outcome:?}");
    assert_eq!(outcome.stopped, None);
    let refused = asked(&world).iter().filter(|it| it.status == 403).count();
    assert!((1..60).contains(&refused), "each type is refused a few times: {refused}");
    let failing = store.log.thin_waiting().await.unwrap();
    assert_eq!(failing[0].failing, outcome.failed);
    let failed = noted(&store).await.into_iter().find(|it| it.attempts > 0).unwrap();
    assert!(failed.error.unwrap().contains("the API key lacks the permission rak_"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_does_not_answer_ends_the_round_after_a_few_requests() {
    let world = World::start(29, 20).await;
    let own = Scope { livemode: true, ..Scope::default() };
    let (_folder, store) = new_ledger().await;
    hear_thin(&store, world.events.iter()).await;
    world.stripe.set_faults(Faults { server_errors: 1.0, ..Faults::default() });
    let outcome = round(&store, &world, &own, &world.client_with("sk_live_simulated", 1)).await;
    let outcome = outcome.unwrap();
    assert!(matches!(outcome.stopped, Some(ApiError::Unavailable { .. })), "{outcome:?}");
    assert_eq!((outcome.failed, outcome.appended, outcome.has_more), (3, 0, false));
    assert!(asked(&world).len() < 15);
    let refused = round(&store, &world, &own, &world.client_with("sk_live_unknown", 1)).await;
    assert!(matches!(refused.unwrap().stopped, Some(ApiError::KeyRefused { .. })));
}
