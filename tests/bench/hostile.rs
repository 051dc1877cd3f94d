//! Cost of hostile clients: memory of `serve`, and the time that genuine webhooks take meanwhile.
//!
//! For each kind of client a fresh `subledger serve` is started as a process of its own. The hostile
//! connections are opened and kept up: whatever the server closes is opened again. Then genuine webhooks are
//! posted, each over a new connection, as long as `BENCH_SECONDS` says. The table tells their times, and the
//! greatest memory of the server over all of that: its own, and with the pages of the log that it maps.
//!
//! `cargo bench --bench hostile`; `BENCH_SECONDS` is 10 where it is not set. It takes `ulimit -n` of 12,000.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(missing_docs, reason = "a program, not a library")]

mod hostile {
    pub(crate) mod clients;
    pub(crate) mod serve;
}

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use hostile::clients::{Hostile, Kind, genuine};
use hostile::serve::Serve;
use subledger::clock::Clock;
use subledger::simulate::{Format, bench_events};
use tokio::task::JoinSet;

/// Genuine webhooks that are there to post; fewer are posted.
const EVENTS: usize = 20_000;
/// Genuine webhooks at a time.
const GENUINE: usize = 4;
/// Kinds of hostile clients, and how many connections each keeps up.
const CASES: [(Kind, usize); 7] = [
    (Kind::Idle, 0),
    (Kind::Idle, 1_024),
    (Kind::Idle, 10_000),
    (Kind::SlowHead, 1_024),
    (Kind::NeverReads, 1_024),
    (Kind::ForgedBody, 1_024),
    (Kind::ForgedSmallBody, 1_024),
];

fn main() -> anyhow::Result<()> {
    let seconds = match std::env::var("BENCH_SECONDS") {
        Ok(number) => number.parse()?,
        Err(_) => 10,
    };
    // The hostile clients must not take the time of those that are measured.
    let hostile =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let measured = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let events = bench_events(EVENTS, EVENTS / 5, Format::Indented);
    let bodies: Arc<Vec<String>> = Arc::new(events.map(|event| event.body).collect());
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "clients", "conn.", "opened", "peak MiB", "resident", "webhooks", "p50 ms", "p99 ms",
        "most ms",
    ]);
    for (kind, connections) in CASES {
        let time = Duration::from_secs(seconds);
        let serve = Serve::start()?;
        let clients = hostile::clients::start(kind, connections, serve.address, hostile.handle());
        let times = measured.block_on(async {
            clients.opened(connections).await;
            post(serve.address, time, &bodies).await
        })?;
        table.add_row(row(kind, connections, &clients, &serve, &times)?);
    }
    println!("{table}");
    Ok(())
}

/// Posts genuine webhooks for so long; returns how long each took, ascending.
async fn post(
    address: SocketAddr,
    time: Duration,
    bodies: &Arc<Vec<String>>,
) -> anyhow::Result<Vec<Duration>> {
    let mut posters = JoinSet::new();
    for poster in 0..GENUINE {
        let bodies = Arc::clone(bodies);
        posters.spawn(async move {
            let mut times = Vec::new();
            let all = Clock::stopwatch();
            for body in bodies.iter().skip(poster).step_by(GENUINE) {
                if all.elapsed() >= time {
                    break;
                }
                let stopwatch = Clock::stopwatch();
                genuine(address, body).await?;
                times.push(stopwatch.elapsed());
            }
            anyhow::Ok(times)
        });
    }
    let mut times = Vec::new();
    while let Some(posted) = posters.join_next().await {
        times.extend(posted??);
    }
    times.sort_unstable();
    Ok(times)
}

fn row(
    kind: Kind,
    connections: usize,
    clients: &Hostile,
    serve: &Serve,
    times: &[Duration],
) -> anyhow::Result<Vec<String>> {
    let at = |percent: usize| -> anyhow::Result<String> {
        let last = times.len().checked_sub(1).context("webhooks were posted")?;
        Ok(format!("{:.1}", times[last * percent / 100].as_secs_f64() * 1000.0))
    };
    let [anonymous, resident] = serve.peaks_mib()?;
    Ok(vec![
        kind.name().to_owned(),
        connections.to_string(),
        clients.count().to_string(),
        anonymous.to_string(),
        resident.to_string(),
        times.len().to_string(),
        at(50)?,
        at(99)?,
        at(100)?,
    ])
}
