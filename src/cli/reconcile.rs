//! `reconcile`: compares Stripe's current state with the ledger, and names the reason of each difference.

mod show;
mod steps;

use std::time::Duration;

pub(super) use show::write_findings;

use super::Context;
use super::accounts::{self, ReadAccounts};
use super::output::FormatArgs;
use super::report::{Exit, Failure, despite_broken_pipe, print_message};
use crate::reconcile::{Options, Report};
use crate::store::OpenMode;
use crate::stripe_api::ApiSettings;

/// Exit status: 0 if the ledger agrees with Stripe, also after it was healed; 1 if it differs.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Connected account, `acct_…`, or `all` for your own and all connected accounts [default: your own]
    #[arg(long, value_name = "ACCOUNT")]
    account: Option<String>,

    /// Append the events and observations that heal the differences
    #[arg(long)]
    apply: bool,

    /// Seconds to wait for late events, before a change that no event explains counts as drift
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    settle: u64,

    /// Differences that a table lists. JSON and CSV list all
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: usize,

    #[command(flatten)]
    api: ApiSettings,

    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let (mode, account) = (context.settings.mode, args.account.as_deref());
    let ReadAccounts { client, scopes } = ReadAccounts::find(&args.api, mode, account).await?;
    let (store, fold) = accounts::open(context, OpenMode::Existing).await?;
    let is_one = scopes.len() == 1;
    let (mut reports, mut failed) = (Vec::new(), 0);
    let mut ended = Ok(());
    for scope in scopes {
        let options = Options {
            apply: args.apply,
            settle: Duration::from_secs(args.settle),
            ..Options::new(scope)
        };
        match steps::run(&store, &client, &fold, &options, &context.clock).await {
            Ok(report) => reports.push(report),
            Err(error) if is_one => ended = Err(accounts::cause(error)),
            Err(error) => {
                failed += 1;
                let account = accounts::name(&options.scope.account);
                print_message(&format!("{account}: {error}"));
            }
        }
    }
    // Before the store is closed, also if an account failed.
    fold.stop().await;
    ended?;
    despite_broken_pipe(show::write(&reports, args.format, args.limit))?;
    if failed > 0 {
        let hint = "run the same command again, or name one of them with --account";
        return Err(Failure::failed(format!("{failed} accounts could not be compared"), hint));
    }
    Ok(if reports.iter().all(is_settled) { Exit::Done } else { Exit::No })
}

/// True if the ledger agrees with Stripe, or does now.
fn is_settled(report: &Report) -> bool {
    let is_healed = report.customers_left_out == 0
        && report.differences.iter().all(|it| !it.is_drift || it.is_healed == Some(true));
    report.agrees() || (report.healing.is_some() && is_healed)
}
