//! How many webhooks a second the server stores, and what stands in the way.
//!
//! Three figures from one machine and one run, because only their ratios mean much: (a) the server
//! with its log, `synchronous=FULL`; (b) the same server with the store step left out; (c) raw
//! multi-row inserts of the same rows into SQLite. The load comes from this same process over
//! loopback, so it takes its share of the processors.
//!
//! `cargo bench --bench ingest`; `BENCH_REQUESTS` changes how many requests a figure is made of.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![recursion_limit = "256"]
#![allow(missing_docs, reason = "a program, not a library")]

mod events;
mod load;
mod raw;
mod server;

use std::fmt::Display;

use comfy_table::{Table, presets};
use events::Rendering;
use load::Measured;
use subledger::clock::Clock;
use subledger::ingest::{Ingest, Limits};
use subledger::store::{DatabaseUrl, Opening, Store};

/// Requests at 64 connections; a lone connection sends a tenth.
const REQUESTS: usize = 60_000;
/// The two loads of the table.
const CONNECTIONS: [usize; 2] = [64, 1];

fn main() -> anyhow::Result<()> {
    let requests = match std::env::var("BENCH_REQUESTS") {
        Ok(number) => number.parse()?,
        Err(_) => REQUESTS,
    };
    let runtime = tokio::runtime::Runtime::new()?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "body",
        "connections",
        "",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "of (b)",
        "of (c)",
        "events a commit",
    ]);
    for rendering in [Rendering::Compact, Rendering::Indented] {
        for connections in CONNECTIONS {
            let requests = if connections == 1 { requests / 10 } else { requests };
            let bodies = events::bodies(rendering, requests);
            let bytes = bodies.iter().map(String::len).sum::<usize>() / bodies.len();
            let raw = runtime.block_on(raw::insert(&bodies, connections))?;
            let bare = runtime.block_on(without_log(&bodies, connections))?;
            let (logged, per_commit) = runtime.block_on(with_log(&bodies, connections))?;
            let body = format!("{rendering:?}, {bytes} bytes");
            let mut row = |name: &str, it: &Measured, per_commit: &dyn Display| {
                table.add_row([
                    body.clone(),
                    connections.to_string(),
                    name.to_owned(),
                    format!("{:.0}", it.per_second()),
                    format!("{:.2}", it.percentile_ms(50)),
                    format!("{:.2}", it.percentile_ms(99)),
                    format!("{:.2}", it.per_second() / bare.per_second()),
                    format!("{:.2}", it.per_second() / raw.per_second()),
                    per_commit.to_string(),
                ]);
            };
            row("(a) with log", &logged, &format!("{per_commit:.1}"));
            row("(b) without", &bare, &"");
            row("(c) raw inserts", &raw, &connections);
        }
    }
    println!("{table}");
    Ok(())
}

/// (a) Every request is answered after the commit that holds it. Also tells how many events shared
/// a commit.
async fn with_log(bodies: &[String], connections: usize) -> anyhow::Result<(Measured, f64)> {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let url = DatabaseUrl::from_path(directory.path().join("subledger.db"));
    let store = Store::open(&url, Opening::Create, Clock::System).await?;
    let (ingest, writer) = Ingest::start(store.log.clone(), Limits::default());
    let address = server::start(Some(ingest.clone())).await?;
    let measured = load::run(address, bodies, connections).await?;
    ingest.close();
    writer.await?;
    let size = store.log.head().await?.size;
    anyhow::ensure!(usize::try_from(size.0)? == bodies.len(), "every request is one event");
    let stats = ingest.stats();
    #[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
    let per_commit = stats.events_new() as f64 / stats.commits() as f64;
    store.close().await;
    Ok((measured, per_commit))
}

/// (b) Every request is verified and read, and answered at once.
async fn without_log(bodies: &[String], connections: usize) -> anyhow::Result<Measured> {
    load::run(server::start(None).await?, bodies, connections).await
}
