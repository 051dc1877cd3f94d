//! Benchmark of PostgreSQL: ingest by one process and by two, a rebuild, and beside them raw inserts
//! and a raw scan of the same bodies.
//!
//! `BENCH_DATABASE_URL=postgres://… cargo bench --bench postgres`: a server whose role may make databases. Its
//! `fsync` must be on. `BENCH_REQUESTS` and `BENCH_EVENTS` say how much a figure is made of.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(missing_docs, reason = "a program, not a library")]

mod events;
mod load;
mod server;
mod without_log;

use std::str::FromStr as _;
use std::time::Duration;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use futures_util::TryStreamExt as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Executor as _, Row as _};
use subledger::clock::Clock;
use subledger::projection::Logic;
use subledger::projector::{self, RebuildOptions};
use subledger::simulate::{Format, bench_events};
use subledger::store::{DatabaseUrl, EventFacts, EventSource, NewEvent, OpenMode, Store};
use subledger::stripe::Envelope;
use tokio_util::sync::CancellationToken;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 64;
const CUSTOMERS: usize = 20_000;
/// Events that are appended at once to make a log.
const BATCH: usize = 2_000;

fn main() -> anyhow::Result<()> {
    let url = std::env::var("BENCH_DATABASE_URL").context(
        "BENCH_DATABASE_URL names no server, as in postgres://postgres@localhost/postgres",
    )?;
    let requests = number("BENCH_REQUESTS", 40_000)?;
    let events = number("BENCH_EVENTS", 200_000)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let table = runtime.block_on(measure(&Server { url }, requests, events))?;
    println!("{table}");
    Ok(())
}

fn number(name: &str, default: usize) -> anyhow::Result<usize> {
    std::env::var(name).map_or(Ok(default), |it| it.parse().context(name.to_owned()))
}

/// The server, on which each figure gets a database of its own.
struct Server {
    url: String,
}

impl Server {
    /// The address of a new database.
    async fn database(&self, name: &str) -> anyhow::Result<String> {
        let name = format!("subledger_bench_{name}");
        let mut admin = connect(&self.url).await?;
        let drop = format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)");
        admin.execute(AssertSqlSafe(drop)).await?;
        admin.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let (base, options) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let (base, _) = base.rsplit_once('/').context("the address names a database")?;
        Ok(format!("{base}/{name}?{options}"))
    }
}

async fn connect(url: &str) -> anyhow::Result<PgConnection> {
    Ok(PgConnectOptions::from_str(url)?.disable_statement_logging().connect().await?)
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(count: usize, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64()
}

async fn measure(server: &Server, requests: usize, events: usize) -> anyhow::Result<Table> {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", "a second", "p99 ms", "ratio"]);
    let bodies = events::bodies(Format::Compact, requests);

    let raw = raw_inserts(&server.database("raw").await?, &bodies).await?;
    let bare = load::run(without_log::start().await?, events::posts(&bodies), CONNECTIONS).await?;
    let held = held_back(&server.database("held").await?, &bodies).await?;
    let one = DatabaseUrl::parse(&server.database("one").await?)?;
    let service = server::whole(one).await?;
    let alone = load::run(service.address(), events::posts(&bodies), CONNECTIONS).await?;
    service.stop().await;
    let two = DatabaseUrl::parse(&server.database("two").await?)?;
    let (first, second) = (server::whole(two.clone()).await?, server::whole(two).await?);
    let (half, other) = bodies.split_at(bodies.len() / 2);
    let stopwatch = Clock::stopwatch();
    let (a, b) = tokio::join!(
        load::run(first.address(), events::posts(half), CONNECTIONS / 2),
        load::run(second.address(), events::posts(other), CONNECTIONS / 2)
    );
    let together = rate(bodies.len(), stopwatch.elapsed());
    let p99 = a?.percentile_ms(99).max(b?.percentile_ms(99));
    first.stop().await;
    second.stop().await;
    let mut row = |name: &str, rate: f64, p99: &str, ratio: f64| {
        let (rate, ratio) = (format!("{rate:.0}"), format!("{ratio:.2}"));
        table.add_row([name.to_owned(), rate, p99.to_owned(), ratio]);
    };
    let alone_rate = alone.per_second();
    row("raw inserts, 64 to a commit", raw, "", 1.0);
    let p99_bare = format!("{:.1}", bare.percentile_ms(99));
    row(
        "the server without its log, of raw inserts",
        bare.per_second(),
        &p99_bare,
        bare.per_second() / raw,
    );
    let p99_held = format!("{:.1}", held.percentile_ms(99));
    let held_rate = held.per_second();
    row("ingest, projector held back, of raw inserts", held_rate, &p99_held, held_rate / raw);
    let p99_alone = format!("{:.1}", alone.percentile_ms(99));
    row("ingest and projector, of raw inserts", alone_rate, &p99_alone, alone_rate / raw);
    row("two services, of one", together, &format!("{p99:.1}"), together / alone_rate);

    let url = server.database("rebuild").await?;
    let store = Store::open(&DatabaseUrl::parse(&url)?, OpenMode::Create, Clock::System).await?;
    let made: Vec<_> = bench_events(events, CUSTOMERS, Format::Compact).collect();
    for batch in made.chunks(BATCH) {
        let new = batch.iter().map(|event| {
            let facts = EventFacts::from(&Envelope::parse(&event.body)?);
            Ok(NewEvent::new(facts, EventSource::Import, None, event.body.clone())?)
        });
        store.log.append(&new.collect::<anyhow::Result<Vec<_>>>()?).await?;
    }
    let scanned = raw_scan(&url, events).await?;
    let stopwatch = Clock::stopwatch();
    let (stop, mode) = (CancellationToken::new(), RebuildOptions::SWAP_FROM_LOG);
    projector::rebuild(&store, &Logic::default(), &Clock::System, &stop, mode, |_| {}).await?;
    let rebuilt = rate(events, stopwatch.elapsed());
    store.close().await;
    row("raw scan of the bodies", scanned, "", 1.0);
    row("a rebuild, of the raw scan", rebuilt, "", rebuilt / scanned);
    Ok(table)
}

/// Ingest while another session keeps the projector from writing.
async fn held_back(url: &str, bodies: &[String]) -> anyhow::Result<load::Measured> {
    let service = server::whole(DatabaseUrl::parse(url)?).await?;
    while service.app().store.read_model.live().await?.is_none() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut sleeper = connect(url).await?;
    sleeper.execute("BEGIN; LOCK TABLE subledger_read.generations IN EXCLUSIVE MODE").await?;
    let measured = load::run(service.address(), events::posts(bodies), CONNECTIONS).await;
    sleeper.execute("ROLLBACK").await?;
    service.stop().await;
    measured
}

/// The same bodies into a bare table, with a key and nothing else.
async fn raw_inserts(url: &str, bodies: &[String]) -> anyhow::Result<f64> {
    let mut connection = connect(url).await?;
    connection
        .execute(
            "CREATE TABLE bare (position bigint PRIMARY KEY, payload text);
             ALTER TABLE bare ALTER COLUMN payload SET COMPRESSION lz4",
        )
        .await?;
    let stopwatch = Clock::stopwatch();
    for (number, chunk) in bodies.chunks(CONNECTIONS).enumerate() {
        let first = i64::try_from(number * CONNECTIONS)?;
        let positions: Vec<i64> = (first..).take(chunk.len()).collect();
        sqlx::query("INSERT INTO bare SELECT * FROM unnest($1::bigint[], $2::text[])")
            .bind(positions)
            .bind(chunk)
            .execute(&mut connection)
            .await?;
    }
    Ok(rate(bodies.len(), stopwatch.elapsed()))
}

/// Every body of the log, row by row, over one connection.
async fn raw_scan(url: &str, events: usize) -> anyhow::Result<f64> {
    let mut connection = connect(url).await?;
    let stopwatch = Clock::stopwatch();
    let mut rows = sqlx::query("SELECT payload FROM subledger.events ORDER BY position")
        .fetch(&mut connection);
    let mut bytes = 0;
    while let Some(row) = rows.try_next().await? {
        bytes += row.try_get::<&str, _>(0)?.len();
    }
    anyhow::ensure!(bytes > events);
    Ok(rate(events, stopwatch.elapsed()))
}
