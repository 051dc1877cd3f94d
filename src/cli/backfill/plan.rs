//! `backfill --dry-run`: what a backfill would read, in how many requests and minutes.

use std::num::NonZeroU32;

use serde::Serialize;

use super::Args;
use super::steps::count_of;
use super::summary::Accounts;
use crate::backfill::{BackfillOptions, Estimate, List, Step, estimate, uses_entitlements};
use crate::cli::output::{self, Format, stdout};
use crate::cli::report::{Exit, print_message};
use crate::ids::AccountId;
use crate::stripe_api::{ApiClient, PAGE_OBJECTS_MAX};
use crate::time::StripeTime;

/// Row of a dry run.
#[derive(Clone, Debug, Serialize)]
struct PlanRow {
    account: AccountId,
    step: &'static str,
    /// Estimated number of objects.
    objects: u64,
    is_exact: bool,
    requests: u64,
    #[serde(skip)]
    words: &'static str,
}

impl PlanRow {
    fn new(account: &AccountId, step: Step, size: Estimate, objects_a_request: u64) -> Self {
        let Estimate { objects, is_exact } = size;
        Self {
            account: account.clone(),
            step: step.as_str(),
            objects,
            is_exact,
            requests: objects.div_ceil(objects_a_request).max(1),
            words: step.describe(),
        }
    }
}

/// Shows what a backfill would read.
pub(super) async fn show(
    client: &ApiClient,
    options: &[BackfillOptions],
    now: StripeTime,
    args: &Args,
) -> anyhow::Result<Exit> {
    let mut rows = Vec::new();
    for BackfillOptions { scope, invoices_since } in options {
        let account = &scope.account;
        for step in Step::ALL {
            if let Some(list) = step.list(now, *invoices_since) {
                let size = estimate(client, &list, account, now).await?;
                rows.push(PlanRow::new(account, step, size, PAGE_OBJECTS_MAX as u64));
            }
        }
        if uses_entitlements(client, account).await? {
            // One request for each customer. Without `status` the list leaves out the canceled ones.
            let list = List { path: "/v1/subscriptions", query: Vec::new() };
            let size = estimate(client, &list, account, now).await?;
            let size = Estimate { is_exact: false, ..size };
            rows.push(PlanRow::new(account, Step::Entitlements, size, 1));
        }
    }
    write(&rows, args)?;
    let requests = rows.iter().map(|it| it.requests).sum();
    print_message(&describe(requests, args.api.rate()));
    Ok(Exit::Done)
}

fn write(rows: &[PlanRow], args: &Args) -> anyhow::Result<()> {
    const COLUMNS: [&str; 5] = ["account", "step", "objects", "is_exact", "requests"];
    let mut out = stdout();
    match args.format.format {
        Format::Table => {
            let accounts = Accounts::of(rows.iter().map(|row| &row.account));
            let mut table = output::table(&accounts.columns(&["list", "objects", "requests"]));
            for row in rows {
                let about = if row.is_exact { "" } else { "about " };
                let [objects, requests] =
                    [row.objects, row.requests].map(|it| format!("{about}{}", count_of(it)));
                let cells = [row.words.to_owned(), objects, requests];
                output::add_row(&mut table, accounts.cells(&row.account, cells));
            }
            output::write_table(&table, &mut out)?;
        }
        Format::Json => output::write_json(&rows, &mut out)?,
        Format::Csv => output::write_csv(&COLUMNS, rows.iter(), args.format.cells, &mut out)?,
    }
    Ok(())
}

/// Sentence with the requests, and the time that they take at this rate.
fn describe(requests: u64, rate: Option<NonZeroU32>) -> String {
    let time = rate.map_or(String::new(), |rate| {
        let minutes = requests.div_ceil(60 * u64::from(rate.get()));
        let time = match minutes {
            0..=1 => "less than a minute".to_owned(),
            2..=119 => format!("about {minutes} minutes"),
            _ => format!("about {} hours", minutes.div_ceil(60)),
        };
        format!(", {time} at {rate} requests a second")
    });
    format!("a backfill takes about {} requests{time}; nothing was appended", count_of(requests))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_follows_from_the_requests_and_the_rate() {
        let at = |requests, rate| describe(requests, NonZeroU32::new(rate));
        assert!(at(600, 10).contains("about 600 requests, less than a minute at 10 requests"));
        assert!(at(30_000, 10).contains("about 30,000 requests, about 50 minutes at 10 requests"));
        assert!(at(300_000, 10).contains("about 9 hours"));
        assert!(at(600, 0).contains("about 600 requests; nothing"));
    }
}
