//! Errors of database addresses.

use super::parameters::USED;

/// Reason why an address cannot be used. No message repeats the address, which may contain a password.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// The scheme is missing or unknown.
    #[error("a database address starts with sqlite:// or postgres://, as in sqlite://subledger.db")]
    UnknownScheme,
    /// The path is missing, or ends in a slash.
    #[error("the database address names no file, as in sqlite://subledger.db")]
    NoPath,
    /// The path is `:memory:`, `file:…` or has `?option=…`, which SQLite would interpret.
    #[error(
        "the database address must be a plain path, without `:memory:`, `file:` and `?` options"
    )]
    NotAPlainPath,
    /// The parts of a server's address cannot be separated.
    #[error(
        "it cannot be read: percent-encode the special characters of its user name and password \
         (%23 for #, %2F for /, %3F for ?, %40 for @, %25 for %, %3A for :)"
    )]
    Unreadable,
    /// A parameter after `?` is unknown to PostgreSQL's programs and to poolers.
    #[error(
        "a parameter after its `?` is unknown: percent-encode a `?` of the password as %3F; known are {}",
        USED.join(", ")
    )]
    UnknownParameter,
    /// The value of a parameter after `?` cannot be used.
    #[error("the value of its parameter {0} cannot be used")]
    BadParameter(&'static str),
}
