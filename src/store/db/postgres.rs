//! Connecting to PostgreSQL: the settings of a session are made, and then read back.
//!
//! Nothing is asked for while the connection is made but what every pooler knows: pgbouncer refuses other start-up
//! parameters, or drops them where it is told to. A session in which a setting is another than it was made is not
//! used: events in the wrong schema, or commits that do not wait for the disk, would be found much later.

use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqlSafeStr as _, SqlStr};

use super::postgres_connection::PostgresConnection;
use crate::store::Server;
use crate::store::failure::DatabaseFailure;

/// The schema of the log.
pub(in crate::store) const POSTGRES_LOG_SCHEMA: &str = "subledger";
/// The schema of the read models.
pub(in crate::store) const POSTGRES_READ_SCHEMA: &str = "subledger_read";

/// Encoding of the database and of the connection.
const ENCODING: &str = "UTF8";

type Setting = (&'static str, &'static str);

/// Settings of every session. A statement that takes longer than this is not answered to anybody;
/// a rebuild's are shorter, but for its indexes, which say so themselves.
const SETTINGS: [Setting; 4] = [
    ("statement_timeout", "30s"),
    ("lock_timeout", "5s"),
    // Each statement sees what is committed when it begins; an append counts on it once it has the lock.
    ("default_transaction_isolation", "read committed"),
    // Short statements, each of which would pay for it.
    ("jit", "off"),
];
/// Settings of the log's sessions. An answer means that it is on the disk, whatever the database's own setting is.
/// Every statement goes along an index, also while nobody has counted yet what a new table holds. And the lock of the
/// head is free again soon after the process that held it is cut off.
const LOG_SETTINGS: [Setting; 3] = [
    ("synchronous_commit", "on"),
    ("enable_seqscan", "off"),
    ("idle_in_transaction_session_timeout", "10s"),
];
/// Settings of the read models' sessions. Nothing there is lost for good, so a commit need not wait for the disk; and
/// a plan that was made for an empty table is not kept.
const READ_MODEL_SETTINGS: [Setting; 3] = [
    ("synchronous_commit", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("idle_in_transaction_session_timeout", "1min"),
];
/// Settings by which the server finds out that this end is gone, and lets its locks go. They read as 0 where the way
/// to the server is no network, and so are not checked.
const KEEP_ALIVES: [Setting; 4] = [
    ("tcp_keepalives_idle", "30"),
    ("tcp_keepalives_interval", "10"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "30s"),
];
/// Whoever may act as the owner of the read models does, so that their tables have one owner, and the grants that
/// belong to it, whoever makes them.
const ROLE: &str = "set_config('role', coalesce((
    SELECT owner.rolname FROM pg_namespace AS n JOIN pg_roles AS owner ON owner.oid = n.nspowner
    WHERE n.nspname = 'subledger_read' AND owner.rolname <> current_user AND pg_has_role(owner.oid,
        CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END)
    ), current_setting('role')), false)";

/// Connector to one of the schemas.
#[derive(Debug)]
pub(super) struct Connector {
    options: PgConnectOptions,
    settings: Vec<Setting>,
    /// Makes the settings.
    set: SqlStr,
    /// Reads them.
    show: SqlStr,
}

/// Process of the server that a connection leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) process: i32,
    /// True if the server is a standby.
    pub(super) is_standby: bool,
}

impl Connector {
    pub(super) fn new(server: &Server, schema: &'static str) -> Result<Self, sqlx::Error> {
        let options = PgConnectOptions::from_str(server.expose())?
            .application_name("subledger")
            .extra_float_digits(None)
            .disable_statement_logging();
        let is_log = schema == POSTGRES_LOG_SCHEMA;
        // Once for both.
        if is_log && !server.not_used().is_empty() {
            let parameters = server.not_used().join(", ");
            tracing::warn!(
                parameters,
                "DATABASE_URL has parameters that this program does not use: {parameters}"
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

    /// Connects, makes the settings of the session, and checks them.
    pub(super) async fn connect(&self) -> Result<PostgresConnection, DatabaseFailure> {
        let mut connection = self.options.connect().await?;
        let set: i32 = query_unprepared(&mut connection, &self.set).await?.try_get(0)?;
        // By another statement: a pooler may have sent the first one to another session.
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
                "make a database with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0; pg_dump and psql \
                 move what there is",
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

/// Two connections lead to one session.
pub(super) fn session_mode_required() -> DatabaseFailure {
    DatabaseFailure::new("the pooler gives each transaction another session", SESSION_MODE)
}

/// Asks without a prepared statement.
async fn query_unprepared(
    connection: &mut PgConnection,
    sql: &SqlStr,
) -> Result<PgRow, sqlx::Error> {
    sqlx::raw_sql(sql.clone()).fetch_one(connection).await
}
