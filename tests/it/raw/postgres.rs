//! A ledger's database as its owner may open it, without any of our manners.

use std::path::Path;
use std::str::FromStr as _;

use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use subledger::store::DatabaseUrl;

use super::Dialect;

/// SQL as PostgreSQL has it.
pub(super) const DIALECT: Dialect = Dialect {
    name: "PostgreSQL",
    lock_log: "BEGIN; SELECT size FROM log_head FOR UPDATE",
    lock_read: "BEGIN; LOCK TABLE generations IN EXCLUSIVE MODE",
    cascade: " CASCADE",
    one_byte: "'\\xff'::bytea",
    fault_at_evt_20: "CREATE FUNCTION fault() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'fault'; END $$;
    CREATE TRIGGER fault BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.event_id = 'evt_20')
        EXECUTE FUNCTION fault()",
    no_fault: "DROP TRIGGER fault ON events",
    without_signed_with: "DROP TRIGGER events_are_unchanged ON events;
    ALTER TABLE events DROP COLUMN signed_with; DELETE FROM _sqlx_migrations WHERE version = 3",
    unindex_before: "UPDATE pg_index SET indisready = FALSE
    WHERE indexrelid = 'events_event_id_account_livemode_key'::regclass",
    unindex_evt_5_after: "UPDATE pg_index SET indisready = TRUE
    WHERE indexrelid = 'events_event_id_account_livemode_key'::regclass",
    index_is_damaged: &[
        "the log: the index events_event_id_account_livemode_key is damaged: it leads to 10 of 11 rows",
    ],
};

/// Loads the ledger that version 0.1.0 left into the database of a folder.
pub(super) fn lay_out_0_1_0(folder: &Path) {
    let dump = std::fs::read_to_string(crate::upgrade::left("postgres.sql")).unwrap();
    // An older psql does not know these two commands of its own.
    let known = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    let dump: String = dump.lines().filter(known).flat_map(|line| [line, "\n"]).collect();
    crate::cluster::load(folder, &dump);
}

/// The statements that make each trigger of the log, and those that drop it: table, name, make, drop.
pub(super) async fn guards(connection: &mut PgConnection) -> Vec<[String; 4]> {
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
pub(super) async fn log(url: &DatabaseUrl) -> PgConnection {
    connect(url, "subledger").await
}

/// The read models.
pub(super) async fn read(url: &DatabaseUrl) -> PgConnection {
    connect(url, "subledger_read").await
}

async fn connect(url: &DatabaseUrl, schema: &str) -> PgConnection {
    let DatabaseUrl::Postgres(server) = url else { panic!("a database of PostgreSQL's") };
    let options =
        PgConnectOptions::from_str(server.expose()).unwrap().options([("search_path", schema)]);
    PgConnection::connect_with(&options).await.unwrap()
}

/// Takes away what holds the log's promises against every program, and answers with the statements that bring it
/// back.
pub(super) async fn drop_guards(connection: &mut PgConnection) -> Vec<String> {
    let mut back = Vec::new();
    for table in ["events", "log_head", "redeliveries", "nodes"] {
        let disable = sqlx::AssertSqlSafe(format!("ALTER TABLE {table} DISABLE TRIGGER ALL"));
        sqlx::query(disable).execute(&mut *connection).await.unwrap();
        back.push(format!("ALTER TABLE {table} ENABLE TRIGGER ALL"));
    }
    back
}

/// Objects of the read models: names, and the definitions of views.
pub(super) async fn schema(connection: &mut PgConnection) -> Vec<(String, Option<String>)> {
    let sql =
        "SELECT relname::text, CASE WHEN relkind = 'v' THEN pg_get_viewdef(oid) END FROM pg_class
        WHERE relnamespace = 'subledger_read'::regnamespace ORDER BY 1";
    sqlx::query_as(sql).fetch_all(connection).await.unwrap()
}

/// The bytes of the read models' tables and indexes.
pub(super) fn read_model_bytes(folder: &Path) -> u64 {
    let sql = "SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
        WHERE relkind = 'r' AND relname <> 'generations'
            AND relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = 'subledger_read')";
    crate::cluster::psql(folder, sql).parse().unwrap()
}
