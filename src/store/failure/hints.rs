//! Hints for failures, by their codes.

use std::borrow::Cow;
use std::io::ErrorKind;

use super::class::FailureClass;

pub(super) const TLS: &str = "`?sslmode=disable` in DATABASE_URL connects without TLS, `sslmode=prefer` uses TLS if the \
     server has it; `sslrootcert=FILE` names the certificate that signed the server's";
pub(super) const NOT_POSTGRES: &str =
    "DATABASE_URL must lead to PostgreSQL, or to a pooler in session mode";
const POOLER: &str = "a pooler such as pgbouncer answered: see its log; it must know the database and the role, and run in \
     session mode";
const GRANTS: &str = "the PostgreSQL guide lists the grants of each role under \"Roles\"";

/// Objects of a ledger, with the privileges that a role needs on them.
const NEEDED: [(&str, &str); 7] = [
    ("events", "the role of `serve` needs SELECT and INSERT on subledger.events, a reader SELECT"),
    ("nodes", "the role of `serve` needs SELECT and INSERT on subledger.nodes, a reader SELECT"),
    (
        "redeliveries",
        "the role of `serve` needs SELECT, INSERT and UPDATE on subledger.redeliveries, a reader SELECT",
    ),
    (
        "log_head",
        "the role of `serve` needs SELECT and UPDATE on subledger.log_head, a reader SELECT",
    ),
    ("_sqlx_migrations", "every role needs SELECT on subledger._sqlx_migrations"),
    (
        "subledger_read",
        "the role of `serve` must own the schema subledger_read, a reader needs USAGE",
    ),
    (
        "subledger",
        "every role needs USAGE on the schema subledger; its owner brings it up to date with `subledger rebuild`",
    ),
];

/// Message in place of the server's message, which names the role or is hard to understand.
pub(super) fn plain_message(code: &str, message: &str) -> Option<&'static str> {
    Some(match code {
        "28P01" => "the server refused the password of the role",
        "28000" if message.contains("no encryption") => {
            "the server does not accept this role from here without TLS"
        }
        "28000" if message.contains("pg_hba.conf") => {
            "the server does not accept this role from here"
        }
        "28000" if message.contains("does not exist") => "the role does not exist",
        "28000" => "the server refused the role",
        "3D000" => "the database does not exist",
        "53300" => "the server has no free connection",
        "57P03" => "the server is starting, stopping or recovering",
        "57P01" | "57P02" => "the server ended the connection",
        "57014" => "a statement took too long, or was cancelled",
        "55P03" => "a lock was not released in time",
        "25006" => "the server is read-only",
        _ => return None,
    })
}

/// Hint for a failure of PostgreSQL.
pub(super) fn for_postgres(code: &str, message: &str) -> Option<Cow<'static, str>> {
    let advice = match code {
        "28P01" => {
            "correct the password in DATABASE_URL or PGPASSWORD; in an address its special characters are \
             percent-encoded (%23 for #)"
        }
        "28000" if message.contains("no encryption") => "add `?sslmode=require` to DATABASE_URL",
        "28000" if message.contains("pg_hba.conf") => "add the role to pg_hba.conf of the server",
        "28000" => "create the role with CREATE ROLE … LOGIN, or correct it in DATABASE_URL",
        "3D000" => "CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, or correct DATABASE_URL",
        "42501" => return Some(Cow::Borrowed(grant(message))),
        "42P01" | "3F000" => {
            "the role does not see a table of the ledger: `subledger verify` reports what there is"
        }
        "26000" | "42P05" | "08P01" => POOLER,
        "53300" => {
            "raise max_connections of the server, or lower SUBLEDGER_POSTGRES_CONNECTIONS of each process"
        }
        "53100" => "make room on the disk of the server",
        "53200" => "the server needs more memory",
        "57P01" | "57P02" | "57P03" | "40001" | "40P01" => "the operation is retried",
        "57014" => "the server may be overloaded or its disk slow: see pg_stat_activity",
        "55P03" => "pg_stat_activity and pg_locks show the session that holds it",
        "25006" => {
            "DATABASE_URL must lead to the primary; on a primary, default_transaction_read_only must be off"
        }
        "22021" | "22P05" => "the database must have the encoding UTF8",
        _ if code.starts_with("08") => POOLER,
        _ => return None,
    };
    Some(Cow::Borrowed(advice))
}

/// Missing grant, by the object that the message names.
fn grant(message: &str) -> &'static str {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let names = |object: &str| message.split(|c| !is_word(c)).any(|word| word == object);
    NEEDED.iter().find(|(object, _)| names(object)).map_or(GRANTS, |(_, needed)| needed)
}

/// Hint for a failed connection to a server.
pub(super) fn for_io(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::ConnectionRefused | ErrorKind::NotFound => {
            "no server listens there: start it, or correct host and port in DATABASE_URL"
        }
        ErrorKind::PermissionDenied => {
            "this user has no permission to open the socket of the server"
        }
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => "the other end closed it: see the log of the server",
        _ => "check host and port in DATABASE_URL, and the network",
    }
}

/// Hint for a failure of SQLite.
pub(super) fn for_sqlite(class: FailureClass) -> Option<Cow<'static, str>> {
    let advice = match class {
        FailureClass::NoSpace => "make room on the disk of the ledger",
        FailureClass::Transient => {
            "another program may have locked the file, or its disk may not be writable"
        }
        FailureClass::Damage => "`subledger verify` reports the damage",
        FailureClass::Other => return None,
    };
    Some(Cow::Borrowed(advice))
}

#[cfg(test)]
mod tests {
    use super::grant;

    #[test]
    fn the_grant_that_is_missing_is_named() {
        for (message, grant_of) in [
            ("permission denied for table events", "subledger.events"),
            ("permission denied for table log_head", "subledger.log_head"),
            ("permission denied for schema subledger", "the schema subledger;"),
            ("permission denied for schema subledger_read", "subledger_read"),
            ("keine Berechtigung für Tabelle events", "subledger.events"),
            ("permission denied for database ledger", "guide"),
        ] {
            assert!(grant(message).contains(grant_of), "{message}: {}", grant(message));
        }
    }
}
