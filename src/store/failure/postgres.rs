//! Failures of PostgreSQL's.

use sqlx::postgres::PgDatabaseError;

use super::{DatabaseFailure, FailureClass, hints};

/// The classes and codes of PostgreSQL, by their beginnings.
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
///
/// Disk full.
const NO_SPACE: [&str; 1] = ["53100"];
/// Failures that pass: a connection that broke or is refused, a role or database that is not there (yet), a server that
/// stops, starts, recovers, is promoted or only reads, too many connections or too little memory, a lock or a
/// statement that took too long, and transactions that got into each other's way.
const TRANSIENT: [&str; 11] =
    ["08", "28", "3D", "57P", "25006", "53", "55P03", "57014", "40", "25P03", "58"];
/// Data or an index that is corrupted; a table or column that is not there.
const DAMAGED: [&str; 3] = ["XX00", "42P01", "42703"];
/// Class of values that do not fit. The messages quote the values.
const VALUE_ERRORS: &str = "22";

impl DatabaseFailure {
    pub(super) fn from_postgres(error: &PgDatabaseError) -> Self {
        let code = error.code();
        let is = |codes: &[&str]| codes.iter().any(|it| code.starts_with(it));
        let class = if is(&NO_SPACE) {
            FailureClass::NoSpace
        } else if is(&TRANSIENT) {
            FailureClass::Transient
        } else if is(&DAMAGED) {
            FailureClass::Damage
        } else {
            FailureClass::Other
        };
        let text = match hints::plain_message(code, error.message()) {
            Some(sentence) => sentence.to_owned(),
            None if code.starts_with(VALUE_ERRORS) => without_values(error.message()),
            None => error.message().to_owned(),
        };
        let mut details = format!("SQLSTATE {code}");
        for (kind, name) in [
            ("table", error.table()),
            ("column", error.column()),
            ("constraint", error.constraint()),
        ] {
            details += &name.map(|name| format!(", {kind} {name}")).unwrap_or_default();
        }
        Self {
            message: format!("{text} ({details})"),
            hint: hints::for_postgres(code, error.message()),
            code: Some(code.to_owned()),
            class,
            is_refused: false,
        }
    }
}

/// A message without what is quoted in it or stands at its end after a colon.
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
