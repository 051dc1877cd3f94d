//! Benchmark of ingest: webhooks stored per second, and the limits.
//!
//! One run prints, for compact and for indented bodies, at 64 connections and at one: (a) the whole
//! server with its log, `synchronous=FULL`, while its projector is held back, and once more while
//! the projector follows; (b) the same server with the store step left out; (c) raw multi-row inserts
//! of the same rows into SQLite. Only the ratios mean much: the load comes from this same process
//! over loopback and takes its share of the processors, and machines differ.
//!
//! `cargo bench --bench ingest`; `BENCH_REQUESTS` changes how many requests a figure is made of.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(missing_docs, reason = "a program, not a library")]

mod events;
mod load;
mod raw;
mod server;
mod without_log;

use std::path::Path;
use std::time::Duration;

use comfy_table::{Table, presets};
use load::Measured;
use sqlx::{Connection as _, SqliteConnection};
use subledger::clock::Clock;
use subledger::service::Service;
use subledger::simulate::Format;
use subledger::store::DatabaseUrl;
use tokio_util::sync::CancellationToken;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests at 64 connections; a lone connection sends a tenth.
const REQUESTS: usize = 60_000;
/// The two loads of the table.
const CONNECTIONS: [usize; 2] = [64, 1];
/// Interval between two measurements of the projector's lag during the load.
const LAG_EVERY: Duration = Duration::from_millis(20);

fn main() -> anyhow::Result<()> {
    let requests = match std::env::var("BENCH_REQUESTS") {
        Ok(number) => number.parse()?,
        Err(_) => REQUESTS,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "body", "conn.", "", "req/s", "p50 ms", "p99 ms", "of (b)", "of (c)", "besides",
    ]);
    for format in [Format::Compact, Format::Indented] {
        for connections in CONNECTIONS {
            let requests = if connections == 1 { requests / 10 } else { requests };
            let bodies = events::bodies(format, requests);
            let bytes = bodies.iter().map(String::len).sum::<usize>() / bodies.len();
            let raw = runtime.block_on(raw::insert(&bodies, connections))?;
            let bare = runtime.block_on(without_log(&bodies, connections))?;
            let (held, besides_held) = runtime.block_on(held_back(&bodies, connections))?;
            let (live, besides_live) = runtime.block_on(following(&bodies, connections))?;
            let mut row = |name: &str, it: &Measured, besides: &str| {
                table.add_row([
                    format!("{format:?} {bytes} B"),
                    connections.to_string(),
                    name.to_owned(),
                    format!("{:.0}", it.per_second()),
                    format!("{:.2}", it.percentile_ms(50)),
                    format!("{:.2}", it.percentile_ms(99)),
                    format!("{:.2}", it.per_second() / bare.per_second()),
                    format!("{:.2}", it.per_second() / raw.per_second()),
                    besides.to_owned(),
                ]);
            };
            row("(a) with log", &held, &besides_held);
            row("(a) and projector", &live, &besides_live);
            row("(b) without log", &bare, "");
            row("(c) raw inserts", &raw, &format!("{connections} rows a commit"));
        }
    }
    println!("{table}");
    Ok(())
}

/// (a) Every request is answered after the commit that holds it. The projector sleeps: another
/// connection keeps the read model locked. Also tells how many events shared a commit.
async fn held_back(bodies: &[String], connections: usize) -> anyhow::Result<(Measured, String)> {
    let directory = directory()?;
    let service = ready(directory.path()).await?;
    let read_model = directory.path().join("subledger.read.db");
    let mut sleeper =
        SqliteConnection::connect(&format!("sqlite://{}", read_model.display())).await?;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut sleeper).await?;
    let measured = load::run(service.address(), events::posts(bodies), connections).await?;
    sleeper.close().await?;
    let stats = service.app().ingest.stats();
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let per_commit = stats.events_new() as f64 / stats.commits() as f64;
    finish(service, bodies).await?;
    Ok((measured, format!("{per_commit:.1} events a commit")))
}

/// (a) with the projector following. Also tells how far it fell behind.
async fn following(bodies: &[String], connections: usize) -> anyhow::Result<(Measured, String)> {
    let directory = directory()?;
    let service = ready(directory.path()).await?;
    let done = CancellationToken::new();
    let watch = tokio::spawn(lags(service.app().projector.clone(), done.clone()));
    let measured = load::run(service.address(), events::posts(bodies), connections).await?;
    done.cancel();
    let lags = watch.await?;
    let rest = Clock::stopwatch();
    let mut projector = service.app().projector.clone();
    projector.reached(service.app().store.log.head().await?.size).await;
    let rest = rest.elapsed().as_secs_f64();
    finish(service, bodies).await?;
    let (early, late) = lags.split_at(lags.len() / 2);
    let greatest = |lags: &[f64]| lags.iter().copied().fold(0.0, f64::max);
    let (early, late) = (greatest(early), greatest(late));
    let besides =
        format!("lag at most {early:.2} s, then {late:.2} s; caught up {rest:.2} s after the end");
    Ok((measured, besides))
}

/// (b) Every request is verified, read and hashed, and answered at once.
async fn without_log(bodies: &[String], connections: usize) -> anyhow::Result<Measured> {
    load::run(without_log::start().await?, events::posts(bodies), connections).await
}

async fn lags(
    projector: subledger::projector::ProjectorHandle,
    done: CancellationToken,
) -> Vec<f64> {
    let mut lags = Vec::new();
    while !done.is_cancelled() {
        lags.push(projector.status().lag_seconds(Clock::System.now()));
        tokio::time::sleep(LAG_EVERY).await;
    }
    lags
}

fn directory() -> std::io::Result<tempfile::TempDir> {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
}

/// The whole server, once its first and empty generation is live.
async fn ready(directory: &Path) -> anyhow::Result<Service> {
    let service = server::whole(DatabaseUrl::from_path(directory.join("subledger.db"))).await?;
    while service.app().store.read_model.live().await?.is_none() {
        tokio::time::sleep(LAG_EVERY).await;
    }
    Ok(service)
}

async fn finish(service: Service, bodies: &[String]) -> anyhow::Result<()> {
    let size = service.app().store.log.head().await?.size;
    anyhow::ensure!(usize::try_from(size.0)? == bodies.len(), "every request is one event");
    service.stop().await;
    Ok(())
}
