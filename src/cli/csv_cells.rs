//! Cells of CSV: safe to open in a spreadsheet, or exact.

use serde_json::Value;

use super::json;
use crate::visible::is_hidden;

/// `--raw`, for the commands that write CSV.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(super) struct CsvArgs {
    /// Write exact CSV cells, for programs. Without this flag, ' is put before text that a spreadsheet would run as a
    /// formula, and hidden characters are escaped
    #[arg(long)]
    raw: bool,
}

/// Format of the cells of CSV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CellFormat {
    /// For spreadsheets.
    Safe,
    /// For programs.
    Raw,
}

impl CsvArgs {
    pub(super) fn cell_format(self) -> CellFormat {
        if self.raw { CellFormat::Raw } else { CellFormat::Safe }
    }
}

impl CellFormat {
    /// Formats a value: null is empty, lists and objects are JSON.
    pub(super) fn format(self, value: Option<&Value>) -> anyhow::Result<String> {
        Ok(match (value, self) {
            (None | Some(Value::Null), _) => String::new(),
            (Some(Value::String(text)), Self::Safe) => safe(text),
            (Some(Value::String(text)), Self::Raw) => text.clone(),
            (Some(other), Self::Safe) => json::to_text(other)?,
            (Some(other), Self::Raw) => other.to_string(),
        })
    }
}

/// Changes text so that no spreadsheet runs it as a formula. Hidden characters become JSON escapes, so a JSON payload
/// keeps its value.
fn safe(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 1);
    if is_formula(text) {
        safe.push('\'');
    }
    for c in text.chars() {
        match c {
            '\n' => safe.push(c),
            '\r' | '\t' => safe.extend(c.escape_default()),
            c if is_hidden(c) => safe.push_str(&json::escape(c)),
            c => safe.push(c),
        }
    }
    safe
}

/// True for text that a spreadsheet may run as a formula. A number is none, even with a sign.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'])
        && !is_number(text)
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    [whole, fraction].iter().all(|it| !it.is_empty() && it.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cells(value: &Value) -> [String; 2] {
        [CellFormat::Safe, CellFormat::Raw].map(|it| it.format(Some(value)).unwrap())
    }

    #[test]
    fn what_a_spreadsheet_would_run_is_text() {
        for (text, safe) in [
            ("=HYPERLINK(\"http://evil\")", "'=HYPERLINK(\"http://evil\")"),
            ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
            ("-2+3", "'-2+3"),
            ("-", "'-"),
            ("-1.", "'-1."),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\\t=1"),
            ("\r=1", "'\\r=1"),
            ("\n=1", "'\n=1"),
            ("＝1", "'＝1"),
            ("\u{1b}[2J", r"\u001b[2J"),
            ("{\"a\":\"\u{202e}\u{e0041}\"}", r#"{"a":"\u202e\udb40\udc41"}"#),
        ] {
            assert_eq!(cells(&text.into()), [safe, text]);
        }
    }

    #[test]
    fn numbers_and_plain_text_stay_as_they_are() {
        for text in ["-12.5", "+7", "-3", "user_1", "a=b", "", "two\nlines"] {
            assert_eq!(cells(&text.into()), [text, text]);
        }
        assert_eq!(cells(&json!(-5)), ["-5", "-5"]);
        assert_eq!(cells(&Value::Null), ["", ""]);
        assert_eq!(cells(&json!(["=1", "\u{9b}"])), [r#"["=1","\u009b"]"#, "[\"=1\",\"\u{9b}\"]"]);
    }
}
