//! Benchmark of rebuilds: events folded per second, and the limits.
//!
//! A log of simulated events is made once and kept. One run prints (a) a rebuild from the log as the program does it,
//! everything included: scanning, parsing, folding, writing, indexing, swapping; (b) scanning and parsing
//! the same file the same way on as many threads, and nothing else; (c) scanning alone; (d) SQLite's
//! own scan, which hands nothing over; (e) the follower on a backlog; (f) a verification of log and read
//! model; and (g) a rebuild with another policy, whose rows are made from the states of the customers. The ratio
//! of (a) to (b) is the figure to watch, whether the memory of (a) grows with the events, whether (f) takes
//! longer than (a), and whether the time of (g) depends on the customers alone.
//!
//! `cargo bench --bench rebuild`; `BENCH_EVENTS`, `BENCH_SUBSCRIPTIONS` and `BENCH_MONTHS` say how large
//! the log is, and `SUBLEDGER_MEMORY` how much memory (a) may take.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark prints what it measured"
)]
#![allow(missing_docs, reason = "a program, not a library")]

mod anonymous_memory;
mod history;
mod parse;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use history::Size;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use subledger::audit;
use subledger::clock::Clock;
use subledger::ids::Position;
use subledger::projection::Logic;
use subledger::projector::{self, MemoryLimit, Projector, RebuildOptions};
use subledger::store::{DatabaseUrl, EventSource, NewEvent, OpenMode, Store};
use tokio_util::sync::CancellationToken;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Events that are scanned at once, as by the program.
const CHUNK: i64 = 64;
/// The backlog of the follower.
const BACKLOG: Size = Size { events: 200_000, subscriptions: 20_000, months: 1 };

fn main() -> anyhow::Result<()> {
    let size = Size::from_environment()?;
    let runtime = tokio::runtime::Runtime::new()?;
    let table = runtime.block_on(measure(size))?;
    println!("{table}");
    Ok(())
}

async fn measure(size: Size) -> anyhow::Result<Table> {
    let threads = std::thread::available_parallelism()?.get();
    let log = history::log_of(size).await?;
    let bytes = std::fs::metadata(&log)?.len() / size.events as u64;
    let events = i64::try_from(size.events)?;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let path = directory.path().join("subledger.db");
    std::fs::hard_link(&log, &path)?;
    let url = DatabaseUrl::from_path(path.clone());
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", "events/s", "seconds", "of (b)"]);

    let store = Store::open(&url, OpenMode::Existing, Clock::System).await?;
    sqlite_scan(&path, events, threads).await?;
    let own = sqlite_scan(&path, events, threads).await?;
    let scanned = scan(&store, events, threads, |_, _| {}).await?;
    let parsed = scan(&store, events, threads, parse::parse).await?;
    let memory =
        std::env::var("SUBLEDGER_MEMORY").map_or(Ok(MemoryLimit::DEFAULT), |it| it.parse());
    let memory: MemoryLimit = memory.map_err(anyhow::Error::msg)?;
    let (watch, baseline) =
        (anonymous_memory::Watch::start(), anonymous_memory::status_kb("RssAnon:") / 1_000);
    let stop = CancellationToken::new();
    let from_log = RebuildOptions { memory, ..RebuildOptions::SWAP_FROM_LOG };
    let (stopwatch, busy) = (Clock::stopwatch(), processor_time()?);
    let built_in = Logic::default();
    let rebuilding = projector::rebuild(&store, &built_in, &Clock::System, &stop, from_log, |_| {});
    let rebuilt = rebuilding.await?;
    let rebuild = stopwatch.elapsed();
    let busy = processor_time()?.saturating_sub(busy).as_secs_f64() / rebuild.as_secs_f64();
    let peak = watch.peak_mb();
    anyhow::ensure!(rebuilt.position == Position(events) && rebuilt.parked == 0);
    let stopwatch = Clock::stopwatch();
    let report = audit::verify(&store, None, |_| {}).await?;
    let verify = stopwatch.elapsed();
    anyhow::ensure!(report.is_clean() && report.rows.is_some());
    let strict = Logic::parse("grant = [\"active\"]", "user_id")?;
    let (stopwatch, policy_busy) = (Clock::stopwatch(), processor_time()?);
    let swap = RebuildOptions::SWAP;
    let changed = projector::rebuild(&store, &strict, &Clock::System, &stop, swap, |_| {}).await?;
    let policy_change = stopwatch.elapsed();
    let policy_busy =
        processor_time()?.saturating_sub(policy_busy).as_secs_f64() / policy_change.as_secs_f64();
    anyhow::ensure!(changed.position == Position(events) && changed.from_states.is_some());
    store.close().await;
    let written = std::fs::metadata(directory.path().join("subledger.read.db"))?.len();
    for (name, time) in [
        ("(a) rebuild", rebuild),
        ("(b) scanning and parsing", parsed),
        ("(c) scanning", scanned),
        ("(d) SQLite's own scan", own),
        ("(f) verification", verify),
        ("(g) another policy", policy_change),
    ] {
        let rate = rate(events, time);
        let seconds = format!("{:.2}", time.as_secs_f64());
        let ratio = format!("{:.2}", parsed.as_secs_f64() / time.as_secs_f64());
        table.add_row([name.to_owned(), rate, seconds, ratio]);
    }
    let backlog = follow().await?;
    let (rate, seconds) =
        (rate(i64::try_from(BACKLOG.events)?, backlog), format!("{:.2}", backlog.as_secs_f64()));
    table.add_row(["(e) following a backlog".to_owned(), rate, seconds, String::new()]);
    println!(
        "(a) on {busy:.2} processors; (g) on {policy_busy:.2}, {:.3} of the time of (a)",
        policy_change.as_secs_f64() / rebuild.as_secs_f64(),
    );
    println!(
        "{events} events of {} subscriptions, {bytes} bytes each in the log; {threads} threads; a rebuild's \
         peak of anonymous memory {peak} MB within {memory}, {baseline} MB of it before; {} MB in a temporary file; the read model has {} MB",
        size.subscriptions,
        rebuilt.spilled_bytes / 1_000_000,
        written / 1_000_000,
    );
    Ok(table)
}

/// Time that this process has spent on all processors.
fn processor_time() -> anyhow::Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may hold spaces, utime and stime are the 12th and 13th field, in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_millis(ticks * 10))
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn rate(events: i64, time: Duration) -> String {
    format!("{:.0}", events as f64 / time.as_secs_f64())
}

/// (b) and (c): the program's own way to read the log, on as many threads as it uses.
async fn scan(
    store: &Store,
    events: i64,
    threads: usize,
    each: fn(&str, &str),
) -> anyhow::Result<Duration> {
    let stopwatch = Clock::stopwatch();
    let claimed = Arc::new(AtomicI64::new(0));
    let workers = (0..2 * threads).map(|_| {
        let (log, claimed) = (store.log.clone(), Arc::clone(&claimed));
        tokio::spawn(async move {
            loop {
                let after = claimed.fetch_add(CHUNK, Ordering::Relaxed);
                if after >= events {
                    return anyhow::Ok(());
                }
                let up_to = Position(events.min(after + CHUNK));
                let chunk = log.event_chunk(Position(after), up_to).await?.context("a chunk")?;
                anyhow::ensure!(chunk.to == up_to, "a chunk was cut short");
                let read = tokio::task::spawn_blocking(move || {
                    for event in chunk.events()? {
                        each(&event.event_type, event.body.unwrap_or_default());
                    }
                    anyhow::Ok(())
                });
                read.await??;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await??;
    }
    Ok(stopwatch.elapsed())
}

/// (d) One statement a thread, over its part of the log: every byte is looked at, none handed over.
async fn sqlite_scan(path: &Path, events: i64, threads: usize) -> anyhow::Result<Duration> {
    let stopwatch = Clock::stopwatch();
    let threads = i64::try_from(threads)?;
    let parts = (0..threads).map(|part| {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .pragma("query_only", "ON")
            .pragma("mmap_size", "1099511627776")
            .disable_statement_logging();
        tokio::spawn(async move {
            let mut connection = options.connect().await?;
            sqlx::query(
                "SELECT sum(length(payload)) FROM events WHERE position > ? AND position <= ?",
            )
            .bind(events * part / threads)
            .bind(events * (part + 1) / threads)
            .fetch_one(&mut connection)
            .await?;
            connection.close().await?;
            anyhow::Ok(())
        })
    });
    for part in parts.collect::<Vec<_>>() {
        part.await??;
    }
    Ok(stopwatch.elapsed())
}

/// (e) The follower alone, on what was appended while nobody followed.
async fn follow() -> anyhow::Result<Duration> {
    let log = history::log_of(BACKLOG).await?;
    let from = Store::open(&DatabaseUrl::from_path(log), OpenMode::Existing, Clock::System).await?;
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let url = DatabaseUrl::from_path(directory.path().join("subledger.db"));
    let store = Store::open(&url, OpenMode::Create, Clock::System).await?;
    let follower = Projector::start(store.clone(), Logic::default(), Clock::System);
    while store.read_model.live().await?.is_none() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    follower.stop().await;
    let mut after = Position::ZERO;
    loop {
        let events = from.log.scan(after, 2_000, 16 << 20).await?;
        let Some(last) = events.last() else { break };
        after = last.position;
        let again = events.into_iter().map(|event| {
            let body = event.payload.context("a body")?;
            Ok(NewEvent::new(event.facts, EventSource::Import, None, body)?)
        });
        store.log.append(&again.collect::<anyhow::Result<Vec<_>>>()?).await?;
    }
    from.close().await;
    let stopwatch = Clock::stopwatch();
    let follower = Projector::start(store.clone(), Logic::default(), Clock::System);
    follower.handle().reached(after).await;
    let elapsed = stopwatch.elapsed();
    follower.stop().await;
    store.close().await;
    Ok(elapsed)
}
