//! `history`: events of a user, a customer or a subscription, each with its changes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::Context;
use super::csv_cells::CsvArgs;
use super::not_found::not_found_hint;
use super::output::{self, RowWriter, RowsFormat, StreamOptions, stdout};
use super::report::{Exit, Failure, print_message};
use crate::audit::{
    self, FoldOutcome, HistoryEvent, HistoryStream, Past, ReadLimit, Subject, SubjectKind,
};
use crate::ids::{AccountId, EventId, Position, Scope};
use crate::store::OpenMode;
use crate::time::{ReceivedAt, StripeTime};
use crate::view::HistoryView;

/// Columns of the CSV.
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

/// Greatest number of sentences about one event in a table.
const SENTENCES_MAX: usize = 5;
/// Greatest width of an event's type in one line, in columns of a terminal.
const TYPE_WIDTH_MAX: usize = 29;

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Id of a user of your application, `cus_…` or `sub_…`
    id: String,

    /// Kind of the id, if its prefix does not tell
    #[arg(long, value_enum)]
    kind: Option<SubjectKind>,

    /// Show only events that had happened by this time, such as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<StripeTime>,

    /// Show only events that had been received by this time. Later events do not change such a history
    #[arg(long, value_name = "TIME", value_parser = received_at)]
    known_at: Option<ReceivedAt>,

    /// Show only events that changed something
    #[arg(long)]
    changes_only: bool,

    /// Use this connected account, not your own account
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    /// Show only what follows the event at this position of the log, to continue an interrupted export. CSV then has
    /// no header. Use the same --known-at each time, so that no event arrives in between
    #[arg(long, value_name = "POSITION")]
    after: Option<i64>,

    /// Output format. JSON lines and CSV are streamed
    #[arg(long, value_enum, default_value_t = RowsFormat::Table)]
    format: RowsFormat,

    #[command(flatten)]
    cells: CsvArgs,
}

const INSTANT: &str = "expected an instant such as 2026-03-01T00:00:00Z";

pub(super) fn instant(text: &str) -> Result<StripeTime, &'static str> {
    StripeTime::parse(text).ok_or(INSTANT)
}

pub(super) fn received_at(text: &str) -> Result<ReceivedAt, &'static str> {
    ReceivedAt::parse(text).ok_or(INSTANT)
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let kind = args.kind.unwrap_or_else(|| SubjectKind::from_id(&args.id));
    let mode = context.settings.mode;
    let scope = Scope { account: AccountId::new(args.account), livemode: mode.livemode() };
    let subject = Subject { kind, id: args.id.clone(), scope: scope.clone() };
    let past = Past { as_of: args.as_of, known_at: args.known_at };
    let unknown = async || {
        let hint = not_found_hint(&store, &scope).await;
        Failure::no(
            format!("the ledger has no {} in {mode} mode", args.id),
            format!("{hint}, and --kind tells what the id is"),
        )
    };
    let mut after = args.after.map(Position);
    if let Some(format) = args.format.streamed() {
        let stream = HistoryStream::open(&store, subject, past, ReadLimit::default());
        let Some(stream) = stream.await? else {
            return Err(unknown().await);
        };
        report_received_in_future(stream.received_in_future());
        let options = StreamOptions { format, cells: args.cells, with_header: after.is_none() };
        write_lines(stream, after, args.changes_only, options).await?;
    } else {
        let Some((_, mut history)) = audit::history(&store, subject, past).await? else {
            return Err(unknown().await);
        };
        skip_through(&mut after, &mut history.events);
        require_skipped(after)?;
        report_received_in_future(history.received_in_future);
        let mut history = HistoryView::new(history, context.clock.now().to_stripe_time());
        if args.changes_only {
            history = history.changes_only();
        }
        if history.truncated {
            print_message("the history is too long: these are only its first events");
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

/// Reports events that are left out because their time of receipt lies in the future.
pub(super) fn report_received_in_future(events: usize) {
    if events > 0 {
        print_message(&format!(
            "left out {events} events whose time of receipt lies in the future: the clock was ahead"
        ));
    }
}

/// Writes a history as it is read.
async fn write_lines(
    mut stream: HistoryStream<'_>,
    mut after: Option<Position>,
    changes_only: bool,
    options: StreamOptions,
) -> anyhow::Result<()> {
    let mut lines = RowWriter::new(options, &COLUMNS, stdout())?;
    while let Some(mut events) = stream.next().await? {
        skip_through(&mut after, &mut events);
        let mut shown = events.iter().filter(|it| !changes_only || it.changed_anything());
        shown.try_for_each(|event| lines.write(event))?;
    }
    require_skipped(after)?;
    lines.flush()
}

/// Removes the events up to the one at this position. Once that is found, `after` is none.
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

/// Fails if the event at the position of `--after` was not found.
fn require_skipped(after: Option<Position>) -> anyhow::Result<()> {
    let Some(position) = after else { return Ok(()) };
    Err(Failure::usage(
        format!("this history has no event at position {position}"),
        "--after takes the `position` of an event of this history",
    ))
}

/// Table of events: time, type, marks and changes. On a terminal, an event without changes is dimmed.
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

/// Lines of an event type, which is broken before dots if it is long.
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

/// Marks of an event that is late, in doubt, redelivered or not folded.
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

/// Lines that describe an event and its changes.
fn description(event: &HistoryEvent) -> Vec<String> {
    let mut lines: Vec<String> = event.note.iter().cloned().collect();
    lines.extend(event.words.iter().take(SENTENCES_MAX).cloned());
    match event.words.len().saturating_sub(SENTENCES_MAX) {
        0 => {}
        more => lines.push(format!("and {more} more")),
    }
    if event.ambiguous {
        let rivals = event.rivals.iter().map(EventId::as_str).collect::<Vec<_>>();
        lines.push(format!("or {} was the last event of this second", rivals.join(" or ")));
    }
    lines
}

/// Short text of a value.
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

/// Shortens `2026-03-01T12:30:59Z` to `2026-03-01 12:30`.
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
