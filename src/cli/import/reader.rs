//! Reader of an input: line by line if the lines are JSON, otherwise as documents.
//!
//! The beginning decides: if the first line is incomplete JSON, and the second is not a complete line either, the input
//! is a document of many lines.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use tokio::sync::mpsc::Sender;

use super::record::{InputRecord, SourceLine, invalid, records};

/// Longest line, in bytes: a record of an export with some redeliveries.
const LINE_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Longest document of many lines, in bytes: far more than a list page of a hundred events.
const DOCUMENT_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Error of an input that cannot be read.
#[derive(Debug)]
pub(super) struct ReadError {
    pub(super) path: PathBuf,
    pub(super) source: io::Error,
}

/// Reads a file, or standard input for `-`, and sends its records.
pub(super) fn read(path: &Path, to: &Sender<InputRecord>) -> Result<(), ReadError> {
    let input: io::Result<Box<dyn BufRead>> = if path == Path::new("-") {
        Ok(Box::new(BufReader::new(io::stdin())))
    } else {
        File::open(path).map(|file| Box::new(BufReader::new(file)) as Box<dyn BufRead>)
    };
    let file: Arc<str> = path.to_string_lossy().into();
    input
        .and_then(|input| Input { bytes: input, file, line: 0, to }.read())
        .map_err(|source| ReadError { path: path.to_owned(), source })
}

struct Input<'a> {
    bytes: Box<dyn BufRead>,
    file: Arc<str>,
    /// Number of the last line that was read, from 1.
    line: usize,
    to: &'a Sender<InputRecord>,
}

/// Line of the input, with its line end.
enum Line {
    Whole(Vec<u8>),
    TooLong,
}

impl Input<'_> {
    fn read(mut self) -> io::Result<()> {
        let Some(first) = self.line_with_content()? else { return Ok(()) };
        let start = self.current_line();
        if let Line::Whole(beginning) = &first
            && is_incomplete(beginning)
        {
            match self.next_line()? {
                Some(Line::Whole(second)) if !is_object(&second) => {
                    let text = [&beginning[..], &second].concat();
                    return self.documents(&start, text);
                }
                second => {
                    self.send_line(&start, &first)?;
                    if let Some(second) = second {
                        self.send_line(&self.current_line(), &second)?;
                    }
                }
            }
        } else {
            self.send_line(&start, &first)?;
        }
        while let Some(line) = self.line_with_content()? {
            self.send_line(&self.current_line(), &line)?;
        }
        Ok(())
    }

    /// Reads the rest of the input as one JSON document, or as several in sequence.
    fn documents(&mut self, start: &SourceLine, mut text: Vec<u8>) -> io::Result<()> {
        let limit = DOCUMENT_BYTES_MAX.saturating_sub(text.len()) + 1;
        (&mut self.bytes).take(limit as u64).read_to_end(&mut text)?;
        if text.len() > DOCUMENT_BYTES_MAX {
            let reason = "the document is too long; write one event a line";
            return self.send([invalid(start.clone(), reason)]);
        }
        let Ok(text) = std::str::from_utf8(&text) else {
            return self.send([invalid(start.clone(), "not UTF-8")]);
        };
        // A single document keeps all its bytes, including white space at the end.
        if serde_json::from_str::<IgnoredAny>(text).is_ok() {
            return self.send(records(text, start));
        }
        let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
        let mut offset = 0;
        while let Some(value) = values.next() {
            let skipped = text[offset..].len() - text[offset..].trim_start().len();
            let at = SourceLine {
                number: start.number + text[..offset + skipped].matches('\n').count(),
                file: Arc::clone(&start.file),
            };
            match value {
                Ok(value) => self.send(records(value.get(), &at))?,
                // The beginning of a next document is unknown.
                Err(_) => {
                    self.send([invalid(at, "not JSON; the rest of the file was not read")])?;
                }
            }
            offset = values.byte_offset();
        }
        Ok(())
    }

    fn send_line(&self, at: &SourceLine, line: &Line) -> io::Result<()> {
        let record = |reason: &str| vec![invalid(at.clone(), reason)];
        self.send(match line {
            Line::TooLong => record("the line is too long"),
            Line::Whole(bytes) => match std::str::from_utf8(bytes) {
                Err(_) => record("not UTF-8"),
                Ok(text) if text.trim().is_empty() => Vec::new(),
                Ok(text) => {
                    let line = text.strip_suffix('\n').unwrap_or(text);
                    records(line.strip_suffix('\r').unwrap_or(line), at)
                }
            },
        })
    }

    /// Sends records. Fails if the import has ended, which reports its own error.
    fn send(&self, records: impl IntoIterator<Item = InputRecord>) -> io::Result<()> {
        let gone = |_| io::Error::other("the import has ended");
        records.into_iter().try_for_each(|record| self.to.blocking_send(record).map_err(gone))
    }

    fn current_line(&self) -> SourceLine {
        SourceLine { file: Arc::clone(&self.file), number: self.line }
    }

    fn line_with_content(&mut self) -> io::Result<Option<Line>> {
        while let Some(line) = self.next_line()? {
            match &line {
                Line::Whole(bytes) if bytes.trim_ascii().is_empty() => {}
                _ => return Ok(Some(line)),
            }
        }
        Ok(None)
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
