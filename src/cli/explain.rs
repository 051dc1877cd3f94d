//! `explain`: the event that set each field of a subscription's row.

use std::io::Write;

use serde_json::{Value, json};

use super::Context;
use super::history::{instant, minute, received_at, report_received_in_future, value};
use super::not_found::SCOPE_HINT;
use super::output::{self, Format, FormatArgs, stdout};
use super::report::{Exit, Failure, print_message};
use crate::audit::{self, Decision, EventPointer, Explained, Explanation, Past};
use crate::ids::{AccountId, Scope, SubscriptionId};
use crate::store::OpenMode;
use crate::stripe::observation::TYPE_PREFIX;
use crate::time::{ReceivedAt, StripeTime};

/// Columns of the CSV.
const COLUMNS: [&str; 13] = [
    "field",
    "value",
    "position",
    "event_id",
    "type",
    "occurred_at",
    "path",
    "said_by",
    "why",
    "policy_line",
    "policy_text",
    "rivals",
    "in_doubt",
];

#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Id of the subscription, `sub_…`
    subscription: String,

    /// Explain the state at this time, such as 2026-03-01T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = instant)]
    as_of: Option<StripeTime>,

    /// Use only events that had been received by this time
    #[arg(long, value_name = "TIME", value_parser = received_at)]
    known_at: Option<ReceivedAt>,

    /// Use this connected account, not your own account
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    #[command(flatten)]
    format: FormatArgs,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let store = context.open(OpenMode::ReadOnly).await?;
    let mode = context.settings.mode;
    let scope = Scope { account: AccountId::new(args.account), livemode: mode.livemode() };
    let id = SubscriptionId::new(args.subscription.clone());
    let past = Past { as_of: args.as_of, known_at: args.known_at };
    let now = context.clock.now().to_stripe_time();
    let explained = audit::explain(&store, scope, id, past, now).await?;
    store.close().await;
    let Some((_, explanation)) = explained else {
        return Err(Failure::no(
            format!("the ledger has no snapshot of {} in {mode} mode", args.subscription),
            SCOPE_HINT,
        ));
    };
    report_received_in_future(explanation.received_in_future);
    if explanation.truncated {
        print_message("the history is too long: this is the state after its first events");
    }
    let mut out = stdout();
    match args.format.format {
        Format::Table => write_table(&explanation, &mut out)?,
        Format::Json => output::write_json(&explanation, &mut out)?,
        Format::Csv => {
            let rows = explanation.fields.iter().map(flat_row);
            output::write_csv(&COLUMNS, rows, args.format.cells, &mut out)?;
        }
    }
    Ok(Exit::Done)
}

/// Writes a table for people: fields with a value, and below it the names of the empty ones.
fn write_table(explanation: &Explanation, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = output::table(&["field", "value", "because"]);
    let is_empty = |it: &&Explained| it.decision.is_none() && has_no_content(&it.value);
    for explained in explanation.fields.iter().filter(|it| !is_empty(it)) {
        let value = match &explained.value {
            object @ Value::Object(_) => object.to_string(),
            other => value(other),
        };
        let cells = [vec![explained.field.clone()], vec![value], reasons(explained)];
        output::add_row_of_lines(&mut table, cells, false);
    }
    output::keep_whole(&mut table, &[0]);
    if let Some(last) = table.column_mut(2) {
        last.set_padding((0, 0));
    }
    output::write_table(&table, out)?;
    let empty = explanation.fields.iter().filter(is_empty).map(|it| match &it.set_by {
        Some(source) => format!("{} (#{})", it.field, source.position),
        None => it.field.clone(),
    });
    let empty = empty.collect::<Vec<_>>().join(", ");
    if !empty.is_empty() {
        writeln!(out, "\nEmpty, none or false, with the event that set it: {empty}")?;
    }
    Ok(out.flush()?)
}

fn has_no_content(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn reasons(explained: &Explained) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(decision) = &explained.decision {
        lines.extend(decision_lines(decision));
    }
    lines.extend(explained.set_by.iter().flat_map(|source| event_lines(source, "")));
    lines.extend(explained.said_by.iter().flat_map(|source| event_lines(source, "said by ")));
    if let Some(tie) = &explained.tie {
        let doubt = if tie.in_doubt { "in doubt" } else { "last of its second" };
        for rival in &tie.rivals {
            let by = json!(rival.tie_break);
            lines.push(format!("{doubt}: {} against {}", value(&by), rival.event_id));
        }
    }
    if lines.is_empty() {
        lines.push("counted".to_owned());
    }
    lines
}

fn decision_lines(decision: &Decision) -> Vec<String> {
    let policy = decision.text.iter().map(|text| match decision.line {
        Some(line) => format!("policy line {line}: {text}"),
        None => format!("policy, built in: {text}"),
    });
    std::iter::once(decision.why.clone()).chain(policy).collect()
}

fn event_lines(source: &EventPointer, before: &str) -> Vec<String> {
    let at = minute(&source.occurred_at.to_string());
    let event_type = &source.event_type;
    let said = event_type
        .strip_prefix(TYPE_PREFIX)
        .map_or_else(|| event_type.clone(), |object| format!("{object}, as seen at Stripe on"));
    let mut lines =
        vec![format!("{before}#{} {said}", source.position), format!("{at} {}", source.event_id)];
    lines.extend(source.path.clone());
    lines
}

/// Flat row of a field, for CSV.
fn flat_row(explained: &Explained) -> Value {
    let set_by = explained.set_by.as_ref();
    let decision = explained.decision.as_ref();
    let said_by = explained.said_by.as_ref();
    json!({
        "field": explained.field,
        "value": explained.value,
        "position": set_by.map(|it| it.position),
        "event_id": set_by.map(|it| &it.event_id),
        "type": set_by.map(|it| &it.event_type),
        "occurred_at": set_by.map(|it| it.occurred_at),
        "path": said_by.or(set_by).map(|it| &it.path),
        "said_by": said_by.map(|it| &it.event_id),
        "why": decision.map(|it| &it.why),
        "policy_line": decision.map(|it| it.line),
        "policy_text": decision.map(|it| &it.text),
        "rivals": explained.tie.as_ref().map(|it| &it.rivals),
        "in_doubt": explained.tie.as_ref().map(|it| it.in_doubt),
    })
}
