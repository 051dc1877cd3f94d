//! `backfill`: appends what Stripe's API shows and the log does not say.

use std::num::NonZeroU32;

use serde::Serialize;

use super::Context;
use super::output::{self, Format, FormatArgs, grouped, stdout};
use super::progress::bar;
use super::report::{Exit, is_interactive, print_message};
use crate::backfill::{Backfill, BackfillOptions, FoldWait, Step, estimate};
use crate::clock::Clock;
use crate::ids::{AccountId, Scope};
use crate::store::{
    BackfillProgress, OpenMode, Store, StoreError, SubscriptionFilter, SubscriptionKey,
};
use crate::stripe_api::{ApiClient, ApiError, ApiSettings, PAGE_OBJECTS_MAX, RetryPolicy};
use crate::time::{DAY_SECONDS, StripeTime};

/// Age of the oldest invoices that are read, in days: 13 months, so that a yearly payment is among them.
const INVOICE_DAYS: i64 = 396;
/// Rows that are counted at once.
const ROWS_AT_ONCE: usize = 1_000;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Connected account, `acct_…`, or `all` for your own and all connected accounts [default: your own]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    /// Read invoices that were created since this time [default: 13 months ago]
    #[arg(long, value_name = "TIME", value_parser = super::history::instant)]
    since: Option<StripeTime>,

    /// Show what would be read, in how many requests, and append nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    api: ApiSettings,

    #[command(flatten)]
    format: FormatArgs,
}

/// Row of the summary.
#[derive(Clone, Debug, Serialize)]
struct SummaryRow {
    account: AccountId,
    step: &'static str,
    seen: u64,
    confirmed: u64,
    appended: u64,
    unreadable: u64,
}

/// Row of a dry run.
#[derive(Clone, Debug, Serialize)]
struct PlanRow {
    account: AccountId,
    step: &'static str,
    /// Estimated number of objects.
    objects: u64,
    is_exact: bool,
    requests: u64,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mode = context.settings.mode;
    let client = args.api.client(mode, RetryPolicy::default())?;
    let now = context.clock.now().to_stripe_time();
    let invoices_since = args.since.unwrap_or(StripeTime(now.0 - INVOICE_DAYS * DAY_SECONDS));
    let scopes = accounts(&client, args.account.as_deref()).await?;
    let scopes = scopes.into_iter().map(|account| Scope { account, livemode: mode.livemode() });
    let options: Vec<_> = scopes.map(|scope| BackfillOptions { scope, invoices_since }).collect();
    if args.dry_run {
        return plan(&client, &options, now, &args).await;
    }
    let store = context.open(OpenMode::Create).await?;
    let logic = context.settings.logic()?;
    let fold = FoldWait::start(&store, logic, context.clock.clone()).await?;
    let mut summary = Vec::new();
    let mut users = Users::default();
    for options in options {
        let scope = options.scope.clone();
        let mut backfill = Backfill::new(&store, &client, &fold, options, context.clock.clone());
        let steps = backfill.pending().await?;
        if steps.iter().any(|(_, progress)| progress.seen > 0) || steps.len() < Step::ALL.len() - 1
        {
            print_message("continuing the backfill that was interrupted");
        }
        for (step, progress) in steps {
            let shown = show(step, &mut backfill, progress).await?;
            summary.push(row(&scope, step, &shown));
        }
        fold.caught_up().await?;
        users.add(&count_users(&store, &scope).await?);
    }
    fold.stop().await;
    store.close().await;
    write_summary(&summary, &args)?;
    print_message(&users.describe());
    Ok(Exit::Done)
}

/// Runs a step, with a bar on a terminal and a line at its end otherwise.
async fn show(
    step: Step,
    backfill: &mut Backfill<'_>,
    progress: BackfillProgress,
) -> anyhow::Result<BackfillProgress> {
    let bar = bar(step.describe(), 0);
    let watch = Clock::stopwatch();
    let mut report = |now: &BackfillProgress| {
        // Nobody knows how long a list is, so the bar shows that it moves, and its rate.
        bar.set_length(now.seen);
        bar.set_position(now.seen);
    };
    let progress = backfill.run(step, progress, &mut report).await?;
    bar.finish_and_clear();
    if !is_interactive() {
        print_message(&format!(
            "{}: {} seen, {} confirmed, {} appended, {:.1} s",
            step.describe(),
            grouped_count(progress.seen),
            grouped_count(progress.confirmed),
            grouped_count(progress.appended),
            watch.elapsed().as_secs_f64(),
        ));
    }
    Ok(progress)
}

/// Accounts to read: the key's own, one connected account, or all.
async fn accounts(client: &ApiClient, account: Option<&str>) -> Result<Vec<AccountId>, ApiError> {
    let own = AccountId::default();
    match account {
        None => Ok(vec![own]),
        Some("all") => {
            let mut accounts = vec![own];
            let mut after = None;
            loop {
                let page = client.list_page("/v1/accounts", &[], after.as_deref(), None).await?;
                accounts.extend(page.ids().map(AccountId::new));
                if !page.has_more {
                    return Ok(accounts);
                }
                after = page.last_id;
            }
        }
        Some(account) => Ok(vec![AccountId::new(account)]),
    }
}

/// Shows what a backfill would read.
async fn plan(
    client: &ApiClient,
    options: &[BackfillOptions],
    now: StripeTime,
    args: &Args,
) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for BackfillOptions { scope, invoices_since } in options {
        for step in Step::ALL {
            let Some(list) = step.list(now, *invoices_since) else { continue };
            let size = estimate(client, &list, &scope.account, now).await?;
            rows.push(PlanRow {
                account: scope.account.clone(),
                step: step.describe(),
                objects: size.objects,
                is_exact: size.is_exact,
                requests: size.objects.div_ceil(PAGE_OBJECTS_MAX as u64).max(1),
            });
        }
    }
    let requests: u64 = rows.iter().map(|it| it.requests).sum();
    let mut out = stdout();
    match args.format.format {
        Format::Table => {
            let mut table = output::table(&["list", "objects", "requests"]);
            for row in &rows {
                let about = if row.is_exact { "" } else { "about " };
                let objects = format!("{about}{}", grouped_count(row.objects));
                let requests = format!("{about}{}", grouped_count(row.requests));
                output::add_row(&mut table, [named(&row.account, row.step), objects, requests]);
            }
            output::write_table(&table, &mut out)?;
        }
        Format::Json => output::write_json(&rows, &mut out)?,
        Format::Csv => {
            const COLUMNS: [&str; 5] = ["account", "step", "objects", "is_exact", "requests"];
            output::write_csv(&COLUMNS, rows.iter(), args.format.cells, &mut out)?;
        }
    }
    let rate = args.api.rate();
    let minutes = rate.map(|rate| requests.div_ceil(60 * u64::from(NonZeroU32::get(rate))));
    let time = minutes.map_or(String::new(), |minutes| {
        format!(
            ", {} at this rate",
            if minutes <= 1 { "a minute".to_owned() } else { format!("{minutes} minutes") }
        )
    });
    print_message(&format!(
        "a backfill takes about {} requests{time}; nothing was appended",
        grouped_count(requests)
    ));
    Ok(Exit::Done)
}

fn row(scope: &Scope, step: Step, progress: &BackfillProgress) -> SummaryRow {
    let BackfillProgress { seen, confirmed, appended, unreadable, .. } = *progress;
    let (account, step) = (scope.account.clone(), step.describe());
    SummaryRow { account, step, seen, confirmed, appended, unreadable }
}

fn write_summary(rows: &[SummaryRow], args: &Args) -> anyhow::Result<()> {
    let mut out = stdout();
    match args.format.format {
        Format::Table => {
            let mut table = output::table(&["list", "seen", "confirmed", "appended", "unreadable"]);
            for row in rows {
                let counts = [row.seen, row.confirmed, row.appended, row.unreadable];
                let cells = std::iter::once(named(&row.account, row.step));
                output::add_row(&mut table, cells.chain(counts.map(grouped_count)));
            }
            output::write_table(&table, &mut out)?;
        }
        Format::Json => output::write_json(&rows, &mut out)?,
        Format::Csv => {
            const COLUMNS: [&str; 6] =
                ["account", "step", "seen", "confirmed", "appended", "unreadable"];
            output::write_csv(&COLUMNS, rows.iter(), args.format.cells, &mut out)?;
        }
    }
    Ok(())
}

fn named(account: &AccountId, step: &str) -> String {
    if account.as_str().is_empty() { step.to_owned() } else { format!("{account} {step}") }
}

fn grouped_count(count: u64) -> String {
    grouped(i64::try_from(count).unwrap_or(i64::MAX))
}

/// Subscriptions with a user and without one.
#[derive(Clone, Copy, Debug, Default)]
struct Users {
    with: u64,
    without: u64,
}

impl Users {
    fn add(&mut self, other: &Self) {
        let Self { with, without } = other;
        self.with += with;
        self.without += without;
    }

    fn describe(self) -> String {
        let hint = if self.without > 0 { ": list them with `current --no-user`" } else { "" };
        format!(
            "{} subscriptions have a user, {} have none{hint}",
            grouped_count(self.with),
            grouped_count(self.without)
        )
    }
}

async fn count_users(store: &Store, scope: &Scope) -> Result<Users, StoreError> {
    let filter = SubscriptionFilter {
        account: Some(scope.account.clone()),
        livemode: Some(scope.livemode),
        ..SubscriptionFilter::default()
    };
    let mut users = Users::default();
    let mut after: Option<SubscriptionKey> = None;
    loop {
        let read = store.read_model.subscriptions(&filter, after.as_ref(), ROWS_AT_ONCE).await?;
        let Some(last) = read.1.last() else { return Ok(users) };
        after = Some(SubscriptionKey { scope: scope.clone(), id: last.subscription_id.clone() });
        let with = read.1.iter().filter(|row| row.user_id.is_some()).count() as u64;
        users.add(&Users { with, without: read.1.len() as u64 - with });
    }
}
