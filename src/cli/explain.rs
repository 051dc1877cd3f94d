//! `explain`: for every field of a subscription's row, the event that set it.

use std::io::Write;

use serde_json::{Value, json};

use super::Context;
use super::history::{instant, minute, received_at, say_of_future, value};
use super::output::{self, Format, FormatArgs, stdout};
use super::report::{Exit, Failure, say};
use crate::audit::{self, Decision, EventPointer, Explained, Explanation, Past};
use crate::ids::{AccountId, Scope, SubscriptionId};
use crate::store::OpenMode;
use crate::time::{ReceivedAt, StripeTime};

/// The columns of the CSV.
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

    /// Use only what had reached the ledger by then
    #[arg(long, value_name = "TIME", value_parser = received_at)]
    known_at: Option<ReceivedAt>,

    /// Look at this connected account, not at your own
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
            format!("no snapshot of {} is known in {mode} mode", args.subscription),
            "--mode test looks at test mode, --account at a connected account",
        ));
    };
    say_of_future(explanation.received_in_future);
    if explanation.truncated {
        say("the story is longer than is told: this is what its first events make");
    }
    let mut out = stdout();
    match args.format.format {
        Format::Table => write_table(&explanation, &mut out)?,
        Format::Json => output::write_json(&explanation, &mut out)?,
        Format::Csv => {
            let rows = explanation.fields.iter().map(flat);
            output::write_csv(&COLUMNS, rows, args.format.cells, &mut out)?;
        }
    }
    Ok(Exit::Done)
}

/// What a person reads: what is so, and below it what is not.
fn write_table(explanation: &Explanation, out: &mut impl Write) -> anyhow::Result<()> {
    let mut table = output::table(&["field", "value", "because"]);
    let is_nothing = |it: &&Explained| it.decision.is_none() && says_nothing(&it.value);
    for explained in explanation.fields.iter().filter(|it| !is_nothing(it)) {
        let value = match &explained.value {
            object @ Value::Object(_) => object.to_string(),
            other => value(other),
        };
        let cells = [vec![explained.field.clone()], vec![value], because(explained)];
        output::add_row_of_lines(&mut table, cells, false);
    }
    output::keep_whole(&mut table, &[0]);
    if let Some(last) = table.column_mut(2) {
        last.set_padding((0, 0));
    }
    output::write_table(&table, out)?;
    let nothing = explanation.fields.iter().filter(is_nothing).map(|it| match &it.set_by {
        Some(source) => format!("{} (#{})", it.field, source.position),
        None => it.field.clone(),
    });
    let nothing = nothing.collect::<Vec<_>>().join(", ");
    if !nothing.is_empty() {
        writeln!(out, "\nNone, no or empty, and the event that says so: {nothing}")?;
    }
    Ok(out.flush()?)
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

fn because(explained: &Explained) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(decision) = &explained.decision {
        lines.extend(decided(decision));
    }
    lines.extend(explained.set_by.iter().flat_map(|source| event(source, "")));
    lines.extend(explained.said_by.iter().flat_map(|source| event(source, "said by ")));
    if let Some(tie) = &explained.tie {
        let doubt = if tie.in_doubt { "in doubt" } else { "last of its second" };
        for rival in &tie.rivals {
            let by = json!(rival.settled_by);
            lines.push(format!("{doubt}: {} against {}", value(&by), rival.event_id));
        }
    }
    if lines.is_empty() {
        lines.push("counted".to_owned());
    }
    lines
}

fn decided(decision: &Decision) -> Vec<String> {
    let policy = decision.text.iter().map(|text| match decision.line {
        Some(line) => format!("policy line {line}: {text}"),
        None => format!("policy, built in: {text}"),
    });
    std::iter::once(decision.why.clone()).chain(policy).collect()
}

fn event(source: &EventPointer, before: &str) -> Vec<String> {
    let at = minute(&source.occurred_at.to_string());
    let mut lines = vec![
        format!("{before}#{} {}", source.position, source.event_type),
        format!("{at} {}", source.event_id),
    ];
    lines.extend(source.path.clone());
    lines
}

/// A field in one flat line.
fn flat(explained: &Explained) -> Value {
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
