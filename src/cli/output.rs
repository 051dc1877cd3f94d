//! Output of rows as a table, JSON, JSON lines or CSV.

use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write};

use comfy_table::{Attribute, Cell, ColumnConstraint, ContentArrangement, Table, Width, presets};
use serde::Serialize;

use super::csv_cells::{CellFormat, CsvArgs};
use super::json;
use crate::visible::visible;

/// Greatest width of a table, in columns of a terminal.
const TABLE_WIDTH_MAX: u16 = 100;

/// Output format of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Table for people, at most 100 columns wide.
    #[default]
    Table,
    /// One JSON document, with the field names of the HTTP API.
    Json,
    /// CSV with a header. Lists and objects are JSON.
    Csv,
}

/// `--format`, for the commands that print rows.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct FormatArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,

    #[command(flatten)]
    pub(super) cells: CsvArgs,
}

/// Output format of any number of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum RowsFormat {
    /// Table for people, at most 100 columns wide.
    #[default]
    Table,
    /// One JSON document, with the field names of the HTTP API.
    Json,
    /// One JSON object a line, with the same field names.
    Jsonl,
    /// CSV with a header. Lists and objects are JSON.
    Csv,
}

impl RowsFormat {
    /// Streamed format, unless the rows are collected first.
    pub(super) fn streamed(self) -> Option<StreamFormat> {
        match self {
            Self::Table | Self::Json => None,
            Self::Jsonl => Some(StreamFormat::Jsonl),
            Self::Csv => Some(StreamFormat::Csv),
        }
    }
}

/// Output format of rows that are streamed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum StreamFormat {
    /// One JSON object a line.
    #[default]
    Jsonl,
    /// CSV with a header. Lists and objects are JSON.
    Csv,
}

/// Options of streamed rows.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamOptions {
    pub(super) format: StreamFormat,
    pub(super) cells: CsvArgs,
    /// True if CSV begins with a header. The continuation of an interrupted export has none.
    pub(super) with_header: bool,
}

/// Writer that streams rows.
pub(super) enum RowWriter<'c, W: Write> {
    Jsonl(W),
    Csv(Box<csv::Writer<W>>, &'c [&'c str], CellFormat),
}

impl<'c, W: Write> RowWriter<'c, W> {
    /// Creates a writer, and writes the header of CSV.
    pub(super) fn new(
        options: StreamOptions,
        columns: &'c [&'c str],
        out: W,
    ) -> anyhow::Result<Self> {
        let StreamOptions { format, cells, with_header } = options;
        if format == StreamFormat::Jsonl {
            return Ok(Self::Jsonl(out));
        }
        let mut csv = csv::Writer::from_writer(out);
        if with_header {
            csv.write_record(columns).map_err(io_error)?;
        }
        Ok(Self::Csv(Box::new(csv), columns, cells.cell_format()))
    }

    /// Writes a row. The columns are keys of its JSON.
    pub(super) fn write(&mut self, row: &impl Serialize) -> anyhow::Result<()> {
        match self {
            Self::Jsonl(out) => {
                json::write(row, &mut *out)?;
                out.write_all(b"\n")?;
            }
            Self::Csv(csv, columns, cells) => {
                let row = serde_json::to_value(row)?;
                let written = columns.iter().map(|column| cells.format(row.get(*column)));
                let written = written.collect::<anyhow::Result<Vec<_>>>()?;
                csv.write_record(written).map_err(io_error)?;
            }
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> anyhow::Result<()> {
        match self {
            Self::Jsonl(out) => Ok(out.flush()?),
            Self::Csv(csv, ..) => Ok(csv.flush()?),
        }
    }
}

/// Standard output, buffered.
pub(super) fn stdout() -> BufWriter<Stdout> {
    BufWriter::new(io::stdout())
}

/// Width of lines: 100 columns, or a narrower terminal.
pub(super) fn line_width() -> usize {
    table(&[]).width().unwrap_or(TABLE_WIDTH_MAX).into()
}

/// Creates a table without lines and with a header in capitals. It fits 100 columns, or a narrower terminal.
pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    let width = match table.width() {
        Some(width) if io::stdout().is_terminal() => width.min(TABLE_WIDTH_MAX),
        _ => TABLE_WIDTH_MAX,
    };
    table.set_width(width).force_no_tty().set_header(header.iter().map(|name| name.to_uppercase()));
    if io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|it| it.is_empty()) {
        table.enforce_styling();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// Adds a row of single-line cells. Hidden characters are escaped.
pub(super) fn add_row<C: AsRef<str>>(table: &mut Table, cells: impl IntoIterator<Item = C>) {
    table.add_row(cells.into_iter().map(|text| Cell::new(visible(text.as_ref()))));
}

/// Adds a row of multi-line cells, dimmed if wanted. Hidden characters are escaped, and so are line breaks inside a line.
pub(super) fn add_row_of_lines(
    table: &mut Table,
    cells: impl IntoIterator<Item = Vec<String>>,
    is_dim: bool,
) {
    let cells = cells.into_iter().map(|lines| {
        let lines: Vec<_> = lines.iter().map(|line| visible(line)).collect();
        let cell = Cell::new(lines.join("\n"));
        if is_dim { cell.add_attribute(Attribute::Dim) } else { cell }
    });
    table.add_row(cells);
}

/// Prevents line breaks in these columns, if the table is wide enough.
pub(super) fn keep_whole(table: &mut Table, columns: &[usize]) {
    let widths = table.column_max_content_widths();
    for &index in columns {
        if let (Some(column), Some(width)) = (table.column_mut(index), widths.get(index)) {
            column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width + 2)));
        }
    }
}

/// Writes a table without spaces at the ends of lines.
pub(super) fn write_table(table: &Table, out: &mut impl Write) -> io::Result<()> {
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    out.flush()
}

/// Writes one JSON document.
pub(super) fn write_json(document: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    json::write_pretty(document, &mut *out)?;
    writeln!(out)?;
    Ok(out.flush()?)
}

/// Writes rows as CSV. The columns are keys of their JSON.
pub(super) fn write_csv<T: Serialize>(
    columns: &[&str],
    rows: impl IntoIterator<Item = T>,
    cells: CsvArgs,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let options = StreamOptions { format: StreamFormat::Csv, cells, with_header: true };
    let mut lines = RowWriter::new(options, columns, out)?;
    for row in rows {
        lines.write(&row)?;
    }
    lines.flush()
}

/// Unwraps the I/O error, so that a broken pipe is recognised.
pub(super) fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        kind => io::Error::other(format!("{kind:?}")),
    }
}

/// Text of a table cell; `-` for no value.
pub(super) fn cell<T: ToString>(value: Option<&T>) -> String {
    value.map_or_else(|| "-".to_owned(), T::to_string)
}

/// Formats a number with thousands separators.
pub(super) fn grouped(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut grouped = if number < 0 { "-".to_owned() } else { String::new() };
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Lines of a text, broken between words, with an indent that grows after the first.
pub(super) fn wrap(text: &str, indent: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = indent.to_owned();
    let mut is_empty = true;
    for word in text.split(' ') {
        if !is_empty && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(std::mem::replace(&mut line, format!("{indent}  ")));
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::{grouped, wrap};

    #[test]
    fn lines_are_broken_between_words_and_fit_the_width() {
        let lines = wrap("one two  three four", "  ", 11);
        assert_eq!(lines, ["  one two ", "    three", "    four"]);
        assert_eq!(wrap("a_word_that_is_too_long", "", 5), ["a_word_that_is_too_long"]);
    }

    #[test]
    fn thousands_are_set_apart() {
        let numbers = [0, 999, 1_000, -12_345, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "-12,345", "1,234,567"]);
    }
}
