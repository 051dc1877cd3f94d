//! `compare`: compares the answers of another program about access with those of the ledger.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Context;
use super::csv_cells::CsvArgs;
use super::csv_table::CsvTable;
use super::current::warn_if_behind;
use super::not_found::never_backfilled_note;
use super::output::{self, RowWriter, RowsFormat, StreamOptions, cell, stdout};
use super::report::{Exit, despite_broken_pipe, print_message};
use crate::ids::{AccountId, CustomerId, Position, Scope, SubscriptionId};
use crate::projection::row::SubscriptionRow;
use crate::store::{AccessAnswer, AccessHolder, AccessQuestion, ItemFilter, OpenMode, Store};
use crate::time::StripeTime;

const FILE_COLUMNS: [&str; 3] = ["active", "user_id", "customer_id"];
const ACTIVE: usize = 0;
const USER: usize = 1;
const CUSTOMER: usize = 2;

/// Columns of the differences.
const COLUMNS: [&str; 8] = [
    "user_id",
    "customer_id",
    "active_in_file",
    "active",
    "status",
    "entitled_until",
    "reason",
    "subscription_id",
];

/// Status of a user that no subscription of the ledger has.
const UNKNOWN: &str = "unknown";

/// Exit status: 1 if any answer differs.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// CSV file with a header, the column `active`, and the column `user_id` or `customer_id`. - is standard input
    #[arg(value_name = "FILE")]
    path: PathBuf,

    /// Ask about subscriptions of this connected account, not of your own account
    #[arg(long, value_name = "ACCOUNT", default_value = "", hide_default_value = true)]
    account: String,

    /// Output format. JSON lines and CSV are streamed
    #[arg(long, value_enum, default_value_t = RowsFormat::Table)]
    format: RowsFormat,

    #[command(flatten)]
    cells: CsvArgs,
}

/// Answers of the file, by the id of a user or customer.
struct Expected {
    /// Column of the ids: [`USER`] or [`CUSTOMER`].
    column: usize,
    active: BTreeMap<String, bool>,
}

/// Difference between the file and the ledger.
#[derive(Debug, Serialize)]
struct Difference {
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<String>,
    /// Answer of the file.
    active_in_file: bool,
    /// Answer of the ledger.
    active: bool,
    /// Status of the subscription that decides, or `unknown`.
    status: String,
    /// Latest end of access; none if there is none.
    entitled_until: Option<StripeTime>,
    /// Reason for the answer of the ledger.
    reason: String,
    /// Subscription that decides.
    subscription_id: Option<SubscriptionId>,
}

/// Numbers of a comparison.
#[derive(Debug, Default, Serialize)]
struct Counts {
    compared: u64,
    different: u64,
    unknown: u64,
}

pub(super) async fn run(args: Args, context: &Context) -> anyhow::Result<Exit> {
    let expected = read(&args.path)?;
    let store = context.open(OpenMode::ReadOnly).await?;
    let livemode = context.settings.mode.livemode();
    let scope = Scope { account: AccountId::new(args.account), livemode };
    let now = context.clock.now().to_stripe_time();
    let options = |format| StreamOptions { format, cells: args.cells, with_header: true };
    let streamed = args.format.streamed();
    let mut lines =
        streamed.map(|it| RowWriter::new(options(it), &COLUMNS, stdout())).transpose()?;
    let (mut counts, mut differences) = (Counts::default(), Vec::new());
    let (mut position, mut written) = (Position::ZERO, Ok(()));
    let column = expected.column;
    for (id, in_file) in expected.active {
        let holder = if column == USER {
            AccessHolder::User(id)
        } else {
            AccessHolder::Customer(CustomerId::new(id))
        };
        let question = AccessQuestion { scope: scope.clone(), holder, item: ItemFilter::default() };
        let (as_of, answer) = ask(&store, &question).await?;
        position = as_of;
        counts.compared += 1;
        counts.unknown += u64::from(answer.rows.is_empty());
        if answer.grant.is_active_at(now) == in_file {
            continue;
        }
        counts.different += 1;
        let difference = Difference::new(question.holder, in_file, &answer, now);
        match &mut lines {
            // The exit status is the answer, even if nobody reads the rows.
            Some(lines) if written.is_ok() => written = lines.write(&difference),
            Some(_) => {}
            None => differences.push(difference),
        }
    }
    warn_if_behind(&store, position).await?;
    let note = if counts.unknown > 0 { never_backfilled_note(&store, &scope).await } else { None };
    store.close().await;
    let written = match lines {
        Some(mut lines) => written.and_then(|()| lines.flush()),
        None => write(&differences, &counts, column, args.format),
    };
    despite_broken_pipe(written)?;
    let Counts { compared, different, unknown } = counts;
    let agree = compared - different;
    let who = if column == USER { "users" } else { "customers" };
    print_message(&format!(
        "compared {compared} {who}: {different} differ, {agree} agree; {unknown} are unknown to the ledger"
    ));
    if let Some(note) = note {
        print_message(&format!("hint: {note}"));
    }
    if different > 0 {
        print_message(
            "hint: `subledger explain SUB` shows what decided; --mode and --account select others",
        );
    }
    Ok(if different == 0 { Exit::Done } else { Exit::No })
}

/// Access of a holder, with the subscription that comes first.
async fn ask(store: &Store, question: &AccessQuestion) -> anyhow::Result<(Position, AccessAnswer)> {
    // The subscription that decides is among the first, unless a user has very many.
    const ROWS: usize = 100;
    let (stamp, answer) = store.read_model.access(question, None, ROWS).await?;
    Ok((stamp.position, answer))
}

/// Reads the whole file.
fn read(path: &Path) -> anyhow::Result<Expected> {
    let mut csv = CsvTable::open(path, &FILE_COLUMNS)?;
    let example = "user_id,active";
    let column = if csv.has(USER) { USER } else { CUSTOMER };
    if !csv.has(column) {
        return Err(csv.without_column(FILE_COLUMNS[USER], example));
    }
    if !csv.has(ACTIVE) {
        return Err(csv.without_column(FILE_COLUMNS[ACTIVE], example));
    }
    let name = FILE_COLUMNS[column];
    let mut active = BTreeMap::new();
    while let Some(row) = csv.next()? {
        let id = csv.id(&row, column, name)?;
        if id.is_empty() {
            return Err(csv.wrong_row(&row, &format!("`{name}` is empty"), "correct the row"));
        }
        let Some(is_active) = boolean(row.cell(ACTIVE)) else {
            let hint = "write true or false, 1 or 0, yes or no, t or f";
            return Err(csv.wrong_row(&row, "`active` is neither true nor false", hint));
        };
        match active.entry(id) {
            Entry::Vacant(place) => {
                place.insert(is_active);
            }
            Entry::Occupied(present) if *present.get() == is_active => {}
            Entry::Occupied(_) => {
                let message = format!("this `{name}` has another answer in a row before");
                return Err(csv.wrong_row(&row, &message, "keep one row for each of them"));
            }
        }
    }
    Ok(Expected { column, active })
}

/// Reads a truth value, in any case.
fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

impl Difference {
    fn new(
        holder: AccessHolder,
        active_in_file: bool,
        answer: &AccessAnswer,
        now: StripeTime,
    ) -> Self {
        let (user_id, customer_id) = match holder {
            AccessHolder::User(id) => (Some(id), None),
            AccessHolder::Customer(id) => (None, Some(id.into_string())),
        };
        let active = answer.grant.is_active_at(now);
        let deciding = deciding(&answer.rows, now);
        Self {
            user_id,
            customer_id,
            active_in_file,
            active,
            status: deciding.map_or_else(|| UNKNOWN.to_owned(), |row| row.status.clone()),
            entitled_until: answer.grant.until(),
            reason: deciding.map_or_else(
                || "the ledger has no subscription of theirs".to_owned(),
                |row| reason(row, now),
            ),
            subscription_id: deciding.map(|row| row.subscription_id.clone()),
        }
    }
}

/// Subscription that decides: one that grants access now, else the one whose access or period ended last.
fn deciding(rows: &[SubscriptionRow], now: StripeTime) -> Option<&SubscriptionRow> {
    rows.iter().max_by_key(|row| {
        let ended = row.entitled_until.or(row.ended_at).or(row.current_period_end);
        (row.active_at(now), row.entitled && row.entitled_until.is_none(), ended)
    })
}

/// Reason for the access of one subscription.
fn reason(row: &SubscriptionRow, now: StripeTime) -> String {
    match (row.entitled, row.entitled_until, row.ended_at) {
        (true, None, _) => "the policy grants access without an end".to_owned(),
        (true, Some(end), _) if now < end => format!("the policy grants access until {end}"),
        (true, Some(end), _) => format!("access ended {end}"),
        (false, _, Some(end)) => format!("the subscription ended {end}"),
        (false, _, None) => "the policy grants no access".to_owned(),
    }
}

/// Writes the differences as a table or as one JSON document.
fn write(
    differences: &[Difference],
    counts: &Counts,
    column: usize,
    format: RowsFormat,
) -> anyhow::Result<()> {
    let mut out = stdout();
    if format == RowsFormat::Json {
        let document = serde_json::json!({
            "data": differences,
            "compared": counts.compared,
            "different": counts.different,
            "unknown": counts.unknown,
        });
        return output::write_json(&document, &mut out);
    }
    if differences.is_empty() {
        return Ok(());
    }
    let who = if column == USER { "user" } else { "customer" };
    let mut table = output::table(&[who, "file", "ledger", "status", "reason", "subscription"]);
    let word = |active: bool| if active { "active" } else { "not active" };
    for it in differences {
        let id = it.user_id.as_ref().or(it.customer_id.as_ref());
        let row = [
            cell(id),
            word(it.active_in_file).to_owned(),
            word(it.active).to_owned(),
            it.status.clone(),
            it.reason.clone(),
            cell(it.subscription_id.as_ref()),
        ];
        output::add_row(&mut table, row);
    }
    Ok(output::write_table(&table, &mut out)?)
}
