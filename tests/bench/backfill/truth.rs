//! Accuracy: a ledger that heard part of the events of 10,000 lives, and backfills that are killed again and again
//! while the API fails at random, compared with the truth.

#[path = "../../it/backfill/comparison.rs"]
mod comparison;
#[expect(clippy::unwrap_used, reason = "a comparison that cannot go on has failed")]
#[path = "../../it/order/dice.rs"]
#[allow(dead_code, reason = "the tests use more of it")]
mod dice;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use comparison::Known;
use dice::Dice;
use subledger::backfill::FoldWait;
use subledger::clock::Clock;
use subledger::ids::{AccountId, Position};
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::simulate::serve::{Faults, LIVE_KEY, Options, SimulatedStripe, TEST_KEY};
use subledger::simulate::{self, Plan, SimulatedEvent};
use subledger::store::{
    DatabaseUrl, EventFacts, EventSource, NewEvent, OpenMode, Store, SubscriptionFilter,
};
use subledger::stripe::Envelope;
use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions};
use subledger::time::DAY_SECONDS;
use tokio_util::sync::CancellationToken;

/// Lives, unless `BENCH_SUBSCRIPTIONS` says otherwise.
const LIVES: usize = 10_000;
/// Kills in all.
const KILLS: usize = 200;
/// Longest life of a process that is killed, in milliseconds.
const LIFE_MS: usize = 600;
/// Days before the ledger existed, days of an outage, and the share of other deliveries that were lost, in percent.
const DAYS_BEFORE: i64 = 40;
const OUTAGE: std::ops::Range<i64> = 200..221;
const LOST_PERCENT: usize = 30;

pub(crate) async fn compare() -> anyhow::Result<()> {
    let lives = std::env::var("BENCH_SUBSCRIPTIONS").map_or(Ok(LIVES), |it| it.parse())?;
    let plan = Plan { seed: 7, subscriptions: lives, ..Plan::default() };
    let stripe = SimulatedStripe::new(&plan, Options::default());
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", socket.local_addr()?);
    let (served, stop) = (stripe.clone(), CancellationToken::new());
    let stopped = stop.clone();
    let server = tokio::spawn(async move { served.serve(socket, stopped).await });
    let shown = shown_customers(&base, &stripe).await?;

    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let (all, some) = (folder.path().join("all"), folder.path().join("some"));
    let events = simulate::simulate(&plan).events;
    let heard = ledger(&all, events.iter()).await?;
    let dice = &mut Dice::new(17);
    let told = events.iter().filter(|event| {
        let day = (event.created - plan.start.0) / DAY_SECONDS;
        let is_lost = dice.below(100) < LOST_PERCENT;
        day >= DAYS_BEFORE && !OUTAGE.contains(&day) && !is_lost
    });
    let before = ledger(&some, told).await?;
    let known = Known { truth: stripe.truth(), heard: &heard, shown: &shown };
    let size = size_of(&some).await?;
    println!(
        "{} events, of which the ledger has {size}; {} subscriptions, {} differences",
        events.len(),
        stripe.truth().len(),
        known.wrong(&before).len()
    );
    drop(events);

    stripe.set_faults(Faults {
        refusals: 0.05,
        server_errors: 0.05,
        conflicts: 0.02,
        cuts: 0.05,
        ..Faults::default()
    });
    let kills = run(&some, &base, &stripe, KILLS).await?;
    let wrong = known.wrong(&rows(&some).await?);
    let after = size_of(&some).await?;
    println!("{kills} kills, {} appended, {} differences", after - size, wrong.len());
    wrong.iter().take(20).for_each(|it| println!("{it}"));
    run(&some, &base, &stripe, 0).await?;
    let again = size_of(&some).await?;
    println!("run again: {} appended", again - after);
    print_events(&some, after).await?;
    stop.cancel();
    server.await??;
    anyhow::ensure!(wrong.is_empty() && again == after, "the ledger is not as Stripe");
    Ok(())
}

/// Backfills all accounts and modes, and kills the process at random moments. Returns the number of kills.
async fn run(
    folder: &Path,
    base: &str,
    stripe: &SimulatedStripe,
    kills_max: usize,
) -> anyhow::Result<usize> {
    let (dice, mut kills) = (&mut Dice::new(3), 0);
    let (now, folder) = (stripe.now().0.to_string(), folder.to_string_lossy().into_owned());
    for scope in super::scopes(stripe) {
        loop {
            let mut child = super::start(&["backfill", &folder, base, &now, &scope])?;
            let moment = Duration::from_millis(dice.between(1, LIFE_MS) as u64);
            // The process prints less than a pipe holds.
            let ended = tokio::task::spawn_blocking(move || {
                let watch = Clock::stopwatch();
                loop {
                    if let Some(status) = child.try_wait()? {
                        return anyhow::Ok(Some(status));
                    }
                    if kills < kills_max && watch.elapsed() >= moment {
                        child.kill()?;
                        child.wait()?;
                        return Ok(None);
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            });
            match ended.await?? {
                Some(status) if status.success() => break,
                Some(status) => anyhow::bail!("the backfill of {scope} ended with {status}"),
                None => kills += 1,
            }
        }
    }
    Ok(kills)
}

/// Ledger of events that are folded; its rows.
async fn ledger<'a>(
    folder: &Path,
    events: impl Iterator<Item = &'a SimulatedEvent>,
) -> anyhow::Result<Vec<SubscriptionRow>> {
    std::fs::create_dir_all(folder)?;
    let store = open(folder).await?;
    let mut batch = Vec::new();
    for event in events {
        let facts = EventFacts::from(&Envelope::parse(&event.body)?);
        batch.push(NewEvent::new(facts, EventSource::Webhook, None, event.body.clone())?);
        if batch.len() == 1_000 {
            store.log.append(&batch).await?;
            batch.clear();
        }
    }
    store.log.append(&batch).await?;
    let fold = FoldWait::start(&store, Logic::default(), Clock::System).await?;
    fold.caught_up().await?;
    fold.stop().await;
    store.close().await;
    rows(folder).await
}

async fn open(folder: &Path) -> anyhow::Result<Store> {
    let url = DatabaseUrl::from_path(folder.join("subledger.db"));
    Ok(Store::open(&url, OpenMode::Create, Clock::System).await?)
}

async fn rows(folder: &Path) -> anyhow::Result<Vec<SubscriptionRow>> {
    let store = open(folder).await?;
    let filter = SubscriptionFilter::default();
    let (_, rows) = store.read_model.subscriptions(&filter, None, usize::MAX).await?;
    store.close().await;
    Ok(rows)
}

/// Prints the events after a position.
async fn print_events(folder: &Path, after: i64) -> anyhow::Result<()> {
    let store = open(folder).await?;
    let positions: Vec<Position> = (after + 1..=size_of(folder).await?).map(Position).collect();
    for event in store.log.events_at(&positions).await? {
        println!("{} {:?}", event.facts.event_type, event.payload);
    }
    store.close().await;
    Ok(())
}

async fn size_of(folder: &Path) -> anyhow::Result<i64> {
    let store = open(folder).await?;
    let size = store.log.head().await?.size.0;
    store.close().await;
    Ok(size)
}

/// Ids of the customers that are not deleted.
async fn shown_customers(base: &str, stripe: &SimulatedStripe) -> anyhow::Result<BTreeSet<String>> {
    let mut shown = BTreeSet::new();
    let accounts: BTreeSet<&str> = std::iter::once("").chain(stripe.connected_accounts()).collect();
    for account in accounts.into_iter().map(AccountId::new) {
        for key in [LIVE_KEY, TEST_KEY] {
            let options = ClientOptions {
                base: base.parse()?,
                requests_per_second: None,
                ..ClientOptions::default()
            };
            let client = ApiClient::new(ApiKey::parse(key)?, options)?;
            let mut after = None;
            loop {
                let list = client.list_page("/v1/customers", &[], after.as_deref(), Some(&account));
                let page = list.await?;
                shown.extend(page.ids());
                if !page.has_more {
                    break;
                }
                after = page.last_id;
            }
        }
    }
    Ok(shown)
}
