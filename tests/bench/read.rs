//! Benchmark of reads: answers per second, and the limits.
//!
//! A log of simulated events is made once and kept, and its read model is built. One run prints (a) `GET
//! /v1/users/{id}` of users at random, (b) the same handler with the rows of one user at hand and no
//! database, both at 64 connections and at one, (c) `GET /v1/customers/{id}/history` of customers at
//! random, (d) `GET /v1/users/{id}/access`, (e) the same handler without a database, and (f) `POST /v1/access` with 1,000
//! users each, in users per second. The load comes from this same process over loopback and takes its share of the processors.
//!
//! `cargo bench --bench read`; `BENCH_EVENTS`, `BENCH_SUBSCRIPTIONS` and `BENCH_MONTHS` say how large
//! the log is, `BENCH_REQUESTS` of how many requests a figure is made.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]
#![allow(missing_docs, reason = "a program, not a library")]

mod history;
mod load;
mod server;
mod without_database;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use history::{Size, from_environment};
use load::Measured;
use subledger::clock::Clock;
use subledger::ids::AccountId;
use subledger::projection::Logic;
use subledger::projection::row::SubscriptionRow;
use subledger::projector::{self, RebuildOptions};
use subledger::store::{DatabaseUrl, OpenMode, Store, SubscriptionFilter};
use tokio_util::sync::CancellationToken;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests at 64 connections; a lone connection sends a tenth.
const REQUESTS: usize = 200_000;
/// The two loads of the table.
const CONNECTIONS: [usize; 2] = [64, 1];

fn main() -> anyhow::Result<()> {
    let size = Size::from_environment()?;
    let requests = from_environment("BENCH_REQUESTS", REQUESTS)?;
    let runtime = tokio::runtime::Runtime::new()?;
    println!("{}", runtime.block_on(measure(size, requests))?);
    Ok(())
}

async fn measure(size: Size, requests: usize) -> anyhow::Result<Table> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = directory.path().join("subledger.db");
    std::fs::hard_link(history::log_of(size).await?, &path)?;
    let url = DatabaseUrl::from_path(path);
    let rows = build(&url).await?;
    let row = rows.first().context("there are rows")?.clone();
    let users = rows.iter().filter_map(|row| row.user_id.as_deref());
    let users = shuffled(users.map(str::to_owned).collect());
    let accesses: Vec<_> = users.iter().map(|it| format!("/v1/users/{it}/access")).collect();
    let batches = posts(&users, requests / 1_000)?;
    let users: Vec<_> = users.iter().map(|it| format!("/v1/users/{it}")).collect();
    let customers = rows.iter().map(|row| format!("/v1/customers/{}/history", row.customer_id));
    let customers = shuffled(customers.collect());

    let service = server::whole(url).await?;
    service.app().projector.clone().reached(service.app().store.log.head().await?.size).await;
    let bare = without_database::start(row).await?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", "conn.", "req/s", "p50 ms", "p99 ms", "of the bare"]);
    let mut add = |name: &str, connections: usize, it: &Measured, of: Option<&Measured>| {
        table.add_row([
            name.to_owned(),
            connections.to_string(),
            format!("{:.0}", it.per_second()),
            format!("{:.2}", it.percentile_ms(50)),
            format!("{:.2}", it.percentile_ms(99)),
            of.map_or_else(String::new, |of| format!("{:.2}", it.per_second() / of.per_second())),
        ]);
    };
    for connections in CONNECTIONS {
        let requests = if connections == 1 { requests / 10 } else { requests };
        let of_users = || gets(&users, requests);
        let bare = load::run(bare, of_users(), connections).await?;
        let whole = load::run(service.address(), of_users(), connections).await?;
        add("(a) a user", connections, &whole, Some(&bare));
        add("(b) without database", connections, &bare, None);
    }
    for connections in CONNECTIONS {
        let requests = if connections == 1 { requests / 10 } else { requests };
        let bare = load::run(bare, gets(&accesses, requests), connections).await?;
        let whole = load::run(service.address(), gets(&accesses, requests), connections).await?;
        add("(d) access of a user", connections, &whole, Some(&bare));
        add("(e) without database", connections, &bare, None);
    }
    let histories = load::run(service.address(), gets(&customers, requests / 20), 1).await?;
    add("(c) a customer's history", 1, &histories, None);
    let asked = load::run(service.address(), batches, 4).await?;
    add("(f) 1,000 users at once", 4, &asked, None);
    println!("(f) answers about {:.0} users a second", asked.per_second() * 1_000.0);
    service.stop().await;
    Ok(table)
}

/// Builds the read model, and gives its rows.
async fn build(url: &DatabaseUrl) -> anyhow::Result<Vec<SubscriptionRow>> {
    let store = Store::open(url, OpenMode::Existing, Clock::System).await?;
    let (stop, how) = (CancellationToken::new(), RebuildOptions::SWAP_FROM_LOG);
    projector::rebuild(&store, &Logic::default(), &Clock::System, &stop, how, |_| {}).await?;
    // Those that a request means which names no account and no mode.
    let (account, livemode) = (Some(AccountId::default()), Some(true));
    let own = SubscriptionFilter { account, livemode, ..SubscriptionFilter::default() };
    let (_, rows) = store.read_model.subscriptions(&own, None, usize::MAX).await?;
    store.close().await;
    Ok(rows)
}

/// As many requests, path after path and again from the front.
fn gets(paths: &[String], count: usize) -> Vec<Vec<u8>> {
    let token = server::SECRET;
    let request = |path: &String| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n")
    };
    paths.iter().cycle().take(count).map(|path| request(path).into_bytes()).collect()
}

/// Questions about 1,000 users each.
fn posts(users: &[String], count: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let token = server::SECRET;
    let request = |users: &[String]| {
        let body = serde_json::to_string(&serde_json::json!({ "users": users }))?;
        let head = format!(
            "POST /v1/access HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        Ok((head + &body).into_bytes())
    };
    users.chunks(1_000).cycle().take(count).map(request).collect()
}

/// In an order that has nothing to do with how they are stored.
fn shuffled(mut paths: Vec<String>) -> Vec<String> {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    paths.sort_by_cached_key(|it| BuildHasherDefault::<DefaultHasher>::default().hash_one(it));
    paths.dedup();
    paths
}
