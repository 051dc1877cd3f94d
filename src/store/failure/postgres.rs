//! Messages of PostgreSQL, without values.

use sqlx::postgres::PgDatabaseError;

use super::hints;

/// SQLSTATE class of values that do not fit. Their messages quote the values.
const VALUE_ERRORS: &str = "22";

/// Message of an error, without values, with its code and object.
pub(super) fn message(error: &PgDatabaseError) -> String {
    let code = error.code();
    let text = match hints::plain_message(code, error.message()) {
        Some(sentence) => sentence.to_owned(),
        None if code.starts_with(VALUE_ERRORS) => without_values(error.message()),
        None => error.message().to_owned(),
    };
    let mut details = format!("SQLSTATE {code}");
    for (kind, name) in
        [("table", error.table()), ("column", error.column()), ("constraint", error.constraint())]
    {
        details += &name.map(|name| format!(", {kind} {name}")).unwrap_or_default();
    }
    format!("{text} ({details})")
}

/// Removes quoted text, and the text after a colon, from a message.
fn without_values(message: &str) -> String {
    let message = message.split_once(": ").map_or(message, |(before, _)| before);
    let mut parts = message.split('"');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for (number, part) in parts.enumerate() {
        text += if number % 2 == 0 { "…" } else { part };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn a_message_about_a_value_does_not_show_it() {
        for (message, shown) in [
            (
                "invalid input syntax for type bigint: \"cus_1\"",
                "invalid input syntax for type bigint",
            ),
            (
                "value \"Jürgen\" is out of range for type integer",
                "value … is out of range for type integer",
            ),
            (
                "invalid byte sequence for encoding \"UTF8\": 0xe9",
                "invalid byte sequence for encoding …",
            ),
            ("division by zero", "division by zero"),
        ] {
            assert_eq!(without_values(message), shown);
        }
    }
}
