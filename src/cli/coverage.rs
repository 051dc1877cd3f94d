//! `coverage`: from when to when the ledger is known to be complete.

use std::collections::BTreeSet;
use std::io::Write;

use serde::Deserialize;

use super::Context;
use super::output::{self, grouped, stdout};
use super::report::{Exit, despite_broken_pipe, print_message};
use crate::coverage::CoveredBy;
use crate::store::OpenMode;
use crate::time::StripeTime;
use crate::view::{AccountCoverage, CoverageView};
use crate::visible::visible;

/// Number of the latest runs of missed deliveries that the table shows.
const RUNS_SHOWN: usize = 10;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Table for people, at most 100 columns wide.
    Table,
    /// One JSON document, as `GET /v1/coverage` answers it.
    Json,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let mode = context.settings.mode;
    let now = context.clock.now().to_stripe_time();
    let view = CoverageView::read(&store.log, mode, now).await?;
    store.close().await;
    let mut out = stdout();
    // The exit status is the answer, even if nobody reads the output.
    despite_broken_pipe(match args.format {
        Format::Table => write_tables(&view, &mut out),
        Format::Json => output::write_json(&view, &mut out),
    })?;
    let is_complete = view.own(mode).is_some_and(|own| own.gaps.is_empty());
    let whose = format!("your own account in {mode} mode");
    print_message(&if is_complete {
        format!("{whose} is complete")
    } else {
        format!("{whose} is not known to be complete")
    });
    Ok(if is_complete { Exit::Done } else { Exit::No })
}

fn write_tables(view: &CoverageView, out: &mut impl Write) -> anyhow::Result<()> {
    for (index, account) in view.data.iter().enumerate() {
        if index > 0 {
            writeln!(out)?;
        }
        write_account(account, out)?;
    }
    if view.truncated {
        writeln!(out, "\nthere are more accounts than these {}", view.data.len())?;
    }
    Ok(out.flush()?)
}

pub(super) fn write_account(account: &AccountCoverage, out: &mut impl Write) -> anyhow::Result<()> {
    let AccountCoverage { mode, complete, gaps, missed, error, .. } = account;
    match account.account.as_str() {
        "" => writeln!(out, "own account, {mode} mode")?,
        id => writeln!(out, "{}, {mode} mode", visible(id))?,
    }
    let mut spans = Vec::with_capacity(complete.len() + gaps.len());
    for span in complete {
        let by = match span.by {
            CoveredBy::Backfill => "backfill",
            CoveredBy::Sync => "sync",
        };
        spans.push((span.from, span.to, "complete", by));
    }
    for gap in gaps {
        spans.push((gap.from, gap.to, "gap", gap.reason.describe()));
    }
    spans.sort_by_key(|span| span.0);
    let mut table = output::table(&["state", "from", "to", "reason"]);
    for (from, to, state, reason) in spans {
        let from = from.map_or_else(|| "the beginning".to_owned(), minute);
        output::add_row(&mut table, [state.to_owned(), from, minute(to), reason.to_owned()]);
    }
    for run in &missed.runs[missed.runs.len().saturating_sub(RUNS_SHOWN)..] {
        let s = if run.events == 1 { "" } else { "s" };
        let events = format!("{} event{s}, found by a sync", number(run.events));
        let state = "not delivered".to_owned();
        output::add_row(&mut table, [state, minute(run.from), minute(run.to), events]);
    }
    output::keep_whole(&mut table, &[0, 1, 2]);
    output::write_table(&table, out)?;
    let latest = if missed.runs.len() > RUNS_SHOWN { ", the latest of them above" } else { "" };
    writeln!(out, "not delivered: {} events{latest}", number(missed.events))?;
    let synced = account.synced_at.map(|at| minute(at.to_stripe_time()));
    writeln!(out, "last sync: {}", synced.as_deref().unwrap_or("never"))?;
    if let Some(error) = error {
        writeln!(out, "last error of a sync: {}", visible(error))?;
    }
    for endpoint in endpoints(account) {
        writeln!(out, "endpoint: {}", visible(&endpoint))?;
    }
    let advice: BTreeSet<&str> = gaps.iter().map(|gap| gap.advice.as_str()).collect();
    for advice in advice {
        writeln!(out, "to close the gap: {}", visible(advice))?;
    }
    Ok(())
}

/// Webhook endpoint, as far as it is shown.
#[derive(Deserialize)]
struct Endpoint {
    #[serde(default)]
    url: String,
    #[serde(default)]
    status: String,
    /// Types that the ledger uses and the endpoint does not send.
    #[serde(default)]
    enabled_events_missing: Vec<String>,
}

fn endpoints(account: &AccountCoverage) -> Vec<String> {
    let Some(json) = &account.endpoints else { return Vec::new() };
    let endpoints: Vec<Endpoint> = serde_json::from_str(json.get()).unwrap_or_default();
    if endpoints.is_empty() {
        return vec!["none at Stripe: run `subledger stripe endpoint create`".to_owned()];
    }
    let describe = |Endpoint { url, status, enabled_events_missing }: &Endpoint| match (
        status.as_str(),
        enabled_events_missing.len(),
    ) {
        ("enabled", 0) => format!("{url} is enabled"),
        ("enabled", missing) => {
            format!("{url} does not send {missing} types: `subledger stripe check` names them")
        }
        (status, _) => format!("{url} is {status}: Stripe sends nothing to it"),
    };
    endpoints.iter().map(describe).collect()
}

fn minute(at: StripeTime) -> String {
    super::history::minute(&at.to_string())
}

fn number(count: u64) -> String {
    grouped(i64::try_from(count).unwrap_or(i64::MAX))
}
