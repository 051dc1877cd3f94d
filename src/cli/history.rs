//! `history`: what happened to a user, a customer or a subscription.

use std::io::Write;

use serde_json::Value;

use super::Context;
use super::output::{self, Format, FormatArgs, stdout};
use super::report::{Exit, Failure};
use crate::audit::{self, Change, HistoryEvent, Subject, SubjectKind};
use crate::http::HistoryView;
use crate::ids::{AccountId, Scope};
use crate::store::Opening;
use crate::time::{ReceivedAt, StripeTime};

/// The columns of the CSV.
const COLUMNS: [&str; 10] = [
    "position",
    "event_id",
    "type",
    "occurred_at",
    "received_at",
    "source",
    "late",
    "subscription_id",
    "changes",
    "note",
];

/// Changed fields that a table shows of one event, at most.
const CHANGES_SHOWN: usize = 5;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// A user of your application, `cus_…` or `sub_…`
    id: String,

    /// What the id names, where its form does not tell
    #[arg(long, value_enum)]
    kind: Option<Kind>,

    /// Only what had happened by then, as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<StripeTime>,

    /// Only what had reached the ledger by then
    #[arg(long, value_name = "TIME", value_parser = received_at)]
    known_at: Option<ReceivedAt>,

    /// Of a connected account, instead of your own
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    #[command(flatten)]
    format: FormatArgs,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Kind {
    User,
    Customer,
    Subscription,
}

const FORM: &str = "an instant looks like 2026-03-01T00:00:00Z";

fn instant(text: &str) -> Result<StripeTime, &'static str> {
    StripeTime::parse(text).ok_or(FORM)
}

fn received_at(text: &str) -> Result<ReceivedAt, &'static str> {
    ReceivedAt::parse(text).ok_or(FORM)
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(Opening::Existing).await?;
    let kind = match args.kind {
        None => SubjectKind::of_id(&args.id),
        Some(Kind::User) => SubjectKind::User,
        Some(Kind::Customer) => SubjectKind::Customer,
        Some(Kind::Subscription) => SubjectKind::Subscription,
    };
    let mode = context.settings.mode;
    let scope = Scope { account: AccountId::new(args.account), livemode: mode.livemode() };
    let subject = Subject { kind, id: args.id.clone(), scope };
    let history = audit::history(&store, subject, args.as_of, args.known_at).await?;
    store.close().await;
    let Some((_, history)) = history else {
        return Err(Failure::no(
            format!("the ledger knows no {} in {mode} mode", args.id),
            "--mode test looks at test mode, --account at a connected account, and --kind says \
             what the id names",
        ));
    };
    let history = HistoryView::new(history, context.clock.now().to_stripe_time());
    write(&history, args.format.format, &mut stdout())?;
    Ok(Exit::Done)
}

fn write(history: &HistoryView, format: Format, out: &mut impl Write) -> anyhow::Result<()> {
    match format {
        Format::Table => output::write_table(&table(&history.events), out)?,
        Format::Json => output::write_json(history, out)?,
        Format::Csv => output::write_csv(&COLUMNS, &history.events, out)?,
    }
    Ok(())
}

/// The story as a person reads it: when, what, and what it changed.
pub(super) fn table(events: &[HistoryEvent]) -> comfy_table::Table {
    let mut table = output::table(&["happened", "event", "changed"]);
    for event in events {
        let mut changes: Vec<&Change> = event.changes.iter().collect();
        changes.sort_by_key(|change| rank(&change.field));
        let mut lines = Vec::new();
        if event.late {
            lines.push("(arrived late)".to_owned());
        }
        lines.extend(changes.iter().take(CHANGES_SHOWN).map(|change| sentence(change)));
        match changes.len().saturating_sub(CHANGES_SHOWN) {
            0 => {}
            more => lines.push(format!("and {more} more fields")),
        }
        lines.extend(event.note.clone());
        let happened = event.occurred_at.to_string();
        table.add_row([minute(&happened), event.event_type.clone(), lines.join("\n")]);
    }
    output::keep_whole(&mut table, &[0, 1]);
    table
}

/// What a reader looks for first.
const FIRST: [&str; 12] = [
    "status",
    "entitled",
    "entitled_until",
    "price_id",
    "quantity",
    "ends_at",
    "past_due_since",
    "payment_failed_at",
    "latest_invoice_status",
    "paid_through",
    "current_period_end",
    "user_id",
];

fn rank(field: &str) -> usize {
    FIRST.iter().position(|first| *first == field).unwrap_or(FIRST.len())
}

fn sentence(change: &Change) -> String {
    if change.from.is_null() {
        format!("{}: {}", change.field, value(&change.to))
    } else {
        format!("{}: {} -> {}", change.field, value(&change.from), value(&change.to))
    }
}

/// A value in a few words.
pub(super) fn value(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) if StripeTime::parse(text).is_some() => minute(text),
        Value::String(text) => text.clone(),
        Value::Array(list) => format!("({} items)", list.len()),
        Value::Object(_) => "(changed)".to_owned(),
        other => other.to_string(),
    }
}

/// `2026-03-01 12:30` of `2026-03-01T12:30:59Z`.
pub(super) fn minute(instant: &str) -> String {
    instant.replace('T', " ").chars().take("2026-03-01 12:30".len()).collect()
}
