//! What hostile clients cost: memory of `serve`, and the time that genuine webhooks take meanwhile.
//!
//! For each kind of client a fresh `subledger serve` is started as a process of its own. The hostile
//! connections are opened and kept up: whatever the server closes is opened again. Then genuine webhooks are
//! posted, each over a new connection, as long as `BENCH_SECONDS` says. The table tells their times, and the
//! greatest resident memory of the server over all of that.
//!
//! `cargo bench --bench hostile`; `BENCH_SECONDS` is 10 where it is not set. It takes `ulimit -n` of 12,000.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(missing_docs, reason = "a program, not a library")]

mod hostile {
    pub(crate) mod clients;
    pub(crate) mod serve;
}

use std::time::Duration;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use hostile::clients::{Kind, genuine};
use hostile::serve::Serve;
use subledger::clock::Clock;
use subledger::simulate::{Format, bench_events};
use tokio::task::JoinSet;

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
    let runtime = tokio::runtime::Runtime::new()?;
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "clients", "conn.", "opened", "peak MiB", "webhooks", "p50 ms", "p99 ms", "most ms",
    ]);
    for (kind, connections) in CASES {
        table.add_row(runtime.block_on(measure(
            kind,
            connections,
            Duration::from_secs(seconds),
        ))?);
    }
    println!("{table}");
    Ok(())
}

async fn measure(kind: Kind, connections: usize, time: Duration) -> anyhow::Result<Vec<String>> {
    let serve = Serve::start().await?;
    let hostile = hostile::clients::start(kind, connections, serve.address);
    hostile.opened(connections).await;
    let mut posters = JoinSet::new();
    for poster in 0..GENUINE {
        let bodies =
            bench_events(1_000_000, 200_000, Format::Indented).skip(poster).step_by(GENUINE);
        posters.spawn(async move {
            let mut times = Vec::new();
            let all = Clock::stopwatch();
            for event in bodies {
                if all.elapsed() >= time {
                    break;
                }
                let stopwatch = Clock::stopwatch();
                genuine(serve.address, &event.body).await?;
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
    let at = |percent: usize| -> anyhow::Result<String> {
        let time = times.get((times.len() - 1) * percent / 100).context("webhooks were posted")?;
        Ok(format!("{:.1}", time.as_secs_f64() * 1000.0))
    };
    Ok(vec![
        kind.name().to_owned(),
        connections.to_string(),
        hostile.count().to_string(),
        format!("{:.0}", serve.peak_mib()?),
        times.len().to_string(),
        at(50)?,
        at(99)?,
        at(100)?,
    ])
}
