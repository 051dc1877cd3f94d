//! `backfill`: appends what Stripe's API shows and the log does not say.

mod plan;
mod steps;
mod summary;

use super::Context;
use super::accounts::{self, ReadAccounts};
use super::output::FormatArgs;
use super::report::{Exit, Failure, print_message};
use crate::backfill::BackfillOptions;
use crate::store::OpenMode;
use crate::stripe_api::ApiSettings;
use crate::time::{DAY_SECONDS, StripeTime};
use summary::SummaryRow;

/// Age of the oldest invoices that are read, in days: 13 months, so that a yearly payment is among them.
const INVOICE_DAYS: i64 = 396;

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

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let mode = context.settings.mode;
    let account = args.account.as_deref();
    let ReadAccounts { client, scopes } = ReadAccounts::find(&args.api, mode, account).await?;
    let now = context.clock.now().to_stripe_time();
    let invoices_since = args.since.unwrap_or(StripeTime(now.0 - INVOICE_DAYS * DAY_SECONDS));
    let options = scopes.into_iter().map(|scope| BackfillOptions { scope, invoices_since });
    let options: Vec<_> = options.collect();
    if args.dry_run {
        return plan::show(&client, &options, now, &args).await;
    }
    let (store, fold) = accounts::open(context, OpenMode::Create).await?;
    let ended = steps::run(&store, &client, &fold, options, &context.clock).await;
    // Before the store is closed, also if a step failed.
    fold.stop().await;
    let steps::Outcome { rows, users, failed } = ended?;
    summary::write(&rows, args.format)?;
    print_message(&users.describe());
    if failed > 0 {
        let hint = "what was appended stays; `subledger backfill` goes on with these accounts";
        return Err(Failure::failed(format!("{failed} accounts were not read to their end"), hint));
    }
    if rows.iter().any(SummaryRow::has_unreadable) {
        print_message(
            "some objects could not be read and were not appended: the log of this command names them",
        );
        return Ok(Exit::No);
    }
    Ok(Exit::Done)
}
