//! Benchmark of a backfill: objects per second, and memory.
//!
//! A simulated Stripe is served by a process of its own, and another one backfills a new ledger from it, without a limit
//! on requests. One run prints, for each size, the objects per second of each list and of all, and the peak memory of
//! the process that backfills. The overall rate is the figure to watch, and whether memory grows with the
//! subscriptions.
//!
//! `cargo bench --bench backfill`; `BENCH_SUBSCRIPTIONS` gives the sizes, separated by commas. `BENCH_TRUTH=1` measures
//! nothing, and compares a ledger that missed much with the truth instead: see `truth`.
#![expect(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(missing_docs, reason = "a program, not a library")]

mod anonymous_memory;
#[path = "backfill/truth.rs"]
mod truth;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use comfy_table::{Table, presets};
use subledger::backfill::{Backfill, BackfillOptions, FoldWait, Step};
use subledger::clock::Clock;
use subledger::ids::{AccountId, Scope};
use subledger::projection::Logic;
use subledger::simulate::Plan;
use subledger::simulate::serve::{LIVE_KEY, Options, SimulatedStripe, TEST_KEY};
use subledger::store::{DatabaseUrl, OpenMode, Store};
use subledger::stripe_api::{ApiClient, ApiKey, ClientOptions, RetryPolicy};
use subledger::time::{DAY_SECONDS, ReceivedAt, StripeTime};
use tokio_util::sync::CancellationToken;

/// The one that the program has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Numbers of subscriptions.
const SIZES: &str = "10000,200000";
/// Days of invoices, as by the program.
const INVOICE_DAYS: i64 = 396;
/// Nobody has to wait for a simulated Stripe.
const RETRY: RetryPolicy = RetryPolicy {
    attempts_max: 20,
    delay_min: Duration::from_millis(1),
    delay_max: Duration::from_millis(1),
    retry_after_max: Duration::from_millis(1),
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Runtime::new()?;
    match arguments[..] {
        ["serve", subscriptions] => return runtime.block_on(serve(subscriptions.parse()?)),
        ["backfill", folder, base, now, ref scopes @ ..] => {
            let folder = Path::new(folder);
            return runtime.block_on(backfill(folder, base, now.parse()?, scopes));
        }
        _ if std::env::var_os("BENCH_TRUTH").is_some() => {
            return runtime.block_on(truth::compare());
        }
        _ => {}
    }
    let sizes = std::env::var("BENCH_SUBSCRIPTIONS").unwrap_or_else(|_| SIZES.to_owned());
    for size in sizes.split(',') {
        println!("{size} subscriptions");
        let mut server = start(&["serve", size])?;
        let served = BufReader::new(server.stdout.take().context("its output")?).lines().next();
        let served = served.context("the server ended")??;
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let folder = folder.path().to_str().context("a folder in UTF-8")?;
        let mut arguments = vec!["backfill", folder];
        arguments.extend(served.split(' '));
        let status = start(&arguments)?.wait_with_output()?;
        std::io::stdout().write_all(&status.stdout)?;
        // The server ends with its input.
        drop(server.stdin.take());
        server.wait()?;
        anyhow::ensure!(status.status.success(), "the backfill failed");
    }
    Ok(())
}

/// Starts this program in another part.
fn start(arguments: &[&str]) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    Ok(command.spawn()?)
}

/// Serves the simulation, and prints its address, its time, and its accounts with their modes in a line.
async fn serve(subscriptions: usize) -> anyhow::Result<()> {
    let plan = Plan { subscriptions, ..Plan::default() };
    let stripe = SimulatedStripe::new(&plan, Options { lean: true, ..Options::default() });
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{} {} {}", socket.local_addr()?, stripe.now().0, scopes(&stripe).join(" "));
    let stop = CancellationToken::new();
    let ended = stop.clone();
    std::thread::spawn(move || {
        std::io::stdin().lines().for_each(drop);
        ended.cancel();
    });
    Ok(stripe.serve(socket, stop).await?)
}

/// Accounts with their modes, as arguments: `live:` and the account, which is empty for the platform's own.
fn scopes(stripe: &SimulatedStripe) -> Vec<String> {
    let connected = stripe.connected_accounts().filter(|it| !it.is_empty());
    let accounts = std::iter::once("").chain(connected);
    accounts.flat_map(|it| [format!("live:{it}"), format!("test:{it}")]).collect()
}

/// Figures of a step, in all accounts and modes.
#[derive(Clone, Copy, Default)]
struct Figures {
    seen: u64,
    appended: u64,
    time: Duration,
}

async fn backfill(folder: &Path, base: &str, now: i64, scopes: &[&str]) -> anyhow::Result<()> {
    let memory = anonymous_memory::Watch::start();
    let url = DatabaseUrl::from_path(folder.join("subledger.db"));
    let store = Store::open(&url, OpenMode::Create, Clock::System).await?;
    let clock = Clock::fixed(ReceivedAt(now * 1_000_000));
    let mut figures: BTreeMap<Step, Figures> = BTreeMap::new();
    let stopwatch = Clock::stopwatch();
    let fold = FoldWait::start(&store, Logic::default(), Clock::System).await?;
    for scope in scopes {
        let (mode, account) = scope.split_once(':').context("mode and account")?;
        let livemode = mode == "live";
        let key = ApiKey::parse(if livemode { LIVE_KEY } else { TEST_KEY })?;
        let options = ClientOptions {
            base: base.parse()?,
            requests_per_second: None,
            retry: RETRY,
            ..ClientOptions::default()
        };
        let client = ApiClient::new(key, options)?;
        let options = BackfillOptions {
            scope: Scope { account: AccountId::new(account), livemode },
            invoices_since: StripeTime(now - INVOICE_DAYS * DAY_SECONDS),
        };
        let mut backfill = Backfill::new(&store, &client, &fold, options, clock.clone());
        for (step, progress) in backfill.pending().await? {
            let stopwatch = Clock::stopwatch();
            let done = backfill.run(step, progress, &mut |_| ()).await?;
            let figures = figures.entry(step).or_default();
            figures.seen += done.seen;
            figures.appended += done.appended;
            figures.time += stopwatch.elapsed();
        }
    }
    fold.caught_up().await?;
    let elapsed = stopwatch.elapsed();
    fold.stop().await;
    store.close().await;
    print(&figures, elapsed);
    let bytes = |name| std::fs::metadata(folder.join(name)).map(|it| it.len() / 1_000_000);
    println!(
        "peak of anonymous memory {} MB, with mapped pages of files {} MB; log {} MB, read model {} MB",
        memory.peak_mb(),
        anonymous_memory::status_kb("VmHWM:") / 1_000,
        bytes("subledger.db")?,
        bytes("subledger.read.db")?,
    );
    Ok(())
}

fn print(figures: &BTreeMap<Step, Figures>, elapsed: Duration) {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header(["", "objects", "appended", "seconds", "objects/s"]);
    let mut add = |name: &str, it: Figures| {
        let seconds = it.time.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let rate = it.seen as f64 / seconds;
        table.add_row([
            name.to_owned(),
            it.seen.to_string(),
            it.appended.to_string(),
            format!("{seconds:.2}"),
            format!("{rate:.0}"),
        ]);
    };
    let mut all = Figures { time: elapsed, ..Figures::default() };
    for (step, it) in figures {
        add(step.describe(), *it);
        all.seen += it.seen;
        all.appended += it.appended;
    }
    add("all", all);
    println!("{table}");
}
