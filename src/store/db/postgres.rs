//! Connecting to PostgreSQL: the settings of a session are set, and then read back and checked.
//!
//! The connection is opened without start-up parameters that a pooler may not know: pgbouncer refuses them, or drops
//! them if configured so. A session with a wrong setting is not used. Otherwise events in the wrong schema, or commits
//! that do not wait for the disk, would be noticed much later.

use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqlSafeStr as _, SqlStr};

use super::postgres_connection::{Backend, PostgresConnection};
use crate::store::failure::DatabaseFailure;
use crate::store::url::Server;

/// Schema of the log.
pub(in crate::store) const POSTGRES_LOG_SCHEMA: &str = "subledger";
/// Schema of the read models.
pub(in crate::store) const POSTGRES_READ_SCHEMA: &str = "subledger_read";

/// Encoding of the database and of the connection.
const ENCODING: &str = "UTF8";

type Setting = (&'static str, &'static str);

/// Settings of every session. Nobody waits longer for a statement; only the statements that create the indexes of a
/// rebuild take longer, and disable the timeout.
const SETTINGS: [Setting; 4] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "5s"),
    // Each statement sees what was committed before it began. An append relies on it after it has the lock.
    ("default_transaction_isolation", "read committed"),
    // Compilation would cost more than it saves in short statements.
    ("jit", "off"),
];
/// Settings of sessions on the log. A commit waits for the disk, whatever the setting of the database is. Every
/// statement uses an index, also before a new table has statistics. The lock of the head is released soon after the
/// process that holds it loses its connection.
const LOG_SETTINGS: [Setting; 3] = [
    ("synchronous_commit", "on"),
    ("enable_seqscan", "off"),
    ("idle_in_transaction_session_timeout", "10s"),
];
/// Settings of sessions on the read models. A commit does not wait for the disk, because a read model can be rebuilt. A
/// plan that was made for an empty table is not kept.
const READ_MODEL_SETTINGS: [Setting; 3] = [
    ("synchronous_commit", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("idle_in_transaction_session_timeout", "1min"),
];
/// Settings by which the server detects a lost client and releases its locks. They read as 0 on a Unix socket, and are
/// therefore not checked.
const KEEP_ALIVES: [Setting; 4] = [
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30s"),
];
/// Switches to the role that owns the read models, if the session may, so that all tables have the same owner and its
/// grants.
const ROLE: &str = "set_config('role', coalesce((
    SELECT owner.rolname FROM pg_namespace AS n JOIN pg_roles AS owner ON owner.oid = n.nspowner
    WHERE n.nspname = 'subledger_read' AND owner.rolname <> current_user AND pg_has_role(owner.oid,
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
    ), current_setting('role')), false)";

/// Opens connections to one of the schemas.
#[derive(Debug)]
pub(super) struct Connector {
    options: PgConnectOptions,
    settings: Vec<Setting>,
    /// Statement that sets the settings.
    set: SqlStr,
    /// Statement that reads them.
    show: SqlStr,
}

impl Connector {
    pub(super) fn new(server: &Server, schema: &'static str) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(server.expose())?
            .application_name("subledger")
            .extra_float_digits(None)
            .disable_statement_logging();
        let is_log = schema == POSTGRES_LOG_SCHEMA;
        // Logged once, not again for the read models.
        if is_log && !server.ignored().is_empty() {
            let parameters = server.ignored().join(", ");
            tracing::warn!(
                parameters,
                "DATABASE_URL has parameters that this program ignores: {parameters}"
            );
        }
        let mut settings = vec![("search_path", schema), ("client_encoding", ENCODING)];
        settings.extend(SETTINGS);
        settings.extend(if is_log { LOG_SETTINGS } else { READ_MODEL_SETTINGS });
        let set = settings.iter().chain(&KEEP_ALIVES);
        let mut set: Vec<String> =
            set.map(|(name, value)| format!("set_config('{name}', '{value}', false)")).collect();
        if !is_log {
            set.push(ROLE.to_owned());
        }
        let show = settings.iter().map(|(name, _)| format!(", current_setting('{name}')"));
        let show: String = show.collect();
        let set = format!("SELECT pg_backend_pid(), {}", set.join(", "));
        let show = format!(
            "SELECT pg_backend_pid(), pg_is_in_recovery(), current_setting('server_encoding'){show}"
        );
        let text = |sql| AssertSqlSafe(sql).into_sql_str();
        Ok(Self { options, settings, set: text(set), show: text(show) })
    }

    /// Connects, sets the settings of the session, and checks them.
    pub(super) async fn connect(&self) -> Result<PostgresConnection, DatabaseFailure> {
        let mut connection = self.options.connect().await?;
        let set: i32 = query_unprepared(&mut connection, &self.set).await?.try_get(0)?;
        // In a second statement, because a pooler may have sent the first one to another session.
        let shown = query_unprepared(&mut connection, &self.show).await?;
        let process: i32 = shown.try_get(0)?;
        if process != set {
            return Err(session_mode_required());
        }
        self.check(&shown)?;
        Ok(PostgresConnection::new(connection, Backend { process, is_standby: shown.try_get(1)? }))
    }

    fn check(&self, shown: &PgRow) -> Result<(), DatabaseFailure> {
        let encoding: &str = shown.try_get(2)?;
        if encoding != ENCODING {
            return Err(DatabaseFailure::new(
                format!("its encoding is {encoding}, and a ledger needs {ENCODING}"),
                "create a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0, and move the data with \
                 pg_dump and psql",
            ));
        }
        for (index, (name, value)) in self.settings.iter().enumerate() {
            let found: &str = shown.try_get(3 + index)?;
            if found != *value {
                return Err(DatabaseFailure::new(
                    format!("a session's {name} is {found} after it was set to {value}"),
                    SESSION_MODE,
                ));
            }
        }
        Ok(())
    }
}

const SESSION_MODE: &str =
    "a pooler must keep a session for each of its clients (pgbouncer: pool_mode = session)";

/// Error of a pooler that does not keep a session for each connection.
pub(super) fn session_mode_required() -> DatabaseFailure {
    DatabaseFailure::new("the pooler gives each transaction another session", SESSION_MODE)
}

/// Runs a query without preparing it.
async fn query_unprepared(
    connection: &mut PgConnection,
    sql: &SqlStr,
) -> Result<PgRow, sqlx::Error> {
    sqlx::raw_sql(sql.clone()).fetch_one(connection).await
}
