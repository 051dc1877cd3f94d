//! Classes of database failures, by the codes of the databases.

/// Class of a failure: it decides whether a retry may help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum FailureClass {
    /// A retry may help.
    Transient,
    /// The disk is full, or a limit is reached.
    NoSpace,
    /// The database is damaged.
    Damage,
    /// Any other failure; a retry does not help.
    Other,
}

/// Result codes of SQLite for a write without space: full, and an I/O error of a write or of the index of the
/// write-ahead log, which is caused by a limit or a quota. <https://sqlite.org/rescode.html>
const SQLITE_NO_SPACE: [i32; 3] = [13, 778, 4874];
/// Primary result codes of SQLite for transient failures: busy, locked, out of memory, read-only, I/O error, cannot
/// open.
const SQLITE_TRANSIENT: [i32; 6] = [5, 6, 7, 8, 10, 14];
/// Primary result codes of SQLite for a malformed file, and for a file that is not a database.
const SQLITE_DAMAGE: [i32; 2] = [11, 26];

/// SQLSTATE of PostgreSQL for a full disk. <https://www.postgresql.org/docs/current/errcodes-appendix.html>
const POSTGRES_NO_SPACE: [&str; 1] = ["53100"];
/// Prefixes of SQLSTATEs for transient failures: a connection that broke or is refused, a role or database that does
/// not exist (yet), a server that stops, starts, recovers, is promoted or is read-only, too many connections or too
/// little memory, a lock or a statement that took too long, and conflicts between transactions.
const POSTGRES_TRANSIENT: [&str; 11] =
    ["08", "28", "3D", "57P", "25006", "53", "55P03", "57014", "40", "25P03", "58"];
/// SQLSTATEs for corrupted data or indexes, and for a missing table or column.
const POSTGRES_DAMAGE: [&str; 3] = ["XX00", "42P01", "42703"];

impl FailureClass {
    pub(super) fn from_sqlite_code(code: i32) -> Self {
        let primary = code & 0xff;
        if SQLITE_NO_SPACE.contains(&code) {
            Self::NoSpace
        } else if SQLITE_TRANSIENT.contains(&primary) {
            Self::Transient
        } else if SQLITE_DAMAGE.contains(&primary) {
            Self::Damage
        } else {
            Self::Other
        }
    }

    pub(super) fn from_sqlstate(code: &str) -> Self {
        let is = |codes: &[&str]| codes.iter().any(|it| code.starts_with(it));
        if is(&POSTGRES_NO_SPACE) {
            Self::NoSpace
        } else if is(&POSTGRES_TRANSIENT) {
            Self::Transient
        } else if is(&POSTGRES_DAMAGE) {
            Self::Damage
        } else {
            Self::Other
        }
    }
}
