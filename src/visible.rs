//! Visible text: text from outside, made safe to display.
//!
//! Text from Stripe, a customer or a file may contain characters that control a terminal (escape sequences) or that
//! are invisible (of zero width, or changing the direction of writing). They are displayed as escapes.
//!
//! *Invariant: pure. Text without such characters is unchanged.*

use std::borrow::Cow;
use std::fmt::Write as _;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// Escapes text for one line or cell: hidden characters, line breaks and tabs become `\u{1b}`, `\n` and the like.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_hidden)
}

/// Escapes text of several lines: like [`visible`], but keeps line breaks.
pub(crate) fn visible_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| c != '\n' && is_hidden(c))
}

/// True for a character that controls a terminal or is invisible.
pub(crate) fn is_hidden(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    // Letters that are drawn as blanks.
    let is_blank = matches!(c, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}');
    is_blank
        || matches!(
            c.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
        )
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.chars().any(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut visible = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_escaped(c) => visible.push(c),
            '\n' | '\r' | '\t' => visible.extend(c.escape_default()),
            // Writing to a string does not fail.
            c => drop(write!(visible, "\\u{{{:x}}}", u32::from(c))),
        }
    }
    Cow::Owned(visible)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_or_is_not_seen_becomes_an_escape() {
        for (text, shown) in [
            ("\u{1b}[31mred", r"\u{1b}[31mred"),
            ("\u{1b}]52;c;aGk=\u{7}", r"\u{1b}]52;c;aGk=\u{7}"),
            ("paid\runpaid", r"paid\runpaid"),
            ("a\nb\tc", r"a\nb\tc"),
            ("\0\u{8}\u{7f}", r"\u{0}\u{8}\u{7f}"),
            ("\u{9b}31m\u{85}", r"\u{9b}31m\u{85}"),
            ("user\u{202e}nimda\u{2066}", r"user\u{202e}nimda\u{2066}"),
            (
                "a\u{200b}b\u{200d}c\u{feff}\u{2060}\u{ad}",
                r"a\u{200b}b\u{200d}c\u{feff}\u{2060}\u{ad}",
            ),
            ("\u{2028}\u{2029}", r"\u{2028}\u{2029}"),
            ("\u{e0041}\u{3164}", r"\u{e0041}\u{3164}"),
        ] {
            assert_eq!(visible(text), shown);
        }
        assert_eq!(visible_lines("a\n\tb\r\n\u{1b}"), "a\n\\tb\\r\n\\u{1b}");
    }

    #[test]
    fn what_people_write_stays_as_it_is() {
        for text in
            ["Pro, 20.00 USD × 3", "Zoë e\u{301}", "山田\u{3000}太郎", "😀 ❤\u{fe0f}", r"C:\n", ""]
        {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }
}
