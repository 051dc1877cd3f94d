//! `projections export`: the rows of a read model, one line a row, in constant memory.

use clap::builder::PossibleValuesParser;
use serde_json::{Map, Value as JsonValue};

use super::super::csv_cells::CsvArgs;
use super::super::current::warn_if_behind;
use super::super::output::{RowWriter, StreamFormat, StreamOptions, stdout};
use super::super::report::print_message;
use crate::projection::column::Value;
use crate::projection::read_model::{PROJECTIONS, Row, Table};
use crate::store::{Store, SubscriptionFilter};

/// Rows that are read at a time.
const PAGE_ROWS: usize = 1_000;

#[derive(clap::Args, Clone, Debug)]
pub(super) struct Args {
    /// Read model
    #[arg(value_name = "NAME", value_parser = read_model_names())]
    read_model: String,

    /// Output format
    #[arg(long, value_enum, default_value_t = StreamFormat::Jsonl)]
    format: StreamFormat,

    #[command(flatten)]
    cells: CsvArgs,
}

/// Names of the read models, of which a person can choose one.
pub(in crate::cli) fn read_model_names() -> PossibleValuesParser {
    PossibleValuesParser::new(PROJECTIONS.iter().map(|projection| projection.name()))
}

/// Main table of a read model, which has its name.
fn main_table(read_model: &str) -> Option<&'static Table> {
    let mut tables = PROJECTIONS.iter().flat_map(|it| it.definition().tables);
    tables.find(|table| table.name == read_model)
}

/// Writes all rows of the main table in the live generation, of every account and mode, at one position.
pub(super) async fn run(store: &Store, args: Args) -> anyhow::Result<()> {
    let Some(table) = main_table(&args.read_model) else { return Ok(()) };
    let columns: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let options = StreamOptions { format: args.format, cells: args.cells, with_header: true };
    let everything = SubscriptionFilter::default();
    let mut pages = store.read_model.subscription_pages(everything, None, PAGE_ROWS).await?;
    warn_if_behind(store, pages.stamp.position).await?;
    print_message(&format!("as of position {} of the log", pages.stamp.position));
    let mut lines = RowWriter::new(options, &columns, stdout())?;
    let mut after = None;
    loop {
        let rows = pages.rows_after(table, after.as_ref(), PAGE_ROWS).await?;
        let Some(last) = rows.last() else { break };
        after = Some(table.key_of(last));
        for row in &rows {
            lines.write(&object(table, row))?;
        }
    }
    pages.end().await?;
    lines.flush()
}

/// Row as a JSON object, with the names of its columns.
fn object(table: &Table, row: &Row) -> Map<String, JsonValue> {
    let values = table.columns.iter().zip(row);
    values.map(|(column, value)| (column.name.to_owned(), json(value))).collect()
}

fn json(value: &Value) -> JsonValue {
    match value {
        Value::Null => JsonValue::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Integer(number) => (*number).into(),
        Value::Text(text) => text.as_str().into(),
        Value::Instant(at) => at.to_string().into(),
        Value::Json(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
    }
}
