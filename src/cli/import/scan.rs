//! Scanner of JSON values in a stream: finds where a value ends, without reading what is in it.

use std::io::{self, BufRead};

/// Longest value, in bytes: far more than a list page of a hundred events.
pub(super) const VALUE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Result of a scan.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    /// Bytes of a value, whose brackets match. They may still not be JSON.
    Value(Vec<u8>),
    /// The value was longer than the limit, and was skipped.
    TooLong,
    /// The input ended inside the value.
    Incomplete,
}

/// Reads the object or array that begins at the next byte, and counts the lines.
pub(super) fn value(
    bytes: &mut dyn BufRead,
    line: &mut usize,
    bytes_max: usize,
) -> io::Result<Scanned> {
    let mut brackets = Brackets::default();
    let mut value = Vec::new();
    let mut is_too_long = false;
    loop {
        let chunk = bytes.fill_buf()?;
        if chunk.is_empty() {
            return Ok(Scanned::Incomplete);
        }
        let end = brackets.find_end(chunk);
        let taken = end.unwrap_or(chunk.len());
        *line += line_ends(&chunk[..taken]);
        is_too_long |= value.len() + taken > bytes_max;
        if is_too_long {
            value = Vec::new();
        } else {
            value.extend_from_slice(&chunk[..taken]);
        }
        bytes.consume(taken);
        if end.is_some() {
            return Ok(if is_too_long { Scanned::TooLong } else { Scanned::Value(value) });
        }
    }
}

/// Skips white space, and counts the lines. Returns the next byte, which stays unread; none at the end.
pub(super) fn skip_white_space(
    bytes: &mut dyn BufRead,
    line: &mut usize,
) -> io::Result<Option<u8>> {
    loop {
        let chunk = bytes.fill_buf()?;
        if chunk.is_empty() {
            return Ok(None);
        }
        let next = chunk.iter().position(|byte| !byte.is_ascii_whitespace());
        let skipped = next.unwrap_or(chunk.len());
        *line += line_ends(&chunk[..skipped]);
        let next = next.map(|at| chunk[at]);
        bytes.consume(skipped);
        if next.is_some() {
            return Ok(next);
        }
    }
}

/// Number of line ends.
fn line_ends(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').count() - 1
}

/// Open brackets of a value.
#[derive(Default)]
struct Brackets {
    depth: usize,
    is_in_string: bool,
    is_escaped: bool,
}

impl Brackets {
    /// Number of bytes up to the end of the value. None if it does not end in this chunk.
    fn find_end(&mut self, chunk: &[u8]) -> Option<usize> {
        for (at, byte) in chunk.iter().enumerate() {
            if self.is_in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.is_in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.is_in_string = true,
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(at + 1);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;

    fn scan(json: &str, chunk: usize, bytes_max: usize) -> (Scanned, usize) {
        let mut bytes = BufReader::with_capacity(chunk, Cursor::new(json.as_bytes()));
        let mut line = 1;
        (value(&mut bytes, &mut line, bytes_max).unwrap(), line)
    }

    #[test]
    fn a_value_ends_at_its_own_bracket_however_it_is_read() {
        let json = "{\"a\":\"}\\\"]\",\n\"b\":[{\"c\":\"\\\\\"}]}";
        for chunk in 1..=json.len() {
            let read = scan(&format!("{json},{{}}"), chunk, 1_000);
            assert_eq!(read, (Scanned::Value(json.as_bytes().to_vec()), 2));
        }
    }

    #[test]
    fn a_value_that_is_too_long_or_incomplete_is_told_apart() {
        assert_eq!(scan("{\"a\":\"bbbbbb\"}", 3, 5).0, Scanned::TooLong);
        assert_eq!(scan("{\"a\":[", 3, 5).0, Scanned::Incomplete);
    }
}
