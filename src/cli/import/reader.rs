//! Reader of an input: line by line if the lines are JSON, otherwise value by value.
//!
//! If a line is incomplete JSON, and the next is not a complete line either, the rest of the input is documents of many
//! lines. An array is read element by element, so it may be longer than the memory.

use std::io::{self, BufRead, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::IgnoredAny;
use tokio::sync::mpsc::Sender;

use super::foreign::ForeignFormat;
use super::record::{InputRecord, ObjectOrigin, RecordReader, SourceLine, invalid};
use super::refused::RefusedObjects;
use super::scan::{self, Scanned, VALUE_BYTES_MAX};
use super::source::{self, Source};

/// Longest line, in bytes: a record of an export with some redeliveries.
const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// White space after a document that is kept with it, in bytes.
const WHITE_SPACE_BYTES_MAX: u64 = 4 * 1024;
/// Reason for the end of a file whose next value cannot be found.
const REST_UNREAD: &str = "not JSON; the rest of the file was not read";

/// Error of an input that cannot be read.
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Reads a file, or standard input for `-`, and sends its records.
pub(super) fn read(
    path: &Path,
    origin: &ObjectOrigin,
    to: &Sender<InputRecord>,
) -> Result<(), ReadError> {
    let file: Arc<str> = path.to_string_lossy().into();
    source::open(path)
        .and_then(|source| read_source(source, file, origin, to))
        .map_err(|source| ReadError { path: path.to_owned(), source })
}

fn read_source(
    source: Source,
    file: Arc<str>,
    origin: &ObjectOrigin,
    to: &Sender<InputRecord>,
) -> io::Result<()> {
    let records = RecordReader { origin, refused: RefusedObjects::default() };
    let (bytes, foreign): (Box<dyn BufRead>, _) = match source {
        Source::Text(bytes) => (bytes, None),
        Source::Foreign(format) => (Box::new(io::empty()), Some(format)),
    };
    let mut input = Input { bytes, file, line: 1, values: 0, has_lines: true, records, to };
    let read = match foreign {
        Some(format) => input.send([invalid(input.current_line(), format.refusal())]),
        None => input.read(),
    };
    // What was refused is reported, even if the rest cannot be read.
    let refused = std::mem::take(&mut input.records.refused);
    input.send(refused.into_records()).and(read)
}

struct Input<'a> {
    bytes: Box<dyn BufRead>,
    file: Arc<str>,
    /// Number of the line of the next byte, from 1.
    line: usize,
    /// Number of values that were read.
    values: u64,
    /// True as long as each line may be a value.
    has_lines: bool,
    records: RecordReader<'a>,
    to: &'a Sender<InputRecord>,
}

/// Line of the input, with its line end.
enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl Input<'_> {
    fn read(&mut self) -> io::Result<()> {
        while let Some(next) = self.next_byte()? {
            let goes_on = match next {
                b'[' => self.array()?,
                b'{' if !self.has_lines => self.document()?,
                _ if self.has_lines => self.line()?,
                _ => {
                    self.send([invalid(self.current_line(), REST_UNREAD)])?;
                    false
                }
            };
            if !goes_on {
                break;
            }
            self.values += 1;
        }
        Ok(())
    }

    /// Reads a line. False if the rest of the input is of another format.
    fn line(&mut self) -> io::Result<bool> {
        let start = self.current_line();
        let Some(first) = self.next_line()? else { return Ok(false) };
        let Line::Whole(text) = &first else {
            self.send_line(&start, &first)?;
            return Ok(true);
        };
        let foreign = ForeignFormat::of_line(text).filter(|_| self.values == 0);
        // A line of an export is not parsed twice.
        let is_certain = self.values > 0 && text.trim_ascii_end().ends_with(b"}");
        if foreign.is_none() && (is_certain || !is_incomplete(text)) {
            self.send_line(&start, &first)?;
            return Ok(true);
        }
        let second_at = self.current_line();
        let second = self.next_line()?;
        match (&second, foreign) {
            (Some(Line::Whole(second)), None) if self.is_continuation(second) => {
                self.has_lines = false;
                self.line = start.number;
                let read = Cursor::new([&text[..], second].concat());
                let rest = std::mem::replace(&mut self.bytes, Box::new(io::empty()));
                self.bytes = Box::new(read.chain(rest));
                return self.document();
            }
            (Some(Line::Whole(second)), Some(_)) if is_object(second) => {}
            (_, Some(format)) => {
                self.send([invalid(start, format.refusal())])?;
                return Ok(false);
            }
            _ => {}
        }
        self.send_line(&start, &first)?;
        if let Some(second) = second {
            self.send_line(&second_at, &second)?;
        }
        Ok(true)
    }

    /// True for a line that does not begin a value. Between lines of JSON it must look like the inside of an object.
    fn is_continuation(&self, line: &[u8]) -> bool {
        let is_inside = matches!(line.trim_ascii_start().first(), Some(b'"' | b'}'));
        (self.values == 0 || is_inside) && !is_object(line)
    }

    /// Reads a document of many lines.
    fn document(&mut self) -> io::Result<bool> {
        let start = self.current_line();
        let scanned = scan::value(&mut self.bytes, &mut self.line, VALUE_BYTES_MAX)?;
        let mut text = match self.scanned(&start, scanned)? {
            Ok(text) => text,
            Err(goes_on) => return Ok(goes_on),
        };
        // A single document keeps all its bytes, including white space at the end.
        if self.values == 0 {
            let mut space = Vec::new();
            while let Some(byte) = self.bytes.fill_buf()?.first().copied()
                && byte.is_ascii_whitespace()
                && (space.len() as u64) < WHITE_SPACE_BYTES_MAX
            {
                self.line += usize::from(byte == b'\n');
                space.push(byte);
                self.bytes.consume(1);
            }
            if self.bytes.fill_buf()?.is_empty() {
                text.extend(space);
            }
        }
        self.send_value(&start, &text, false)?;
        Ok(true)
    }

    /// Reads an array, element by element. False if its end was not found.
    fn array(&mut self) -> io::Result<bool> {
        let mut is_first = true;
        self.bytes.consume(1);
        loop {
            let next = self.next_byte()?;
            let start = self.current_line();
            match next {
                Some(b']') => {
                    self.bytes.consume(1);
                    return Ok(true);
                }
                Some(b',') if !is_first => self.bytes.consume(1),
                Some(b'{' | b'[') => {
                    let scanned = scan::value(&mut self.bytes, &mut self.line, VALUE_BYTES_MAX)?;
                    match self.scanned(&start, scanned)? {
                        Ok(text) => self.send_value(&start, &text, true)?,
                        Err(true) => {}
                        Err(false) => return Ok(false),
                    }
                }
                Some(_) if is_first && self.has_lines => {
                    // A line such as `[info] started` between lines of JSON.
                    self.send([invalid(start, "not JSON")])?;
                    self.next_line()?;
                    return Ok(true);
                }
                _ => {
                    let reason = if next.is_none() { "the array has no end" } else { REST_UNREAD };
                    self.send([invalid(start, reason)])?;
                    return Ok(false);
                }
            }
            is_first = false;
        }
    }

    /// Bytes of a scanned value. Otherwise reports the reason, and returns true if the input goes on after it.
    fn scanned(&self, start: &SourceLine, scanned: Scanned) -> io::Result<Result<Vec<u8>, bool>> {
        let (reason, goes_on) = match scanned {
            Scanned::Value(text) => return Ok(Ok(text)),
            Scanned::TooLong => ("the value is too long; write one event a line", true),
            Scanned::Incomplete => ("not JSON: the value has no end", false),
        };
        self.send([invalid(start.clone(), reason)])?;
        Ok(Err(goes_on))
    }

    fn send_line(&mut self, at: &SourceLine, line: &Line) -> io::Result<()> {
        match line {
            Line::TooLong => self.send([invalid(at.clone(), "the line is too long")]),
            Line::Whole(bytes) if bytes.trim_ascii().is_empty() => Ok(()),
            Line::Whole(bytes) => {
                let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                self.send_value(at, line, false)
            }
        }
    }

    fn send_value(&mut self, at: &SourceLine, bytes: &[u8], is_element: bool) -> io::Result<()> {
        match std::str::from_utf8(bytes) {
            Err(_) => self.send([invalid(at.clone(), "not UTF-8")]),
            Ok(text) => {
                let records = self.records.records(text, at, is_element);
                self.send(records)
            }
        }
    }

    /// Sends records. Fails if the import has ended, which reports its own error.
    fn send(&self, records: impl IntoIterator<Item = InputRecord>) -> io::Result<()> {
        let gone = |_| io::Error::other("the import has ended");
        records.into_iter().try_for_each(|record| self.to.blocking_send(record).map_err(gone))
    }

    fn current_line(&self) -> SourceLine {
        SourceLine { file: Arc::clone(&self.file), number: self.line }
    }

    /// Next byte that is not white space, which stays unread. None at the end.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        scan::skip_white_space(&mut self.bytes, &mut self.line)
    }

    /// Reads the next line. A line that is too long is skipped.
    fn next_line(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = Vec::new();
        let read =
            (&mut self.bytes).take(LINE_BYTES_MAX as u64 + 1).read_until(b'\n', &mut bytes)?;
        if read == 0 {
            return Ok(None);
        }
        self.line += 1;
        if bytes.last() != Some(&b'\n') && read > LINE_BYTES_MAX {
            self.bytes.skip_until(b'\n')?;
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Whole(bytes)))
    }
}

/// True for JSON that ends too early.
fn is_incomplete(json: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(json).is_err_and(|error| error.is_eof())
}

/// True for a line that is a JSON object.
fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().first() == Some(&b'{')
        && serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

#[cfg(test)]
mod tests;
