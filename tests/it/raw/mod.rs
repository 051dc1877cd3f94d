//! Direct access to a ledger's database, as any other program has it.

mod postgres;
mod sqlite;

use std::path::Path;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::sqlite::{SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, Connection as _, FromRow};
use subledger::store::DatabaseUrl;

/// SQL that differs between the databases.
pub(crate) struct Dialect {
    /// Name of the database in the guides.
    pub(crate) name: &'static str,
    /// Keeps other processes from appending until it is rolled back.
    pub(crate) lock_log: &'static str,
    /// Keeps other processes from folding until it is rolled back.
    pub(crate) lock_read: &'static str,
    /// Suffix of `DROP TABLE` that also drops the table's views.
    pub(crate) cascade: &'static str,
    /// Literal of one byte that is no valid state.
    pub(crate) one_byte: &'static str,
    /// Makes the insertion of the event `evt_20` fail.
    pub(crate) fault_at_evt_20: &'static str,
    /// Removes that fault.
    pub(crate) no_fault: &'static str,
    /// Turns a log into one of a version before `signed_with`.
    pub(crate) without_signed_with: &'static str,
    /// Runs before the event that no index of ids is to hold.
    pub(crate) unindex_before: &'static str,
    /// Takes the event `evt_5` out of the index of ids, after it was appended.
    pub(crate) unindex_evt_5_after: &'static str,
    /// Findings of `verify` about that index.
    pub(crate) index_is_damaged: &'static [&'static str],
}

/// Connection to the log or to the read models.
pub(crate) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// Row that both databases can be read into.
pub(crate) trait Row:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Row for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{}

impl Connection {
    /// Dialect of this connection's database.
    pub(crate) fn dialect(&self) -> &'static Dialect {
        match self {
            Self::Sqlite(_) => &sqlite::DIALECT,
            Self::Postgres(_) => &postgres::DIALECT,
        }
    }

    /// Runs one or several statements.
    pub(crate) async fn run(&mut self, sql: &str) {
        self.try_run(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs one or several statements, which may fail.
    pub(crate) async fn try_run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
        match self {
            Self::Sqlite(connection) => sql.execute(connection).await.map(drop),
            Self::Postgres(connection) => sql.execute(connection).await.map(drop),
        }
    }

    /// All rows of a query.
    pub(crate) async fn rows<T: Row>(&mut self, sql: &str) -> Vec<T> {
        let query = AssertSqlSafe(sql.to_owned());
        let rows = match self {
            Self::Sqlite(connection) => sqlx::query_as(query).fetch_all(connection).await,
            Self::Postgres(connection) => sqlx::query_as(query).fetch_all(connection).await,
        };
        rows.unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// The only row of a query.
    pub(crate) async fn row<T: Row>(&mut self, sql: &str) -> T {
        let mut rows = self.rows(sql).await;
        assert_eq!(rows.len(), 1, "{sql}");
        rows.remove(0)
    }

    /// The only value of the only row of a query.
    pub(crate) async fn value<T>(&mut self, sql: &str) -> T
    where
        (T,): Row,
    {
        self.row::<(T,)>(sql).await.0
    }

    /// Closes the connection.
    pub(crate) async fn close(self) {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
        .unwrap();
    }

    /// Statements for each trigger of the log: its table, its name, and the SQL that creates and drops it.
    pub(crate) async fn guards(&mut self) -> Vec<[String; 4]> {
        match self {
            Self::Sqlite(connection) => sqlite::guards(connection).await,
            Self::Postgres(connection) => postgres::guards(connection).await,
        }
    }

    /// Takes away the triggers that protect the log, and returns the statements that restore them.
    pub(crate) async fn drop_guards(&mut self) -> Vec<String> {
        match self {
            Self::Sqlite(connection) => sqlite::drop_guards(connection).await,
            Self::Postgres(connection) => postgres::drop_guards(connection).await,
        }
    }

    /// Schema of the read models: names and definitions.
    pub(crate) async fn schema(&mut self) -> Vec<(String, Option<String>)> {
        match self {
            Self::Sqlite(connection) => sqlite::schema(connection).await,
            Self::Postgres(connection) => postgres::schema(connection).await,
        }
    }
}

/// Dialect of the database that the tests run on.
pub(crate) fn dialect() -> &'static Dialect {
    if crate::is_on_postgres() { &postgres::DIALECT } else { &sqlite::DIALECT }
}

/// Connects to the log.
pub(crate) async fn log(url: &DatabaseUrl) -> Connection {
    match url {
        DatabaseUrl::Sqlite(path) => file(path).await,
        DatabaseUrl::Postgres(_) => Connection::Postgres(postgres::log(url).await),
    }
}

/// Connects to the read models.
pub(crate) async fn read(url: &DatabaseUrl) -> Connection {
    match url {
        DatabaseUrl::Sqlite(_) => file(&url.read_path().unwrap()).await,
        DatabaseUrl::Postgres(_) => Connection::Postgres(postgres::read(url).await),
    }
}

/// Connects to a file of SQLite's.
pub(crate) async fn file(path: &Path) -> Connection {
    Connection::Sqlite(sqlite::file(path).await)
}

/// Puts the ledger that version 0.1.0 left into the database of a folder.
pub(crate) fn lay_out_0_1_0(folder: &Path) {
    if crate::is_on_postgres() {
        postgres::lay_out_0_1_0(folder);
    } else {
        sqlite::lay_out_0_1_0(folder);
    }
}

/// Bytes of the read models in the database of a folder.
pub(crate) fn read_model_bytes(folder: &Path) -> u64 {
    if crate::is_on_postgres() {
        postgres::read_model_bytes(folder)
    } else {
        sqlite::read_model_bytes(folder)
    }
}
