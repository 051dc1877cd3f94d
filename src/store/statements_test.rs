//! Every statement, prepared on the tables it is for in the database it is for, and the plans of those
//! that run often.

use std::fmt::Write as _;
use std::path::Path;

use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{
    AssertSqlSafe, Connection as _, Either, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _, TypeInfo as _,
};

use super::db::{self, Column, Dialect, Statement, with_rows};
use super::read_model::{self, GenerationLogic, SubscriptionFilter};
use super::{
    Begun, DatabaseUrl, Opening, Store, append, checkpoint, log, redelivery, scan, stretch,
};
use crate::clock::Clock;
use crate::ids::Scope;
use crate::projection::column::Kind;
use crate::projection::row::SubscriptionRow;
use crate::time::{ReceivedAt, StripeTime};

#[path = "../../tests/it/cluster.rs"]
#[expect(dead_code, reason = "not all of it is for these tests")]
mod cluster;

const BOTH: [Dialect; 2] = [Dialect::Sqlite, Dialect::Postgres];

/// A ledger with one generation, and a bare connection to each half of it.
struct Databases {
    _directory: tempfile::TempDir,
    log: Bare,
    read: Bare,
}

enum Bare {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// What a database says of a statement.
struct Prepared {
    parameters: Vec<String>,
    columns: Vec<String>,
}

async fn databases(dialect: Dialect) -> Databases {
    let directory = tempfile::tempdir().unwrap();
    let url = match dialect {
        Dialect::Sqlite => DatabaseUrl::from_path(directory.path().join("ledger.db")),
        Dialect::Postgres => DatabaseUrl::parse(&cluster::address(directory.path())).unwrap(),
    };
    let clock = Clock::fixed(ReceivedAt(1));
    let store = Store::open(&url, Opening::Create, clock).await.unwrap();
    let logic = GenerationLogic {
        fingerprint: String::new(),
        fold_version: 1,
        policy: String::new(),
        user_keys: String::new(),
    };
    let begun = store.read_model.generation_begin(&logic, "log", "me", ReceivedAt(1), 1).await;
    let Begun::Begun(_, lease) = begun.unwrap() else { panic!("nobody else makes one") };
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
        DatabaseUrl::Postgres(address) => {
            let connect = async |schema: &'static str| {
                let pool = db::pool(address.as_str(), schema).unwrap();
                pool.acquire().await.unwrap().detach()
            };
            let log = connect(db::POSTGRES_LOG_SCHEMA).await;
            [log, connect(db::POSTGRES_READ_SCHEMA).await].map(Bare::Postgres)
        }
    };
    Databases { _directory: directory, log, read }
}

impl Bare {
    async fn prepare(&mut self, name: &str, sql: &str) -> Prepared {
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

    /// The plan of a statement, one step a line.
    async fn plan(&mut self, sql: &str) -> String {
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

/// A template filled in: two rows, generation 1, all columns.
fn filled(name: &str, template: Statement, dialect: Dialect) -> String {
    use Column::{Bool, Bytes, Integer, Text};
    let columns: &[Column] = match name {
        "AT" => &[Integer],
        "KNOWN" => &[Text],
        "STATES" | "NAMES" => &[Text, Bool, Text],
        "STATE" => &[Text, Bool, Text, Bytes],
        "LINK" | "PAIR" => &[Text, Bool, Text, Text],
        "TIMELINE" => &[Text, Bool, Text, Text, Integer, Integer],
        "CATALOGUE_ENTRY" => &[Text, Bool, Text, Text, Bool, Integer, Bool, Text],
        "PARK" => &[Integer, Text, Text, Bool, Text, Text, Text, Text],
        "INSERT" => &append::COLUMNS,
        _ => &[],
    };
    assert_eq!(!columns.is_empty(), template.of(dialect).contains("{rows}"), "{name}");
    let sql = match name {
        "SELECT" => select(dialect).replace("{conditions}", "TRUE"),
        "COUNTS" | "CHANGES" | "LEFT_OUT" => {
            let columns = SubscriptionRow::COLUMNS.iter();
            // Three stand for all.
            let columns: Vec<_> = columns
                .filter(|it| ["status", "entitled", "entitled_until"].contains(&it.name))
                .copied()
                .collect();
            let effect = read_model::Effect::Loses.condition();
            read_model::diff::filled(template, dialect, (1, 1), Some(1), &columns)
                .replace("{effect}", effect)
        }
        _ => template.of(dialect).to_owned(),
    };
    with_rows(&sql, dialect, columns, 2).replace("{g}", "1")
}

/// How the subscriptions of a generation of this program are read.
fn select(dialect: Dialect) -> String {
    read_model::shape::Shape::of_this_program(1, dialect).select().unwrap().to_owned()
}

/// Statements that hold several, which are sent as they are.
const NOT_PREPARED: [&str; 4] = ["SCHEMA", "MAKE_SCHEMA", "ALONE", "INDEXING"];

/// Name, parameters, columns and text of each statement.
async fn catalogue(
    connection: &mut Bare,
    dialect: Dialect,
    rooms: &[(&str, &[(&str, Statement)])],
) -> String {
    let mut text = String::new();
    for (room, statements) in rooms {
        for (name, template) in *statements {
            if template.of(dialect).is_empty() {
                continue;
            }
            let sql = filled(name, *template, dialect);
            let prepared =
                if dialect == Dialect::Postgres && NOT_PREPARED.contains(name) && sql.contains(';')
                {
                    Prepared { parameters: Vec::new(), columns: Vec::new() }
                } else {
                    connection.prepare(name, &sql).await
                };
            let sql = template.of(dialect).split_whitespace().collect::<Vec<_>>().join(" ");
            let parameters = match dialect {
                Dialect::Sqlite => prepared.parameters.len().to_string(),
                Dialect::Postgres => prepared.parameters.join(", "),
            };
            let columns = prepared.columns.join(", ");
            writeln!(
                text,
                "{room}::{name}\n  {sql}\n  parameters: {parameters}\n  columns: {columns}\n",
            )
            .unwrap();
        }
    }
    text
}

fn assert_snapshot(name: &str, dialect: Dialect, text: &str) {
    let name = match dialect {
        Dialect::Sqlite => name.to_owned(),
        Dialect::Postgres => format!("{name}_postgres"),
    };
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test]
async fn every_statement_of_the_log_prepares() {
    for dialect in BOTH {
        let mut databases = databases(dialect).await;
        let rooms = [
            ("db", db::sql::CATALOGUE),
            ("log", log::sql::CATALOGUE),
            ("append::sqlite", append::sqlite::sql::CATALOGUE),
            ("append::postgres", append::postgres::sql::CATALOGUE),
            ("redelivery", redelivery::sql::CATALOGUE),
            ("scan", scan::sql::CATALOGUE),
            ("stretch", stretch::sql::CATALOGUE),
            ("checkpoint", checkpoint::sql::CATALOGUE),
        ];
        let text = catalogue(&mut databases.log, dialect, &rooms).await;
        assert_snapshot("statements_log", dialect, &text);
    }
}

#[tokio::test]
async fn every_statement_of_the_read_model_prepares() {
    for dialect in BOTH {
        let mut databases = databases(dialect).await;
        let rooms = [
            ("read_model", read_model::sql::CATALOGUE),
            ("generation", read_model::generation::sql::CATALOGUE),
            ("shape", read_model::shape::sql::CATALOGUE),
            ("swap", read_model::swap::sql::CATALOGUE),
            ("space", read_model::space::sql::CATALOGUE),
            ("lease", read_model::lease::sql::CATALOGUE),
            ("fold", read_model::fold::sql::CATALOGUE),
            ("subscriptions", read_model::subscriptions::sql::CATALOGUE),
            ("diff", read_model::diff::sql::CATALOGUE),
            ("timeline", read_model::timeline::sql::CATALOGUE),
        ];
        let text = catalogue(&mut databases.read, dialect, &rooms).await;
        assert_snapshot("statements_read_model", dialect, &text);
        let row = with_rows(
            &read_model::fold::row_template(),
            dialect,
            &read_model::fold::row_columns(),
            2,
        );
        databases.read.prepare("ROW", &row.replace("{g}", "1")).await;
    }
}

#[tokio::test]
async fn the_table_has_the_columns_of_a_row_and_the_view_all_of_them_in_order() {
    for dialect in BOTH {
        let mut databases = databases(dialect).await;
        let mut columns = async |table: &str| {
            let sql = format!("SELECT * FROM {table}");
            databases.read.prepare(table, &sql).await.columns
        };
        let all: Vec<_> = SubscriptionRow::COLUMNS.iter().map(|it| it.name.to_owned()).collect();
        let is_stored = |it: &&String| !SubscriptionRow::JOINED.contains(&it.as_str());
        let stored: Vec<_> = all.iter().filter(is_stored).cloned().collect();
        assert_eq!(columns("current_subscriptions_g1").await, stored);
        assert_eq!(columns("current_subscriptions").await, all);
    }
}

#[tokio::test]
async fn no_statement_that_runs_often_walks_through_a_table() {
    for dialect in BOTH {
        let plans = plans_of_what_runs_often(dialect).await;
        assert_snapshot("statement_plans", dialect, &plans);
    }
}

/// Rows by the thousand, because PostgreSQL plans by what it finds.
async fn fill(databases: &mut Databases) {
    let (Bare::Postgres(log), Bare::Postgres(read)) = (&mut databases.log, &mut databases.read)
    else {
        return;
    };
    log.execute(
        "INSERT INTO events SELECT i, 'evt_' || i, '', TRUE, 'customer.updated', NULL, i, 0, i, 'webhook', NULL, '', '', '',
            repeat('x', 100) FROM generate_series(1, 20000) AS i;
         INSERT INTO redeliveries SELECT i, '', NULL, i, i, 1, NULL FROM generate_series(1, 5000) AS i;
         ANALYZE events; ANALYZE redeliveries",
    )
    .await
    .unwrap();
    let columns = SubscriptionRow::COLUMNS.iter();
    let stored = columns.filter(|it| !SubscriptionRow::JOINED.contains(&it.name));
    let values: Vec<_> = stored
        .map(|column| match (column.name, column.kind) {
            ("account", _) => "''",
            ("subscription_id", _) => "'sub_' || i",
            ("customer_id", _) => "'cus_' || i",
            ("user_id", _) => "'user_' || i",
            ("price_id", _) => "'price_' || i % 20",
            (_, Kind::Text) => "'text'",
            (_, Kind::Bool) => "TRUE",
            (_, Kind::Integer) => "i",
            (_, Kind::Instant) => "to_timestamp(i)",
            (_, Kind::Json) => "'[]'",
        })
        .collect();
    let rows = format!(
        "INSERT INTO current_subscriptions_g1 SELECT {} FROM generate_series(1, 5000) AS i;
         INSERT INTO customers_g1 SELECT '', TRUE, 'cus_' || i, '' FROM generate_series(1, 5000) AS i;
         INSERT INTO timeline_g1 SELECT '', TRUE, 'cus_' || i % 5000, 'sub_' || i % 5000, i, i
            FROM generate_series(1, 20000) AS i;
         INSERT INTO subscription_customers_g1 SELECT '', TRUE, 'sub_' || i, 'cus_' || i FROM generate_series(1, 5000) AS i;
         INSERT INTO links_g1 SELECT '', TRUE, 'in_' || i, 'cus_' || i % 5000 FROM generate_series(1, 20000) AS i;
         INSERT INTO catalogue_g1 SELECT '', TRUE, 'prod_' || i, 'name', FALSE, i, FALSE, '' FROM generate_series(1, 3000) AS i;
         INSERT INTO parked_g1 SELECT i, 'evt_' || i, '', TRUE, 'cus_' || i, 'sub_' || i, 'x', 'y' FROM generate_series(1, 2000) AS i;
         INSERT INTO generations (id, status, fingerprint, fold_version, policy, user_keys, log_id, created_at)
            SELECT i, 'previous', '', 1, '', '', '', 0 FROM generate_series(2, 300) AS i;
         ANALYZE",
        values.join(", ")
    );
    read.execute(AssertSqlSafe(rows)).await.unwrap();
}

async fn plans_of_what_runs_often(dialect: Dialect) -> String {
    let mut databases = databases(dialect).await;
    fill(&mut databases).await;
    // Every read is of one account and mode, and goes on after what it has answered.
    let filter = |change: fn(&mut SubscriptionFilter)| {
        let scope = Scope::default();
        let mut filter = SubscriptionFilter {
            account: Some(scope.account.clone()),
            livemode: Some(scope.livemode),
            ..SubscriptionFilter::default()
        };
        change(&mut filter);
        select(dialect).replace("{conditions}", &filter.conditions(dialect, true))
    };
    let known = match dialect {
        Dialect::Sqlite => append::sqlite::sql::KNOWN,
        Dialect::Postgres => append::postgres::sql::KNOWN,
    };
    let of = |name, statement| (name, filled(name, statement, dialect));
    let of_log = [
        of("KNOWN", known),
        of("SCAN", scan::sql::SCAN),
        of("EVENT", scan::sql::EVENT),
        of("AT", scan::sql::AT),
        of("STRETCH", stretch::sql::STRETCH),
        of("FIRST", redelivery::sql::FIRST),
        of("SCAN", redelivery::sql::SCAN),
    ];
    let of_read_model = [
        of("STATES", read_model::fold::sql::STATES),
        of("NAMES", read_model::fold::sql::NAMES),
        of("CHECKPOINT", read_model::fold::sql::CHECKPOINT),
        of("OF_CUSTOMER", read_model::timeline::sql::OF_CUSTOMER),
        of("OF_SUBSCRIPTION", read_model::timeline::sql::OF_SUBSCRIPTION),
        of("CUSTOMERS_OF_USER", read_model::timeline::sql::CUSTOMERS_OF_USER),
        of("CUSTOMER_EXISTS", read_model::subscriptions::sql::CUSTOMER_EXISTS),
        ("all", filter(|_| {})),
        ("by user", filter(|it| it.user_id = Some("1".to_owned()))),
        ("by id", filter(|it| it.subscription_id = Some("sub_1".into()))),
        ("by customer", filter(|it| it.customer_id = Some("cus_1".into()))),
        ("by price", filter(|it| it.price_id = Some("price_1".to_owned()))),
        (
            "active",
            filter(|it| {
                it.user_id = Some("1".to_owned());
                it.active = Some((true, StripeTime(0)));
            }),
        ),
    ];
    // Bound rows, the items of one row and a customer's own links are not tables.
    let walks = |plan: &str| {
        plan.lines().any(|line| {
            if dialect == Dialect::Postgres {
                return line.contains("Seq Scan");
            }
            line.starts_with("SCAN")
                && ![
                    "CONSTANT ROW",
                    "VALUES CLAUSE",
                    "SCAN k",
                    "SCAN item",
                    "SCAN own",
                    "USING INDEX",
                ]
                .iter()
                .any(|it| line.contains(it))
        })
    };
    let mut plans = String::new();
    for (connection, statements) in
        [(&mut databases.log, &of_log[..]), (&mut databases.read, &of_read_model[..])]
    {
        for (name, sql) in statements {
            let plan = connection.plan(sql).await;
            assert!(!walks(&plan), "{name}:\n{plan}");
            writeln!(plans, "{name}\n{plan}").unwrap();
        }
    }
    plans
}

/// A comparison walks through both tables once, by design, and has to stream what it finds.
#[tokio::test]
async fn two_generations_are_compared_without_sorting() {
    let mut databases = databases(Dialect::Sqlite).await;
    let mut plans = String::new();
    let statements =
        [("COUNTS", read_model::diff::sql::COUNTS), ("CHANGES", read_model::diff::sql::CHANGES)];
    for (name, template) in statements {
        let plan = databases.read.plan(&filled(name, template, Dialect::Sqlite)).await;
        assert!(!plan.contains("TEMP B-TREE FOR"), "{name}:\n{plan}");
        writeln!(plans, "{name}\n{plan}").unwrap();
    }
    assert_snapshot("statement_plans_diff", Dialect::Sqlite, &plans);
}
