//! How PostgreSQL is connected to.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};

use super::database::ACQUIRE_TIMEOUT;
use crate::store::{DatabaseUrl, StoreError};

/// The schema of the log.
pub(in crate::store) const POSTGRES_LOG_SCHEMA: &str = "subledger";
/// The schema of the read models.
pub(in crate::store) const POSTGRES_READ_SCHEMA: &str = "subledger_read";

/// Connections of one process to each of the two schemas, at most.
const CONNECTIONS: u32 = 8;
/// How long a connection may be silent before it is closed.
const IDLE: Duration = Duration::from_mins(5);

/// What every session is told. A statement that takes longer than this is not answered to anybody;
/// a rebuild's are shorter, but for its indexes, which say so themselves.
const SETTINGS: [(&str, &str); 5] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "60s"),
    // Whatever the database's own setting is: an answer means that it is on the disk.
    ("synchronous_commit", "on"),
    // So that the plan of a statement with arrays is not made for one length of them.
    ("jit", "off"),
];

/// A pool of connections, to which names without a schema mean this one's.
pub(in crate::store) fn pool(url: &str, schema: &'static str) -> Result<PgPool, StoreError> {
    let options = PgConnectOptions::from_str(url)
        .map_err(|error| StoreError::Unreachable {
            database: DatabaseUrl::Postgres(url.to_owned()).to_string(),
            reason: "its address cannot be read".to_owned(),
            source: Some(error.into()),
        })?
        .application_name("subledger")
        .options(SETTINGS)
        .options([("search_path", schema)])
        .disable_statement_logging();
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE)
        .connect_lazy_with(options))
}
