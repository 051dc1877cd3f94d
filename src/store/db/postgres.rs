//! How PostgreSQL is connected to.

use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions as _, Connection as _};

use super::database::{ACQUIRE_TIMEOUT, TRUSTED};
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
    // Each statement sees what is committed when it begins; an append counts on it once it has the lock.
    ("default_transaction_isolation", "read committed"),
    // Short statements, each of which would pay for it.
    ("jit", "off"),
];
/// Of the log's. An answer means that it is on the disk, whatever the database's own setting is. And every
/// statement goes along an index, also while nobody has counted yet what a new table holds.
const OF_THE_LOG: [(&str, &str); 2] = [("synchronous_commit", "on"), ("enable_seqscan", "off")];
/// Of the read models'. Nothing there is lost for good, so a commit need not wait for the disk; and a plan that
/// was made for an empty table is not kept.
const OF_READ_MODELS: [(&str, &str); 2] =
    [("synchronous_commit", "off"), ("plan_cache_mode", "force_custom_plan")];

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
        .options(if schema == POSTGRES_LOG_SCHEMA { OF_THE_LOG } else { OF_READ_MODELS })
        .options([("search_path", schema)])
        .disable_statement_logging();
    Ok(PgPoolOptions::new()
        .max_connections(CONNECTIONS)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(IDLE)
        .test_before_acquire(false)
        .before_acquire(|connection, since| {
            Box::pin(async move { Ok(since.idle_for < TRUSTED || connection.ping().await.is_ok()) })
        })
        .connect_lazy_with(options))
}
