//! A ledger's database as its owner may open it, without any of our manners.

use std::path::Path;
use std::str::FromStr as _;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use subledger::store::DatabaseUrl;

pub(crate) type Connection = PgConnection;

/// What keeps others from appending, until it is rolled back.
pub(crate) const LOCK_LOG: &str = "BEGIN; SELECT size FROM log_head FOR UPDATE";
/// What keeps others from folding, until it is rolled back.
pub(crate) const LOCK_READ: &str = "BEGIN; LOCK TABLE generations IN EXCLUSIVE MODE";
/// What makes one event fail.
pub(crate) const FAULT_AT_EVT_20: &str =
    "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'fault'; END $$;
    CREATE TRIGGER fault BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.event_id = 'evt_20')
        EXECUTE FUNCTION fault()";
/// What ends that.
pub(crate) const NO_FAULT: &str = "DROP TRIGGER fault ON events";

/// Makes a log one of before `signed_with`.
pub(crate) const WITHOUT_SIGNED_WITH: &str = "DROP TRIGGER events_are_unchanged ON events;
    ALTER TABLE events DROP COLUMN signed_with; DELETE FROM _sqlx_migrations WHERE version = 3";

/// The log.
pub(crate) async fn log(url: &DatabaseUrl) -> Connection {
    connect(url, "subledger").await
}

/// The read models.
pub(crate) async fn read(url: &DatabaseUrl) -> Connection {
    connect(url, "subledger_read").await
}

async fn connect(url: &DatabaseUrl, schema: &str) -> Connection {
    let DatabaseUrl::Postgres(url) = url else { panic!("a database of PostgreSQL's") };
    let options = PgConnectOptions::from_str(url).unwrap().options([("search_path", schema)]);
    PgConnection::connect_with(&options).await.unwrap()
}

/// Takes away what holds the log's promises against every program.
pub(crate) async fn drop_guards(connection: &mut Connection) {
    for table in ["events", "log_head", "redeliveries", "nodes"] {
        let disable = sqlx::AssertSqlSafe(format!("ALTER TABLE {table} DISABLE TRIGGER ALL"));
        sqlx::query(disable).execute(&mut *connection).await.unwrap();
    }
}

/// What the read models are made of: names, and the definitions of views.
pub(crate) async fn schema(connection: &mut Connection) -> Vec<(String, Option<String>)> {
    let sql =
        "SELECT relname::text, CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) END FROM pg_class
        WHERE relnamespace = 'subledger_read'::regnamespace ORDER BY 1";
    sqlx::query_as(sql).fetch_all(connection).await.unwrap()
}

/// The bytes of the read models' tables and indexes.
pub(crate) fn read_model_bytes(folder: &Path) -> u64 {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
        WHERE relkind = 'r' AND relname <> 'generations'
            AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'subledger_read')";
    crate::cluster::psql(folder, sql).parse().unwrap()
}
