//! Search of a body for an id, as a whole word and in any encoding.
//!
//! An id may stand in a string of its own, in a URL, in JSON inside a string, with escapes (`cus\u005f1`) or
//! percent-encoded. So the text is decoded until nothing is left to decode, and then searched for the word.

use std::borrow::Cow;

/// Number of times that a text is decoded, at most: JSON in a string in a URL in JSON takes four.
const DECODINGS_MAX: usize = 8;

/// A body without escapes.
pub(super) struct Decoded<'a>(Cow<'a, str>);

impl<'a> Decoded<'a> {
    /// Decodes escapes of JSON and of URLs until there are none.
    pub(super) fn new(body: &'a str) -> Self {
        let mut text = Cow::Borrowed(body);
        for _ in 0..DECODINGS_MAX {
            match decoded(&text) {
                Some(shorter) => text = Cow::Owned(shorter),
                None => break,
            }
        }
        Self(text)
    }

    /// True if the body holds the id as a whole word: `cus_1` is not named by `cus_12`.
    pub(super) fn names(&self, id: &str) -> bool {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        !id.is_empty()
            && self.0.match_indices(id).any(|(at, _)| {
                let (before, after) = (&self.0[..at], &self.0[at + id.len()..]);
                !before.ends_with(is_part) && !after.starts_with(is_part)
            })
    }
}

/// The text with each escape decoded once; none if it has no escape.
fn decoded(text: &str) -> Option<String> {
    // Most bodies have none, and a single character is found many bytes at a time.
    if !text.contains('\\') && !text.contains('%') {
        return None;
    }
    let mut decoded: Option<String> = None;
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text[at..].find(['\\', '%']) {
        at += found;
        let Some((character, length)) = escape(&text[at..]) else {
            at += 1;
            continue;
        };
        let to = decoded.get_or_insert_with(|| String::with_capacity(text.len()));
        to.push_str(&text[copied..at]);
        to.push(character);
        at += length;
        copied = at;
    }
    let mut decoded = decoded?;
    decoded.push_str(&text[copied..]);
    Some(decoded)
}

/// Character of the escape at the start of a text, and the escape's length in bytes.
///
/// A percent sign stands for a byte; those of ASCII are characters, and ids have no others. One half of a surrogate
/// pair is no character, and no part of an id either.
fn escape(text: &str) -> Option<(char, usize)> {
    let hex = |digits: &str| {
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
    };
    if text.starts_with('%') {
        let byte = hex(text.get(1..3)?)?;
        return char::from_u32(byte).filter(char::is_ascii).map(|it| (it, 3));
    }
    let character = match text[1..].chars().next()? {
        'u' => {
            let unit = hex(text.get(2..6)?)?;
            return Some((char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER), 6));
        }
        'n' | 'r' | 't' | 'b' | 'f' => ' ',
        same @ ('"' | '/' | '\\') => same,
        _ => return None,
    };
    Some((character, 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> bool {
        Decoded::new(body).names("cus_1")
    }

    #[test]
    fn an_id_is_found_however_it_is_written() {
        for body in [
            r#"{"customer":"cus_1"}"#,
            "cus_1",
            r#"{"url":"https://dashboard.stripe.com/customers/cus_1/edit"}"#,
            r#"{"url":"https:\/\/dashboard.stripe.com\/customers\/cus_1"}"#,
            r#"{"url":"https://example.com/?c=cus_1&d=2"}"#,
            r#"{"url":"https://example.com/?next=https%3A%2F%2Fexample.com%2Fcus_1%2f"}"#,
            r#"{"url":"https://example.com/?next=%2Fa%3Fnext%3D%252Fcus%255F1"}"#,
            r#"{"customer":"cus\u005f1"}"#,
            r#"{"customer":"\u0063\u0075s\u005F\u0031"}"#,
            r#"{"metadata":{"raw":"{\"customer\":\"cus_1\"}"}}"#,
            r#"{"metadata":{"raw":"{\"customer\":\"cus\\u005f1\"}"}}"#,
            r#"{"description":"for\ncus_1\tand others"}"#,
            r#"{"description":"100% of cus_1, 5%cus_1"}"#,
            r#"{"description":"\ud83d\ude00cus_1"}"#,
            "{\"description\":\"\u{e9}-cus_1-\u{e9}\"}",
        ] {
            assert!(names(body), "{body}");
        }
    }

    #[test]
    fn another_id_is_not_taken_for_it() {
        for body in [
            "",
            "\\",
            "%",
            "\\u00",
            "%\u{e9}",
            r#"{"customer":"cus_12"}"#,
            r#"{"customer":"xcus_1"}"#,
            r#"{"customer":"cus_1_2"}"#,
            r#"{"customer":"cus\u005f1\u0032"}"#,
            r#"{"customer":"\u0061cus_1"}"#,
            r#"{"url":"https://example.com/cus_1%32"}"#,
            r#"{"description":"\u00e9cus_1"}"#,
        ] {
            assert!(!names(body), "{body}");
        }
        assert!(!Decoded::new("cus_1").names(""));
    }

    #[test]
    fn what_is_decoded_again_and_again_comes_to_an_end() {
        assert!(names(&format!("%{}63us_1", "25".repeat(DECODINGS_MAX - 1))));
        assert!(!names(&format!("%{}63us_1", "25".repeat(1_000))));
    }
}
