//! Bare connections to the databases of a ledger, to prepare and explain statements.

use std::path::Path;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{
    AssertSqlSafe, Connection as _, Either, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _, TypeInfo as _,
};

use super::cluster;
use crate::clock::Clock;
use crate::store::db::{self, Database, Dialect};
use crate::store::{BeginOutcome, DatabaseUrl, GenerationLogic, OpenMode, Store};
use crate::time::ReceivedAt;

/// Ledger with one generation, and a bare connection to each of its databases.
pub(super) struct Databases {
    _directory: tempfile::TempDir,
    pub(super) log: Bare,
    pub(super) read: Bare,
}

pub(super) enum Bare {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Parameters and columns of a prepared statement.
pub(super) struct Prepared {
    pub(super) parameters: Vec<String>,
    pub(super) columns: Vec<String>,
}

pub(super) async fn databases(dialect: Dialect) -> Databases {
    let directory = tempfile::tempdir().unwrap();
    let url = match dialect {
        Dialect::Sqlite => DatabaseUrl::from_path(directory.path().join("ledger.db")),
        Dialect::Postgres => DatabaseUrl::parse(&cluster::address(directory.path())).unwrap(),
    };
    let clock = Clock::fixed(ReceivedAt(1));
    let store = Store::open(&url, OpenMode::Create, clock).await.unwrap();
    let logic = GenerationLogic {
        fingerprint: String::new(),
        fold_version: 1,
        policy: String::new(),
        user_keys: String::new(),
    };
    let begun =
        store.read_model.generation_begin(None, &logic, "log", "me", ReceivedAt(1), 1).await;
    let BeginOutcome::Started(_, lease) = begun.unwrap() else {
        panic!("no other process builds one")
    };
    assert_eq!(lease.generation, 1);
    store.read_model.generation_complete(&lease, None).await.unwrap();
    let [log, read] = match &url {
        DatabaseUrl::Sqlite(path) => {
            let connect = async |path: &Path| {
                SqliteConnection::connect_with(&db::options(path)).await.unwrap()
            };
            let read_path = url.read_path().unwrap();
            [connect(path).await, connect(&read_path).await].map(Bare::Sqlite)
        }
        DatabaseUrl::Postgres(server) => {
            let connect = async |schema: &'static str| {
                let Database::Postgres(pool) = Database::for_server(server, schema).unwrap() else {
                    panic!("a server")
                };
                pool.acquire().await.unwrap().detach()
            };
            let log = connect(db::POSTGRES_LOG_SCHEMA).await;
            [log, connect(db::POSTGRES_READ_SCHEMA).await].map(Bare::Postgres)
        }
    };
    Databases { _directory: directory, log, read }
}

impl Bare {
    pub(super) async fn prepare(&mut self, name: &str, sql: &str) -> Prepared {
        fn failed(name: &str, sql: &str, error: &sqlx::Error) -> ! {
            panic!("{name}: {error}\n{sql}")
        }
        let text = AssertSqlSafe(sql).into_sql_str();
        match self {
            Self::Sqlite(connection) => {
                let prepared = connection.prepare(text).await;
                let prepared = prepared.unwrap_or_else(|error| failed(name, sql, &error));
                let Some(Either::Right(count)) = prepared.parameters() else {
                    return Prepared { parameters: Vec::new(), columns: names(prepared.columns()) };
                };
                let parameters = vec!["any".to_owned(); count];
                Prepared { parameters, columns: names(prepared.columns()) }
            }
            Self::Postgres(connection) => {
                let prepared = connection.prepare(text).await;
                let prepared = prepared.unwrap_or_else(|error| failed(name, sql, &error));
                let types = match prepared.parameters() {
                    Some(Either::Left(types)) => types,
                    _ => &[],
                };
                let parameters = types.iter().map(|it| it.name().to_owned()).collect();
                Prepared { parameters, columns: names(prepared.columns()) }
            }
        }
    }

    /// Plan of a statement, one step on each line.
    pub(super) async fn plan(&mut self, sql: &str) -> String {
        let types = self.prepare("to be explained", sql).await.parameters;
        match self {
            Self::Sqlite(connection) => {
                let explained = format!("EXPLAIN QUERY PLAN {sql}");
                let rows =
                    sqlx::query(AssertSqlSafe(explained)).fetch_all(connection).await.unwrap();
                rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
            }
            Self::Postgres(connection) => {
                let list = |items: Vec<String>| match &*items.join(", ") {
                    "" => String::new(),
                    items => format!(" ({items})"),
                };
                let nulls = list(vec!["NULL".to_owned(); types.len()]);
                let prepare = format!(
                    "SET plan_cache_mode = force_generic_plan;
                     PREPARE explained{} AS {sql}",
                    list(types)
                );
                connection.execute(AssertSqlSafe(prepare)).await.unwrap();
                let explain = format!("EXPLAIN (COSTS OFF) EXECUTE explained{nulls}");
                let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut *connection).await;
                connection.execute("DEALLOCATE explained").await.unwrap();
                rows.unwrap().iter().map(|row| row.get::<String, _>(0) + "\n").collect()
            }
        }
    }
}

fn names<C: sqlx::Column>(columns: &[C]) -> Vec<String> {
    columns.iter().map(|column| column.name().to_owned()).collect()
}
