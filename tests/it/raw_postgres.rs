//! A ledger's database as its owner may open it, without any of our manners.

use std::path::Path;
use std::str::FromStr as _;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use subledger::store::DatabaseUrl;

pub(crate) type Connection = PgConnection;

/// Name of the database, as the guides have it.
pub(crate) const NAME: &str = "PostgreSQL";
/// What keeps others from appending, until it is rolled back.
pub(crate) const LOCK_LOG: &str = "BEGIN; SELECT size FROM log_head FOR UPDATE";
/// What keeps others from folding, until it is rolled back.
pub(crate) const LOCK_READ: &str = "BEGIN; LOCK TABLE generations IN EXCLUSIVE MODE";
/// What drops the views of a table with it.
pub(crate) const CASCADE: &str = " CASCADE";
/// A byte that is no state.
pub(crate) const ONE_BYTE: &str = "'\\xff'::bytea";
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

/// Statement before an event is appended that is to be in no index of ids: the index is not maintained.
pub(crate) const UNINDEX_BEFORE: &str = "UPDATE pg_index SET indisready = FALSE
    WHERE indexrelid = 'events_event_id_account_livemode_key'::regclass";
/// Statement after it.
pub(crate) const UNINDEX_EVT_5_AFTER: &str = "UPDATE pg_index SET indisready = TRUE
    WHERE indexrelid = 'events_event_id_account_livemode_key'::regclass";
/// Findings about that index.
pub(crate) const INDEX_IS_DAMAGED: &[&str] = &[
    "the log: the index events_event_id_account_livemode_key is damaged: it leads to 10 of 11 rows",
];

/// Loads the ledger that version 0.1.0 left into the database of a folder.
pub(crate) fn lay_out_0_1_0(folder: &Path) {
    let dump = std::fs::read_to_string(crate::upgrade::left("postgres.sql")).unwrap();
    // An older psql does not know these two commands of its own.
    let known = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    let dump: String = dump.lines().filter(known).flat_map(|line| [line, "\n"]).collect();
    crate::cluster::load(folder, &dump);
}

/// The statements that make each trigger of the log, and those that drop it: table, name, make, drop.
pub(crate) async fn guards(connection: &mut Connection) -> Vec<[String; 4]> {
    let guards = "SELECT relname::text, tgname::text, pg_get_triggerdef(t.oid)
        FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
        WHERE relnamespace = 'subledger'::regnamespace AND NOT tgisinternal";
    let guards: Vec<(String, String, String)> =
        sqlx::query_as(guards).fetch_all(connection).await.unwrap();
    let statements = |(table, name, make)| {
        let drop = format!("DROP TRIGGER {name} ON {table}");
        [table, name, make, drop]
    };
    guards.into_iter().map(statements).collect()
}

/// The log.
pub(crate) async fn log(url: &DatabaseUrl) -> Connection {
    connect(url, "subledger").await
}

/// The read models.
pub(crate) async fn read(url: &DatabaseUrl) -> Connection {
    connect(url, "subledger_read").await
}

async fn connect(url: &DatabaseUrl, schema: &str) -> Connection {
    let DatabaseUrl::Postgres(server) = url else { panic!("a database of PostgreSQL's") };
    let options =
        PgConnectOptions::from_str(server.expose()).unwrap().options([("search_path", schema)]);
    PgConnection::connect_with(&options).await.unwrap()
}

/// Takes away what holds the log's promises against every program, and answers with the statements that bring it
/// back.
pub(crate) async fn drop_guards(connection: &mut Connection) -> Vec<String> {
    let mut back = Vec::new();
    for table in ["events", "log_head", "redeliveries", "nodes"] {
        let disable = sqlx::AssertSqlSafe(format!("ALTER TABLE {table} DISABLE TRIGGER ALL"));
        sqlx::query(disable).execute(&mut *connection).await.unwrap();
        back.push(format!("ALTER TABLE {table} ENABLE TRIGGER ALL"));
    }
    back
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
