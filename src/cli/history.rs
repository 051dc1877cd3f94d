//! `history`: what happened to a user, a customer or a subscription.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Context;
use super::csv_cells::CsvArgs;
use super::output::{self, RowWriter, RowsFormat, StreamFormat, stdout};
use super::report::{Exit, Failure, say};
use crate::audit::{
    self, FoldOutcome, HistoryEvent, HistoryStream, Past, ReadLimit, Subject, SubjectKind,
};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::store::OpenMode;
use crate::time::{ReceivedAt, StripeTime};
use crate::view::HistoryView;

/// The columns of the CSV.
const COLUMNS: [&str; 15] = [
    "position",
    "event_id",
    "type",
    "occurred_at",
    "received_at",
    "source",
    "late",
    "redelivered",
    "ambiguous",
    "rivals",
    "folding",
    "subscription_id",
    "words",
    "changes",
    "note",
];

/// Sentences that a table shows of one event, at most.
const WORDS_SHOWN: usize = 5;
/// Columns of a terminal that the type of an event takes in one line, at most.
const TYPE_WIDTH_MAX: usize = 29;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Id of a user of your application, `cus_…` or `sub_…`
    id: String,

    /// Kind of the id, where its form does not tell
    #[arg(long, value_enum)]
    kind: Option<SubjectKind>,

    /// Show only what had happened by then, such as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<StripeTime>,

    /// Show only what had reached the ledger by then. What arrives later does not change such a history
    #[arg(long, value_name = "TIME", value_parser = received_at)]
    known_at: Option<ReceivedAt>,

    /// Show only events that changed something
    #[arg(long)]
    changes_only: bool,

    /// Look at this connected account, not at your own
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    /// Show only what follows the event at this position of the log: goes on with an export that broke off. CSV
    /// then has no header. Give --known-at each time, so that no event arrives in between
    #[arg(long, value_name = "POSITION")]
    after: Option<i64>,

    /// Output format. JSON lines and CSV are streamed
    #[arg(long, value_enum, default_value_t = RowsFormat::Table)]
    format: RowsFormat,

    #[command(flatten)]
    cells: CsvArgs,
}

const FORM: &str = "an instant looks like 2026-03-01T00:00:00Z";

pub(super) fn instant(text: &str) -> Result<StripeTime, &'static str> {
    StripeTime::parse(text).ok_or(FORM)
}

pub(super) fn received_at(text: &str) -> Result<ReceivedAt, &'static str> {
    ReceivedAt::parse(text).ok_or(FORM)
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let kind = args.kind.unwrap_or_else(|| SubjectKind::of_id(&args.id));
    let mode = context.settings.mode;
    let scope = Scope { account: AccountId::new(args.account), livemode: mode.livemode() };
    let subject = Subject { kind, id: args.id.clone(), scope };
    let past = Past { as_of: args.as_of, known_at: args.known_at };
    let unknown = || {
        Failure::no(
            format!("the ledger knows no {} in {mode} mode", args.id),
            "--mode test looks at test mode, --account at a connected account, and --kind says \
             what the id names",
        )
    };
    let mut after = args.after.map(Position);
    if let Some(format) = args.format.lines() {
        let stream = HistoryStream::open(&store, subject, past, ReadLimit::default());
        let stream = stream.await?.ok_or_else(unknown)?;
        say_of_future(stream.received_in_future());
        write_lines(stream, after, args.changes_only, (format, args.cells)).await?;
    } else {
        let history = audit::history(&store, subject, past).await?;
        let (_, mut history) = history.ok_or_else(unknown)?;
        skip_through(&mut after, &mut history.events);
        require_skipped(after)?;
        say_of_future(history.received_in_future);
        let mut history = HistoryView::new(history, context.clock.now().to_stripe_time());
        if args.changes_only {
            history = history.changes_only();
        }
        if history.truncated {
            say("the story is longer than is told: these are its first events only");
        }
        let mut out = stdout();
        if args.format == RowsFormat::Json {
            output::write_json(&history, &mut out)?;
        } else {
            output::write_table(&table(&history.events), &mut out)?;
        }
    }
    store.close().await;
    Ok(Exit::Done)
}

/// Says that events are left out which are known, but by their time of receipt will only come.
pub(super) fn say_of_future(events: usize) {
    if events > 0 {
        say(&format!(
            "{events} events were received in the future and are left out: the clock was ahead when they came"
        ));
    }
}

/// Writes a story as it is told.
async fn write_lines(
    mut stream: HistoryStream<'_>,
    mut after: Option<Position>,
    changes_only: bool,
    format: (StreamFormat, CsvArgs),
) -> anyhow::Result<()> {
    let mut lines = RowWriter::new(format, &COLUMNS, after.is_none(), stdout())?;
    while let Some(mut events) = stream.next().await? {
        skip_through(&mut after, &mut events);
        let mut written = events.iter().filter(|it| !changes_only || it.changed_anything());
        written.try_for_each(|event| lines.write(event))?;
    }
    require_skipped(after)?;
    lines.flush()
}

/// Leaves out the events up to the one at this position, and then no more.
fn skip_through(after: &mut Option<Position>, events: &mut Vec<HistoryEvent>) {
    let Some(position) = *after else { return };
    match events.iter().position(|event| event.position == position) {
        Some(at) => {
            events.drain(..=at);
            *after = None;
        }
        None => events.clear(),
    }
}

/// Fails where the event up to which all was to be left out has not come.
fn require_skipped(after: Option<Position>) -> anyhow::Result<()> {
    let Some(position) = after else { return Ok(()) };
    Err(Failure::usage(
        format!("this history has no event at position {position}"),
        "--after takes the `position` of an event that was written before",
    ))
}

/// The story as a person reads it: when, what, what is special about it, and what it changed. What changed
/// nothing is dimmed where somebody looks.
pub(super) fn table(events: &[HistoryEvent]) -> comfy_table::Table {
    let mut table = output::table(&["happened", "event", "marks", "changed"]);
    let subscriptions: BTreeSet<_> =
        events.iter().filter_map(|it| it.subscription_id.as_ref()).collect();
    for event in events {
        let mut name = broken_before_dots(&event.event_type);
        let id = event.subscription_id.as_ref().filter(|_| subscriptions.len() > 1);
        name.extend(id.map(ToString::to_string));
        let happened = vec![minute(&event.occurred_at.to_string())];
        let row = [happened, name, marks(event), description(event)];
        output::add_row_of_lines(&mut table, row, !event.changed_anything());
    }
    output::keep_whole(&mut table, &[0, 1, 2]);
    table
}

/// A type of event, broken before a dot where it is long.
fn broken_before_dots(event_type: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in event_type.split('.') {
        let part = if lines.is_empty() { part.to_owned() } else { format!(".{part}") };
        match lines.last_mut() {
            Some(line) if line.len() + part.len() <= TYPE_WIDTH_MAX => line.push_str(&part),
            _ => lines.push(part),
        }
    }
    lines
}

/// What is special about an event.
fn marks(event: &HistoryEvent) -> Vec<String> {
    let folding = match event.folding {
        FoldOutcome::Folded => None,
        FoldOutcome::NotFolded => Some("not folded"),
        FoldOutcome::Parked => Some("parked"),
        FoldOutcome::Erased => Some("erased"),
    };
    let marks = [event.late.then_some("late"), event.ambiguous.then_some("in doubt"), folding];
    let marks = marks.into_iter().flatten().map(str::to_owned);
    let again = (event.redelivered > 0).then(|| format!("again ×{}", event.redelivered));
    marks.chain(again).collect()
}

/// What an event says and changed.
fn description(event: &HistoryEvent) -> Vec<String> {
    let mut lines: Vec<String> = event.note.iter().cloned().collect();
    lines.extend(event.words.iter().take(WORDS_SHOWN).cloned());
    match event.words.len().saturating_sub(WORDS_SHOWN) {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    if event.ambiguous {
        let rivals = event.rivals.iter().map(EventId::as_str).collect::<Vec<_>>();
        lines.push(format!("or {} was the last of this second", rivals.join(" or ")));
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::broken_before_dots;

    #[test]
    fn a_long_type_is_broken_before_a_dot() {
        for (event_type, lines) in [
            ("customer.subscription.updated", "customer.subscription.updated"),
            ("customer.subscription.trial_will_end", "customer.subscription\n.trial_will_end"),
            (
                "entitlements.active_entitlement_summary.updated",
                "entitlements\n.active_entitlement_summary\n.updated",
            ),
            ("ping", "ping"),
        ] {
            assert_eq!(broken_before_dots(event_type).join("\n"), lines);
        }
    }
}
