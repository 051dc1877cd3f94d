//! `current`: subscriptions of the read model.

use clap::builder::NonEmptyStringValueParser;

use super::Context;
use super::csv_cells::CsvArgs;
use super::not_found::{SCOPE_HINT, not_found_hint};
use super::output::{self, RowWriter, RowsFormat, StreamOptions, cell, stdout};
use super::report::{Exit, Failure, print_message};
use crate::ids::{AccountId, CustomerId, Position, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::{
    ItemFilter, OpenMode, Store, SubscriptionFilter, SubscriptionKey, SubscriptionPages,
};
use crate::time::StripeTime;
use crate::view::{InvalidStatus, SubscriptionView};

/// Number of rows to read at a time.
const PAGE_ROWS: usize = 1_000;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Show only subscriptions of this user of your application
    #[arg(long, value_name = "USER")]
    user: Option<String>,

    /// Show only subscriptions without a user of your application
    #[arg(long, conflicts_with = "user")]
    no_user: bool,

    /// Show only subscriptions of this customer, `cus_…`
    #[arg(long, value_name = "CUSTOMER")]
    customer: Option<String>,

    /// Show only this subscription, `sub_…`
    #[arg(long, value_name = "SUBSCRIPTION")]
    subscription: Option<String>,

    /// Show only subscriptions with one of these statuses, such as `active,past_due`
    #[arg(
        long = "status",
        value_name = "STATUS",
        value_delimiter = ',',
        value_parser = NonEmptyStringValueParser::new()
    )]
    statuses: Vec<String>,

    /// Show only subscriptions with an item of this price, `price_…`
    #[arg(long, value_name = "PRICE")]
    price: Option<String>,

    /// Show only subscriptions with an item of this product, `prod_…`
    #[arg(long, value_name = "PRODUCT")]
    product: Option<String>,

    /// Show only subscriptions with an item whose price has this lookup key
    #[arg(long, value_name = "KEY")]
    lookup_key: Option<String>,

    /// Show only subscriptions that grant access now
    #[arg(long)]
    active: bool,

    /// Show subscriptions of this connected account, not of your own account
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    /// Show only subscriptions with a greater id, to continue an interrupted export. CSV then has no header
    #[arg(long, value_name = "SUBSCRIPTION")]
    after: Option<String>,

    /// Output format. JSON lines and CSV are streamed
    #[arg(long, value_enum, default_value_t = RowsFormat::Table)]
    format: RowsFormat,

    #[command(flatten)]
    cells: CsvArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let now = context.clock.now().to_stripe_time();
    // "Not found" is an error only if a subscription or a Stripe customer was requested by id.
    let named = args.subscription.clone().or_else(|| args.customer.clone());
    let mode = context.settings.mode;
    let scope = Scope { account: AccountId::new(args.account), livemode: mode.livemode() };
    let invalid = InvalidStatus::find(&args.statuses, &scope, &store.read_model).await?;
    if let Some(invalid) = invalid {
        return Err(Failure::usage(invalid.to_string(), invalid.hint()));
    }
    let is_whole = args.after.is_none();
    let is_of_one = args.user.is_some() || named.is_some();
    let after =
        args.after.map(|id| SubscriptionKey { scope: scope.clone(), id: id.as_str().into() });
    let filter = SubscriptionFilter {
        account: Some(scope.account.clone()),
        livemode: Some(scope.livemode),
        user_id: args.user,
        without_user: args.no_user,
        customer_id: args.customer.map(CustomerId::new),
        subscription_id: args.subscription.map(SubscriptionId::new),
        statuses: args.statuses,
        active: args.active.then_some((true, now)),
        item: ItemFilter {
            price_id: args.price,
            product_id: args.product,
            lookup_key: args.lookup_key,
        },
    };
    let mut pages = store.read_model.subscription_pages(filter, after, PAGE_ROWS).await?;
    let first = pages.next().await?;
    warn_if_behind(&store, pages.stamp.position).await?;
    if first.is_empty() && is_whole {
        let hint =
            if is_of_one { not_found_hint(&store, &scope).await } else { SCOPE_HINT.to_owned() };
        if let Some(named) = named {
            return Err(Failure::no(
                format!("no subscription found for {named} in {mode} mode"),
                hint,
            ));
        }
        print_message(&format!("no subscription found in {mode} mode"));
        print_message(&format!("hint: {hint}"));
    }
    if let Some(format) = args.format.streamed() {
        if first.len() == PAGE_ROWS {
            print_message(&format!("as of position {} of the log", pages.stamp.position));
        }
        let options = StreamOptions { format, cells: args.cells, with_header: is_whole };
        write_lines(first, pages, now, options).await?;
    } else {
        let rows = all(first, pages, now).await?;
        let mut out = stdout();
        if args.format == RowsFormat::Json {
            output::write_json(&serde_json::json!({ "data": rows, "next": null }), &mut out)?;
        } else {
            output::write_table(&table(&rows), &mut out)?;
        }
    }
    store.close().await;
    Ok(Exit::Done)
}

/// Says so if the read model lacks events of the log.
pub(super) async fn warn_if_behind(store: &Store, position: Position) -> anyhow::Result<()> {
    let behind = store.log.head().await?.size.0 - position.0;
    if behind > 0 {
        print_message(&format!(
            "the read model is {behind} events behind the log: run `subledger serve` or `subledger rebuild` \
             to update it"
        ));
    }
    Ok(())
}

/// Writes these rows and those of all further pages.
async fn write_lines(
    mut rows: Vec<SubscriptionRow>,
    mut pages: SubscriptionPages,
    now: StripeTime,
    options: StreamOptions,
) -> anyhow::Result<()> {
    let columns = SubscriptionRow::COLUMNS.iter().map(|column| column.name);
    let columns: Vec<&str> = columns.chain(["active"]).collect();
    let mut lines = RowWriter::new(options, &columns, stdout())?;
    while !rows.is_empty() {
        for row in rows {
            lines.write(&SubscriptionView::new(row, now))?;
        }
        rows = pages.next().await?;
    }
    pages.end().await?;
    lines.flush()
}

/// Reads all rows that match a filter.
pub(super) async fn rows(
    store: &Store,
    filter: &SubscriptionFilter,
    now: StripeTime,
) -> anyhow::Result<Vec<SubscriptionView>> {
    let pages = store.read_model.subscription_pages(filter.clone(), None, PAGE_ROWS).await?;
    all(Vec::new(), pages, now).await
}

/// Reads all further pages, and appends them to these rows.
async fn all(
    mut rows: Vec<SubscriptionRow>,
    mut pages: SubscriptionPages,
    now: StripeTime,
) -> anyhow::Result<Vec<SubscriptionView>> {
    loop {
        let page = pages.next().await?;
        if page.is_empty() {
            pages.end().await?;
            return Ok(SubscriptionView::all(rows, now));
        }
        rows.extend(page);
    }
}

/// Table of subscriptions with the most important columns.
pub(super) fn table(rows: &[SubscriptionView]) -> comfy_table::Table {
    let mut table = output::table(&["subscription", "user", "status", "active", "price", "ends"]);
    for SubscriptionView { row, active } in rows {
        // The first name that exists, from the most readable to the id.
        let names = [&row.price_nickname, &row.lookup_key, &row.product_name, &row.price_id];
        let cells = [
            row.subscription_id.to_string(),
            cell(row.user_id.as_ref()),
            row.status.clone(),
            (if *active { "yes" } else { "no" }).to_owned(),
            cell(names.into_iter().flatten().next()),
            cell(row.ends_at.map(day).as_ref()),
        ];
        output::add_row(&mut table, cells);
    }
    output::keep_whole(&mut table, &[0, 2, 3, 5]);
    table
}

/// Day of an instant, as `2026-03-01`.
fn day(at: StripeTime) -> String {
    at.to_string().chars().take("2026-03-01".len()).collect()
}
