//! Syncs of running services: one of several does it, and a failure stops nothing.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use subledger::backfill::FoldWait;
use subledger::clock::Clock;
use subledger::coverage::{CoveredBy, Span};
use subledger::ids::Scope;
use subledger::projection::Logic;
use subledger::reconcile::start_daily;
use subledger::simulate::Plan;
use subledger::simulate::serve::{Key, Options};
use subledger::store::{Store, SyncState};
use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions, NewEndpoint, RetryPolicy};
use subledger::sync::{SyncHandle, SyncOptions, SyncStatus};
use subledger::time::{DAY_SECONDS, ReceivedAt, StripeTime};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::lost::Ledger;
use crate::app::server::{Event, TestServer, json_of};
use crate::backfill::world::World;
use crate::database_outage::DatabaseOutage;
use crate::ledger::open;

fn live() -> Scope {
    Scope { livemode: true, ..Scope::default() }
}

/// Waits until something is true.
async fn until(mut is_true: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !is_true().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.expect("it becomes true");
}

/// Clock of a ledger, which the test moves together with Stripe's.
fn clock_of(world: &World) -> Clock {
    Clock::fixed(ReceivedAt(world.stripe.now().0 * 1_000_000))
}

fn set_time(world: &World, clock: &Clock, now: i64) {
    world.stripe.set_now(StripeTime(now));
    let Clock::Fixed(at) = clock else { panic!("a fixed clock") };
    at.store(now * 1_000_000, Ordering::SeqCst);
}

/// Number of syncs of the own account since the last call.
fn syncs(world: &World) -> usize {
    let requests = world.stripe.take_requests();
    let is_sync = |url: &str| url == "/v1/events?limit=1";
    requests.iter().filter(|it| it.account.is_none() && is_sync(&it.url)).count()
}

struct Process {
    handle: SyncHandle,
    task: JoinHandle<()>,
    stop: CancellationToken,
}

impl Process {
    fn start(store: &Store, world: &World, clock: &Clock) -> Self {
        let stop = CancellationToken::new();
        let every = Duration::from_secs(1);
        let options = SyncOptions { every, ..SyncOptions::new(world.client(true)) };
        let (handle, task) =
            subledger::sync::start(store.log.clone(), options, clock.clone(), stop.clone());
        Self { handle, task, stop }
    }

    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_of_several_syncs_and_another_takes_over_when_it_is_gone() {
    let ledger = Ledger::with_losses(World::start(40, 20).await, DAY_SECONDS, 50).await;
    let (world, log) = (&ledger.world, &ledger.store.log);
    let clock = clock_of(world);
    let other = open(ledger.folder.path()).await;
    let processes =
        [Process::start(&ledger.store, world, &clock), Process::start(&other, world, &clock)];
    let is_covered = async || {
        let coverage = log.coverage().await.unwrap();
        let live = coverage.into_iter().find(|it| it.scope == live()).unwrap();
        live.complete_to() == Some(StripeTime(world.stripe.now().0 - 30))
    };
    until(is_covered).await;
    for _ in 0..3 {
        until(async || processes.iter().all(|it| it.handle.status().since_success.is_some())).await;
        syncs(world);
        set_time(world, &clock, world.stripe.now().0 + 300);
        until(is_covered).await;
        // Both had the time to look.
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        assert_eq!(syncs(world), 1);
    }
    let [first, second] = processes;
    first.stop().await;
    set_time(world, &clock, world.stripe.now().0 + 300);
    until(is_covered).await;
    assert_eq!(syncs(world), 1);
    second.stop().await;
    assert_eq!(ledger.missed(&live()).await, ledger.lost(&live()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_whose_database_was_away_syncs_what_it_missed_and_forgets_the_error() {
    let ledger = Ledger::with_losses(World::start(46, 20).await, DAY_SECONDS, 50).await;
    let (world, clock) = (&ledger.world, clock_of(&ledger.world));
    let outage = DatabaseOutage::of(ledger.folder.path()).await;
    let store = outage.open().await;
    outage.begin();
    let process = Process::start(&store, world, &clock);
    until(async || process.handle.status().error.is_some()).await;
    let status = process.handle.status();
    assert_eq!((status.since_success, status.never_delivered), (None, 0));
    outage.end();
    until(async || process.handle.status().since_success.is_some()).await;
    assert_eq!(process.handle.status().error, None);
    process.stop().await;
    let to = ledger.coverage(&live()).await.complete_to();
    assert_eq!(to, Some(StripeTime(world.stripe.now().0 - 30)));
    assert_eq!(ledger.missed(&live()).await, ledger.lost(&live()));
    assert_eq!(state(&store).await.unwrap().error, None);
    store.close().await;
}

/// Client with a key that Stripe does not know.
fn stranger(world: &World) -> ApiClient {
    let options = ClientOptions {
        base: world.base.parse().unwrap(),
        retry: RetryPolicy { attempts_max: 1, ..RetryPolicy::IMPATIENT },
        ..ClientOptions::default()
    };
    ApiClient::new(ApiKey::parse("rk_live_unknown").unwrap(), options).unwrap()
}

async fn state(store: &Store) -> Option<SyncState> {
    let states = store.log.sync_states().await.unwrap();
    states.into_iter().find(|it| it.scope == live())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_key_is_recorded_and_shown_and_everything_else_goes_on() {
    let world = World::start(41, 3).await;
    let every = Duration::from_millis(50);
    let client = stranger(&world);
    let sync = SyncOptions { every, ..SyncOptions::new(client) };
    let server = TestServer::with(|options| options.sync = Some(sync)).await;
    until(async || state(server.store()).await.is_some_and(|it| it.error.is_some())).await;
    let error = state(server.store()).await.unwrap().error.unwrap();
    assert!(error.contains("does not accept the API key") && !error.contains("rk_"), "{error}");
    let health = async || server.read("/healthz").await;
    until(async || health().await["reasons"].to_string().contains("the last sync failed")).await;
    let health = health().await;
    assert_eq!(health["status"], "degraded");
    assert!(!health.to_string().contains("API key"), "anybody may read it: {health}");
    assert!(server.metric("subledger_sync_age_seconds").await.is_nan());
    server.receive(Event::default().body()).await;
    assert_eq!(server.read("/v1/users/user_1").await["active"], true);
    server.stop().await;
}

fn sync_status(server: &TestServer) -> SyncStatus {
    server.service().app().sync.as_ref().unwrap().status()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_says_that_a_backfill_is_needed_and_counts_what_was_never_delivered() {
    let ledger = Ledger::with_losses(World::start(42, 20).await, 40 * DAY_SECONDS, 100).await;
    let Ledger { world, store, folder, .. } = ledger;
    store.close().await;
    let clock = clock_of(&world);
    let server = syncing(folder, &world, &clock).await;
    until(async || sync_status(&server).needs_backfill).await;
    assert!(sync_status(&server).never_delivered > 0);
    assert!(server.metric("subledger_sync_age_seconds").await >= 0.0);
    let health: Value = server.read("/healthz").await;
    let reasons = health["reasons"].to_string();
    assert!(reasons.contains("a backfill is needed"), "{health}");
    let state = state(server.store()).await.unwrap();
    assert_eq!((state.synced_at, state.error), (Some(clock.now()), None));
    // Once the sync and the coverage both know the gap, it is still one reason.
    let server = syncing(server.stop().await, &world, &clock).await;
    until(async || sync_status(&server).needs_backfill).await;
    let notes = async || json_of(server.get("/readyz").await).await["notes"].to_string();
    let is_read = async || notes().await.contains("gap");
    until(is_read).await;
    let health = server.read("/healthz").await;
    let [reason] = &health["reasons"].as_array().unwrap()[..] else { panic!("{health}") };
    let reason = reason.as_str().unwrap();
    assert!(reason.starts_with("the ledger is not known to be complete: "), "{health}");
    assert!(reason.contains("; a backfill is needed, and `subledger coverage` lists"), "{health}");
    server.stop().await;
}

/// Server of the ledger in a folder, which syncs.
async fn syncing(folder: TempDir, world: &World, clock: &Clock) -> TestServer {
    let mut options = crate::app::server::options(folder.path());
    options.clock = clock.clone();
    options.sync = Some(SyncOptions::new(world.client(true)));
    TestServer::run(folder, options).await
}

#[tokio::test(flavor = "multi_thread")]
async fn endpoints_are_recorded_with_the_types_that_they_do_not_send() {
    let ledger = Ledger::with_losses(World::start(43, 3).await, 3_600, 0).await;
    let (world, clock) = (&ledger.world, clock_of(&ledger.world));
    let url = "https://example.com/api/stripe/webhook/";
    let types = ["customer.subscription.created", "customer.subscription.deleted"];
    let new = |url, event_types| NewEndpoint {
        url,
        event_types,
        is_connect: false,
        description: None,
        metadata: &[],
    };
    let client = world.client(true);
    let ours = client.create_endpoint(&new(url, &types), "one").await.unwrap();
    client.create_endpoint(&new("https://example.com/other", &types), "two").await.unwrap();
    let process = Process::start(&ledger.store, world, &clock);
    let endpoints = async || state(&ledger.store).await.and_then(|it| it.endpoints);
    until(async || endpoints().await.is_some()).await;
    process.stop().await;
    let seen: Value = serde_json::from_str(&endpoints().await.unwrap()).unwrap();
    let seen = seen.as_array().unwrap();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert_eq!((&seen[0]["id"], &seen[0]["url"]), (&ours.id.into(), &url.into()));
    assert_eq!(seen[0]["status"], "enabled");
    let missing = seen[0]["enabled_events_missing"].to_string();
    assert!(missing.contains("\"customer.subscription.updated\""), "{missing}");
    assert!(!missing.contains("customer.subscription.deleted"), "{missing}");
    assert!(!missing.contains("charge.refunded"), "it changes no row: {missing}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_may_not_read_endpoints_syncs_all_the_same() {
    let key = "rk_live_events";
    let keys = vec![Key::restricted(key, ["rak_event_read"])];
    let plan = Plan { seed: 44, subscriptions: 3, ..Plan::default() };
    let world = World::with(plan, Options { keys, ..Options::default() }).await;
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let base = world.base.parse().unwrap();
    let options = ClientOptions { base, ..ClientOptions::default() };
    let client = ApiClient::new(ApiKey::parse(key).unwrap(), options).unwrap();
    let (clock, stop) = (clock_of(&world), CancellationToken::new());
    let sync = SyncOptions::new(client);
    let (handle, task) = subledger::sync::start(store.log.clone(), sync, clock, stop.clone());
    until(async || state(&store).await.is_some_and(|it| it.synced_at.is_some())).await;
    assert_eq!(handle.status().error, None);
    stop.cancel();
    task.await.unwrap();
    assert_eq!(state(&store).await.unwrap().error, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfilled_account_is_reconciled_once_a_day() {
    let ledger = Ledger::with_losses(World::start(45, 3).await, 3_600, 0).await;
    let (world, clock, log) = (&ledger.world, clock_of(&ledger.world), &ledger.store.log);
    let stop = CancellationToken::new();
    let fold = FoldWait::start(&ledger.store, Logic::default(), Clock::System).await.unwrap();
    let (store, client, every) =
        (ledger.store.clone(), world.client(true), Duration::from_millis(10));
    let task = start_daily(store, client, clock.clone(), every, stop.clone());
    let reconciled_at = async || {
        let states = log.sync_states().await.unwrap();
        states.into_iter().find(|it| it.scope == live()).and_then(|it| it.reconciled_at)
    };
    let now = world.stripe.now();
    let span = Span { from: Span::BEGINNING, to: now, by: CoveredBy::Backfill };
    assert_eq!(reconciled_at().await, None, "it was never backfilled");
    log.record_coverage(&live(), span, None).await.unwrap();
    until(async || reconciled_at().await.is_some()).await;
    let first = reconciled_at().await;
    set_time(world, &clock, now.0 + DAY_SECONDS);
    until(async || reconciled_at().await != first).await;
    stop.cancel();
    task.await.unwrap();
    fold.stop().await;
}
