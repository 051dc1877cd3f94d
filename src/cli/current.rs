//! `current`: the read model, as rows.

use std::io::Write;

use super::Context;
use super::output::{self, Format, FormatArgs, cell, stdout};
use super::report::{Exit, Failure, say};
use crate::http::SubscriptionView;
use crate::ids::{AccountId, CustomerId, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::{Opening, Store, SubscriptionFilter, SubscriptionKey};
use crate::time::StripeTime;

/// Rows that are read at once.
const PAGE_ROWS: usize = 1_000;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Of this user of your application
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Of this customer, `cus_…`
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,

    /// This one, `sub_…`
    #[arg(long, value_name = "SUBSCRIPTION")]
    subscription: Option<String>,

    /// With this status
    #[arg(long, value_name = "STATUS")]
    status: Option<String>,

    /// Only those that grant access now
    #[arg(long)]
    active: bool,

    /// Of a connected account, instead of your own
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(Opening::Existing).await?;
    let now = context.clock.now().to_stripe_time();
    // Who names one wants to know whether it is there; who names none may find none.
    let named = args.subscription.clone().or_else(|| args.customer.clone());
    let filter = SubscriptionFilter {
        account: Some(AccountId::new(args.account)),
        livemode: Some(context.settings.mode.livemode()),
        user_id: args.user,
        customer_id: args.customer.map(CustomerId::new),
        subscription_id: args.subscription.map(SubscriptionId::new),
        status: args.status,
        active: args.active.then_some((true, now)),
        ..SubscriptionFilter::default()
    };
    let rows = rows(&store, &filter, now).await?;
    let waiting = behind(&store).await?;
    store.close().await;
    if waiting > 0 {
        say(&format!(
            "the read model is {waiting} events behind the log: `subledger rebuild` or a running \
             `serve` brings it up to date"
        ));
    }
    if let Some(named) = named.filter(|_| rows.is_empty()) {
        return Err(Failure::no(
            format!("no subscription fits {named} in {} mode", context.settings.mode),
            "--mode test looks at test mode, --account at a connected account",
        ));
    }
    write(&rows, args.format.format, &mut stdout())?;
    Ok(Exit::Done)
}

/// All rows that meet a filter.
pub(super) async fn rows(
    store: &Store,
    filter: &SubscriptionFilter,
    now: StripeTime,
) -> anyhow::Result<Vec<SubscriptionView>> {
    let mut views = Vec::new();
    let mut after = None;
    loop {
        let (_, rows) = store.read_model.subscriptions(filter, after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = rows.last() else { return Ok(views) };
        after = Some(SubscriptionKey {
            scope: Scope { account: last.account.as_str().into(), livemode: last.livemode },
            id: last.subscription_id.as_str().into(),
        });
        views.extend(rows.into_iter().map(|row| SubscriptionView::new(row, now)));
    }
}

/// How many events the live generation has not folded.
async fn behind(store: &Store) -> anyhow::Result<i64> {
    let size = store.log.head().await?.size;
    let live = store.read_model.live().await?;
    Ok(live.map_or(0, |live| size.0 - live.position.0))
}

fn write(rows: &[SubscriptionView], format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    match format {
        Format::Table => output::write_table(&table(rows), out)?,
        Format::Json => {
            output::write_json(&serde_json::json!({ "data": rows, "next": null }), out)?;
        }
        Format::Csv => {
            let columns = SubscriptionRow::COLUMNS.iter().map(|column| column.name);
            let columns: Vec<&str> = columns.chain(["active"]).collect();
            output::write_csv(&columns, rows, out)?;
        }
    }
    Ok(())
}

/// What a person wants to see first.
pub(super) fn table(rows: &[SubscriptionView]) -> comfy_table::Table {
    let mut table = output::table(&["subscription", "user", "status", "active", "price", "ends"]);
    for SubscriptionView { row, active } in rows {
        // The name that a person gave it, or at least to what is sold, where there is one.
        let names = [&row.price_nickname, &row.lookup_key, &row.product_name, &row.price_id];
        table.add_row([
            row.subscription_id.clone(),
            cell(row.user_id.as_ref()),
            row.status.clone(),
            (if *active { "yes" } else { "no" }).to_owned(),
            cell(names.into_iter().flatten().next()),
            cell(row.ends_at.map(day).as_ref()),
        ]);
    }
    output::keep_whole(&mut table, &[0, 2, 3, 5]);
    table
}

/// The day of an instant, which is enough for a table.
fn day(at: StripeTime) -> String {
    at.to_string().chars().take("2026-03-01".len()).collect()
}
