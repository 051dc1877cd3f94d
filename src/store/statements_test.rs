//! Every statement, prepared on the tables it is for, and the plans of those that run often.

use std::fmt::Write as _;

use sqlx::sqlite::SqliteConnection;
use sqlx::{
    AssertSqlSafe, Connection as _, Either, Executor as _, Row as _, SqlSafeStr as _,
    Statement as _,
};

use super::read_model::{self, GenerationLogic, SubscriptionFilter, SubscriptionKey};
use super::statements::with_rows;
use super::{
    Begun, DatabaseUrl, Opening, Store, append, checkpoint, log, redelivery, scan, sqlite, stretch,
};
use crate::clock::Clock;
use crate::ids::Scope;
use crate::projection::row::SubscriptionRow;
use crate::time::{ReceivedAt, StripeTime};

/// A ledger with one generation, and a bare connection to each file.
struct Databases {
    _directory: tempfile::TempDir,
    log: SqliteConnection,
    read: SqliteConnection,
}

async fn databases() -> Databases {
    let directory = tempfile::tempdir().unwrap();
    let url = DatabaseUrl::from_path(directory.path().join("ledger.db"));
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
    let connect =
        async |path| SqliteConnection::connect_with(&sqlite::options(path)).await.unwrap();
    let (log, read) = (connect(url.log_path()).await, connect(&url.read_path()).await);
    Databases { _directory: directory, log, read }
}

/// A template filled in: two rows, generation 1, all columns.
fn filled(name: &str, template: &str) -> String {
    let columns = match name {
        "KNOWN" | "AT" => 1,
        "STATES" | "NAMES" => 3,
        "STATE" | "LINK" | "PAIR" => 4,
        "TIMELINE" => 6,
        "PARK" | "CATALOGUE_ENTRY" => 8,
        "INSERT" => 15,
        "ROW" => SubscriptionRow::COLUMNS.len() - SubscriptionRow::JOINED.len(),
        _ => 0,
    };
    assert_eq!(columns > 0, template.contains("{rows}"), "{name}");
    let sql = match name {
        "SELECT" => select().replace("{conditions}", "TRUE"),
        "ROW" => read_model::fold::row_template(),
        "COUNTS" | "CHANGES" | "LEFT_OUT" => {
            let columns = SubscriptionRow::COLUMNS.iter();
            // Two stand for all.
            let columns: Vec<_> =
                columns.filter(|it| ["status", "entitled"].contains(&it.name)).copied().collect();
            let effect = read_model::Effect::Loses.condition();
            read_model::diff::filled(template, 1, 1, Some(1), &columns).replace("{effect}", effect)
        }
        _ => template.to_owned(),
    };
    with_rows(&sql, columns, 2).replace("{g}", "1")
}

/// How the subscriptions of a generation of this program are read.
fn select() -> String {
    read_model::shape::Shape::of_this_program(1).select().unwrap().to_owned()
}

/// Name, parameters, columns and text of each statement.
async fn catalogue(connection: &mut SqliteConnection, rooms: &[(&str, &[(&str, &str)])]) -> String {
    let mut text = String::new();
    for (room, statements) in rooms {
        for (name, template) in *statements {
            let sql = filled(name, template);
            let prepared = connection
                .prepare(AssertSqlSafe(sql.as_str()).into_sql_str())
                .await
                .unwrap_or_else(|error| panic!("{name}: {error}\n{sql}"));
            let parameters = match prepared.parameters() {
                Some(Either::Right(count)) => count,
                _ => 0,
            };
            let columns: Vec<_> = prepared.columns().iter().map(sqlx::Column::name).collect();
            let sql = template.split_whitespace().collect::<Vec<_>>().join(" ");
            writeln!(
                text,
                "{room}::{name}\n  {sql}\n  parameters: {parameters}\n  columns: {}\n",
                columns.join(", ")
            )
            .unwrap();
        }
    }
    text
}

fn assert_snapshot(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

#[tokio::test]
async fn every_statement_of_the_log_prepares() {
    let mut databases = databases().await;
    let rooms = [
        ("log", log::sql::CATALOGUE),
        ("append", append::sql::CATALOGUE),
        ("redelivery", redelivery::sql::CATALOGUE),
        ("scan", scan::sql::CATALOGUE),
        ("stretch", stretch::sql::CATALOGUE),
        ("checkpoint", checkpoint::sql::CATALOGUE),
    ];
    assert_snapshot("statements_log", &catalogue(&mut databases.log, &rooms).await);
}

#[tokio::test]
async fn every_statement_of_the_read_model_prepares() {
    let mut databases = databases().await;
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
    assert_snapshot("statements_read_model", &catalogue(&mut databases.read, &rooms).await);
}

#[tokio::test]
async fn the_table_has_the_columns_of_a_row_and_the_view_all_of_them_in_order() {
    let mut databases = databases().await;
    let mut columns = async |table: &str| -> Vec<(String, String, bool)> {
        let sql = format!("SELECT name, type, \"notnull\" FROM pragma_table_info('{table}')");
        sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut databases.read).await.unwrap()
    };
    let names = |columns: &[(String, String, bool)]| -> Vec<String> {
        columns.iter().map(|(name, ..)| name.clone()).collect()
    };
    let all: Vec<_> = SubscriptionRow::COLUMNS.iter().map(|it| it.name.to_owned()).collect();
    let stored: Vec<_> = SubscriptionRow::COLUMNS
        .iter()
        .filter(|it| !SubscriptionRow::JOINED.contains(&it.name))
        .collect();
    let table = columns("current_subscriptions_g1").await;
    assert_eq!(names(&table), stored.iter().map(|it| it.name).collect::<Vec<_>>());
    for (column, (name, sql_type, _)) in stored.iter().zip(&table) {
        use crate::projection::column::Kind;
        let expected = match column.kind {
            Kind::Bool | Kind::Integer => "INTEGER",
            Kind::Text | Kind::Instant | Kind::Json => "TEXT",
        };
        assert_eq!(sql_type, expected, "{name}");
    }
    assert_eq!(names(&columns("current_subscriptions").await), all);
}

/// The plan of a statement, one step a line.
async fn plan(connection: &mut SqliteConnection, sql: &str) -> String {
    let explained = format!("EXPLAIN QUERY PLAN {sql}");
    let rows = sqlx::query(AssertSqlSafe(explained)).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.get::<String, _>("detail") + "\n").collect()
}

#[tokio::test]
async fn no_statement_that_runs_often_walks_through_a_table() {
    let mut databases = databases().await;
    // Every read is of one account and mode, and goes on after what it has answered.
    let filter = |change: fn(&mut SubscriptionFilter)| {
        let scope = Scope::default();
        let mut filter = SubscriptionFilter {
            account: Some(scope.account.clone()),
            livemode: Some(scope.livemode),
            ..SubscriptionFilter::default()
        };
        change(&mut filter);
        let after = SubscriptionKey { scope, id: "sub_1".into() };
        let (conditions, _) = filter.to_sql(Some(&after), 10).unwrap();
        select().replace("{conditions}", &conditions)
    };
    let of_log = [
        ("KNOWN", append::sql::KNOWN.to_owned()),
        ("SCAN", scan::sql::SCAN.to_owned()),
        ("EVENT", scan::sql::EVENT.to_owned()),
        ("AT", scan::sql::AT.to_owned()),
        ("FIRST", redelivery::sql::FIRST.to_owned()),
        ("SCAN", redelivery::sql::SCAN.to_owned()),
    ];
    let of_read_model = [
        ("STATES", read_model::fold::sql::STATES.to_owned()),
        ("NAMES", read_model::fold::sql::NAMES.to_owned()),
        ("CHECKPOINT", read_model::fold::sql::CHECKPOINT.to_owned()),
        ("OF_CUSTOMER", read_model::timeline::sql::OF_CUSTOMER.to_owned()),
        ("OF_SUBSCRIPTION", read_model::timeline::sql::OF_SUBSCRIPTION.to_owned()),
        ("CUSTOMERS_OF_USER", read_model::timeline::sql::CUSTOMERS_OF_USER.to_owned()),
        ("CUSTOMER_EXISTS", read_model::subscriptions::sql::CUSTOMER_EXISTS.to_owned()),
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
        for (name, template) in statements {
            let name_of_template = if name.starts_with(char::is_lowercase) { "" } else { name };
            let sql = filled(name_of_template, template);
            let plan = plan(connection, &sql).await;
            assert!(!walks(&plan), "{name}:\n{plan}");
            writeln!(plans, "{name}\n{plan}").unwrap();
        }
    }
    assert_snapshot("statement_plans", &plans);
}

/// A comparison walks through both tables once, by design, and has to stream what it finds.
#[tokio::test]
async fn two_generations_are_compared_without_sorting() {
    let mut databases = databases().await;
    let mut plans = String::new();
    let statements =
        [("COUNTS", read_model::diff::sql::COUNTS), ("CHANGES", read_model::diff::sql::CHANGES)];
    for (name, template) in statements {
        let plan = plan(&mut databases.read, &filled(name, template)).await;
        assert!(!plan.contains("TEMP B-TREE FOR"), "{name}:\n{plan}");
        writeln!(plans, "{name}\n{plan}").unwrap();
    }
    assert_snapshot("statement_plans_diff", &plans);
}
