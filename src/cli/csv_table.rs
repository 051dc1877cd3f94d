//! Table of a CSV file: the columns that a command reads, by the names in the header.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::{ReaderBuilder, StringRecord, Trim};

use super::report::Failure;

/// Greatest number of rows.
const ROWS_MAX: u64 = 10_000_000;
/// Longest cell that is an id, in bytes.
const ID_BYTES_MAX: usize = 255;

/// Open CSV file.
pub(super) struct CsvTable {
    path: PathBuf,
    reader: csv::Reader<Box<dyn Read>>,
    /// Place of each wanted column. None if the file does not have it.
    places: Vec<Option<usize>>,
    rows: u64,
}

/// Row, with the cells of the wanted columns.
pub(super) struct CsvRow {
    line: u64,
    cells: Vec<Option<String>>,
}

impl CsvTable {
    /// Opens a file, or standard input for `-`, and finds the columns. Other columns are ignored.
    pub(super) fn open(path: &Path, columns: &[&str]) -> anyhow::Result<Self> {
        let input: Box<dyn Read> = if path == Path::new("-") {
            Box::new(io::stdin())
        } else {
            let file = File::open(path).map_err(|error| {
                Failure::usage(
                    format!("cannot read {}: {error}", path.display()),
                    "give a CSV file, or - for standard input",
                )
            })?;
            Box::new(file)
        };
        let reader = ReaderBuilder::new().trim(Trim::All).from_reader(input);
        let mut table = Self { path: path.to_owned(), reader, places: Vec::new(), rows: 0 };
        let header = table.reader.headers().cloned().map_err(|error| table.unreadable(&error))?;
        let place = |column: &&str| header.iter().position(|it| it.eq_ignore_ascii_case(column));
        table.places = columns.iter().map(place).collect();
        Ok(table)
    }

    /// True if the file has the wanted column at this index.
    pub(super) fn has(&self, column: usize) -> bool {
        self.places.get(column).is_some_and(Option::is_some)
    }

    /// Error of a file without a column. It repeats nothing of the file, which may have no header.
    pub(super) fn without_column(&self, column: &str, example: &str) -> anyhow::Error {
        Failure::usage(
            format!("{}: the first line names no column `{column}`", self.path.display()),
            format!("begin the file with a header such as {example}, separated by commas"),
        )
    }

    /// Reads the next row. None at the end.
    pub(super) fn next(&mut self) -> anyhow::Result<Option<CsvRow>> {
        let mut record = StringRecord::new();
        let is_row = self.reader.read_record(&mut record).map_err(|it| self.unreadable(&it))?;
        if !is_row {
            return Ok(None);
        }
        self.rows += 1;
        let line = record.position().map_or(0, csv::Position::line);
        if self.rows > ROWS_MAX {
            let hint = "split the file";
            return Err(self.wrong(line, &format!("more than {ROWS_MAX} rows"), hint));
        }
        let cell = |place: &Option<usize>| place.and_then(|it| record.get(it)).map(str::to_owned);
        Ok(Some(CsvRow { line, cells: self.places.iter().map(cell).collect() }))
    }

    /// Error of one row.
    pub(super) fn wrong_row(&self, row: &CsvRow, message: &str, hint: &str) -> anyhow::Error {
        self.wrong(row.line, message, hint)
    }

    /// An id in a cell, which must be text that both databases store. Empty if the cell is, or the column is missing.
    pub(super) fn id(&self, row: &CsvRow, column: usize, name: &str) -> anyhow::Result<String> {
        let id = row.cell(column);
        let is_valid = id.len() <= ID_BYTES_MAX && !id.chars().any(char::is_control);
        if is_valid {
            return Ok(id.to_owned());
        }
        let message =
            format!("`{name}` is longer than {ID_BYTES_MAX} bytes, or has control characters");
        Err(self.wrong_row(row, &message, "correct the row"))
    }

    fn wrong(&self, line: u64, message: &str, hint: &str) -> anyhow::Error {
        Failure::usage(format!("{}:{line}: {message}", self.path.display()), hint)
    }

    fn unreadable(&self, error: &csv::Error) -> anyhow::Error {
        let line = error.position().map_or(1, csv::Position::line);
        let message = match error.kind() {
            csv::ErrorKind::Io(error) => format!("cannot be read: {error}"),
            csv::ErrorKind::Utf8 { .. } => "not UTF-8".to_owned(),
            csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                format!("the row has {len} cells, and the header has {expected_len}")
            }
            _ => "not CSV".to_owned(),
        };
        self.wrong(line, &message, "save the table as CSV in UTF-8, separated by commas")
    }
}

impl CsvRow {
    /// Text of a cell, without white space around it. Empty if the file does not have the column.
    pub(super) fn cell(&self, column: usize) -> &str {
        self.cells.get(column).and_then(Option::as_deref).unwrap_or_default()
    }
}
