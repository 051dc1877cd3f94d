//! JSON that is safe to display: hidden characters are escaped, so a terminal obeys none of them and the values stay
//! exact.

use std::io::{self, Write};

use serde::Serialize;

use crate::visible::is_hidden;

/// Writer that escapes the hidden characters of JSON. Line breaks and tabs are kept: they only occur outside of strings,
/// because `serde_json` escapes them inside.
pub(super) struct Escaping<W>(pub(super) W);

impl<W: Write> Write for Escaping<W> {
    /// Writes a piece, which must be whole characters. `serde_json` writes such pieces.
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if piece.iter().all(|byte| byte.is_ascii() && *byte != b'\x7f') {
            self.0.write_all(piece)?;
            return Ok(piece.len());
        }
        let is_escaped = |c| !matches!(c, '\n' | '\r' | '\t') && is_hidden(c);
        let mut rest = std::str::from_utf8(piece).map_err(io::Error::other)?;
        while let Some(at) = rest.find(is_escaped) {
            self.0.write_all(&rest.as_bytes()[..at])?;
            let mut characters = rest[at..].chars();
            if let Some(c) = characters.next() {
                self.0.write_all(escape(c).as_bytes())?;
            }
            rest = characters.as_str();
        }
        self.0.write_all(rest.as_bytes())?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// JSON escape of a character, such as `\u009b`; two UTF-16 units for a character beyond U+FFFF.
pub(super) fn escape(c: char) -> String {
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"));
    units.collect::<Vec<_>>().concat()
}

/// Writes a value in one line, without a line break at the end.
pub(super) fn write(value: &impl Serialize, out: impl Write) -> io::Result<()> {
    Ok(serde_json::to_writer(Escaping(out), value)?)
}

/// Writes a value in indented lines, without a line break at the end.
pub(super) fn write_pretty(value: &impl Serialize, out: impl Write) -> io::Result<()> {
    Ok(serde_json::to_writer_pretty(Escaping(out), value)?)
}

/// Formats a value in one line.
pub(super) fn to_text(value: &impl Serialize) -> anyhow::Result<String> {
    let mut text = Vec::new();
    write(value, &mut text)?;
    Ok(String::from_utf8(text)?)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn hidden_characters_are_escapes_and_the_value_is_the_same() {
        let value = json!({ "a\u{7f}": ["\u{1b}[2J\u{9b}", "x\u{202e}y\u{e0041}\n", "Zoë 😀 山"] });
        let text = to_text(&value).unwrap();
        assert_eq!(text, r#"{"a\u007f":["\u001b[2J\u009b","x\u202ey\udb40\udc41\n","Zoë 😀 山"]}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        let mut pretty = Vec::new();
        write_pretty(&value, &mut pretty).unwrap();
        let pretty = String::from_utf8(pretty).unwrap();
        assert!(pretty.lines().count() > 5 && !pretty.contains('\u{9b}'), "{pretty}");
        assert_eq!(serde_json::from_str::<Value>(&pretty).unwrap(), value);
    }
}
