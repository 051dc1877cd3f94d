//! Tests that prepare every statement on its database, and check the plans of the frequent ones.

mod bare;
mod sample;
mod tables;

use std::fmt::Write as _;

use self::bare::{Bare, Prepared, databases};
use self::sample::fill;
use self::tables::statements_of_tables;
use super::db::{self, Dialect, Statement, with_rows};
use super::read_model::filter::{LeadingTable, Parameters};
use super::read_model::{
    self, AccessHolder, AccessKey, AccessQuestion, GenerationTables, ItemFilter,
    SubscriptionFilter, SubscriptionKey,
};
use super::{
    append, backfill_progress, backup, coverage, erase, inspect, leases, log, log_chunk, lookup,
    nodes, redelivery, scan, sync_state, thin_events, unfetched_thin, wal_checkpoint,
};
use crate::ids::Scope;
use crate::projection::read_model::PROJECTIONS;
use crate::projection::row::SubscriptionRow;
use crate::time::StripeTime;

#[path = "../../tests/it/cluster.rs"]
#[expect(dead_code, reason = "these tests use only a part of it")]
mod cluster;

const BOTH: [Dialect; 2] = [Dialect::Sqlite, Dialect::Postgres];

/// Tables of the first generation, and of the fold layer that it began.
const TABLES: GenerationTables = GenerationTables::own(&[], 1, Some(1));

/// Fills a template with two rows, generation 1 and all columns.
fn fill_template(name: &str, template: Statement, dialect: Dialect) -> String {
    let columns = template.columns;
    assert_eq!(!columns.is_empty(), template.text(dialect).contains("{rows}"), "{name}");
    let sql = match name {
        "SELECT" => select(dialect, LeadingTable::Subscriptions).replace("{conditions}", "TRUE"),
        "SELECT_BY_ITEMS" => {
            select(dialect, LeadingTable::ItemProperties).replace("{conditions}", "TRUE")
        }
        "ACCESS_ROWS" => access_rows(dialect, "user_id"),
        "COUNT_TABLE" | "COUNT_INDEX" | "LIKE" | "DROP" => {
            inspect::integrity::fill(template.text(dialect), "events", "position")
                .replace("{trigger}", "events_are_kept")
        }
        "COUNTS" | "CHANGES" | "LEFT_OUT" if columns.is_empty() => {
            let columns = SubscriptionRow::COLUMNS.iter();
            // Three columns are enough.
            let columns: Vec<_> = columns
                .filter(|it| ["status", "entitled", "entitled_until"].contains(&it.name))
                .copied()
                .collect();
            let effect = read_model::AccessEffect::Loses.condition();
            read_model::diff_sql::fill_template(
                template,
                dialect,
                (TABLES, TABLES),
                Some(TABLES),
                &columns,
            )
            .replace("{effect}", effect)
        }
        _ => template.text(dialect).to_owned(),
    };
    TABLES.fill(&with_rows(&sql, dialect, columns, 2))
}

/// Statement that reads the subscriptions of a generation of this program.
fn select(dialect: Dialect, leading: LeadingTable) -> String {
    let schema = read_model::schema::GenerationSchema::current(TABLES, dialect);
    schema.select_stamped(leading).unwrap().text.clone()
}

/// Statement that reads the rows of users or customers. Four columns are enough.
fn access_rows(dialect: Dialect, holder: &str) -> String {
    let columns = "subscription_id, customer_id, user_id, entitled";
    let template = read_model::user_access::sql::ACCESS_ROWS.text(dialect);
    template.replace("{columns}", columns).replace("{holder}", holder)
}

/// Texts that have several statements, or are filled when they are sent.
const NOT_PREPARED: [&str; 7] = [
    "SCHEMA",
    "SCHEMA_CREATE",
    "BEGIN_EXCLUSIVE",
    "BEGIN_DURABLE",
    "CHECK_INDEX",
    "ALONG_THE_TABLE",
    "ALONG_AN_INDEX",
];

/// Name, parameters, columns and text of each statement.
async fn catalogue(
    connection: &mut Bare,
    dialect: Dialect,
    modules: &[(&str, &[(&str, Statement)])],
) -> String {
    let mut text = String::new();
    for (module, statements) in modules {
        for (name, template) in *statements {
            if template.text(dialect).is_empty() {
                continue;
            }
            let sql = fill_template(name, *template, dialect);
            let prepared = if dialect == Dialect::Postgres
                && NOT_PREPARED.contains(name)
                && sql.contains([';', '{'])
            {
                Prepared { parameters: Vec::new(), columns: Vec::new() }
            } else {
                connection.prepare(name, &sql).await
            };
            let sql = template.text(dialect).split_whitespace().collect::<Vec<_>>().join(" ");
            let parameters = match dialect {
                Dialect::Sqlite => prepared.parameters.len().to_string(),
                Dialect::Postgres => prepared.parameters.join(", "),
            };
            let columns = prepared.columns.join(", ");
            writeln!(
                text,
                "{module}::{name}\n  {sql}\n  parameters: {parameters}\n  columns: {columns}\n",
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
        let modules = [
            ("db", db::sql::CATALOGUE),
            ("read_only", db::READ_ONLY_CATALOGUE),
            ("rewrite", db::REWRITE_CATALOGUE),
            ("migrate", db::MIGRATE_CATALOGUE),
            ("log", log::sql::CATALOGUE),
            ("append::sqlite", append::sqlite::sql::CATALOGUE),
            ("append::postgres", append::postgres::sql::CATALOGUE),
            ("backfill_progress", backfill_progress::sql::CATALOGUE),
            ("coverage", coverage::sql::CATALOGUE),
            ("sync_state", sync_state::sql::CATALOGUE),
            ("unfetched_thin", unfetched_thin::sql::CATALOGUE),
            ("thin_events", thin_events::sql::CATALOGUE),
            ("leases", leases::sql::CATALOGUE),
            ("backup", backup::sql::CATALOGUE),
            ("nodes", nodes::sql::CATALOGUE),
            ("redelivery", redelivery::sql::CATALOGUE),
            ("erase", erase::sql::CATALOGUE),
            ("scan", scan::sql::CATALOGUE),
            ("lookup", lookup::sql::CATALOGUE),
            ("log_chunk::bodies", log_chunk::bodies::sql::CATALOGUE),
            ("log_chunk::event_chunk", log_chunk::event_chunk::sql::CATALOGUE),
            ("log_chunk::record_chunk", log_chunk::record_chunk::sql::CATALOGUE),
            ("wal_checkpoint", wal_checkpoint::sql::CATALOGUE),
            ("inspect::integrity", inspect::integrity::sql::CATALOGUE),
            ("inspect::guards", inspect::guards::sql::CATALOGUE),
        ];
        let text = catalogue(&mut databases.log, dialect, &modules).await;
        assert_snapshot("statements_log", dialect, &text);
    }
}

#[tokio::test]
async fn every_statement_of_the_read_model_prepares() {
    for dialect in BOTH {
        let mut databases = databases(dialect).await;
        let modules = [
            ("open", read_model::open::sql::CATALOGUE),
            ("generation", read_model::generation::sql::CATALOGUE),
            ("begin", read_model::begin::sql::CATALOGUE),
            ("layer", read_model::layer::sql::CATALOGUE),
            ("schema", read_model::schema::sql::CATALOGUE),
            ("swap", read_model::swap::sql::CATALOGUE),
            ("reclaim", read_model::reclaim::sql::CATALOGUE),
            ("lease", read_model::lease::sql::CATALOGUE),
            ("fold", read_model::fold::sql::CATALOGUE),
            ("catalogue", read_model::catalogue::sql::CATALOGUE),
            ("parked_customers", read_model::parked_customers::sql::CATALOGUE),
            ("select", read_model::select::sql::CATALOGUE),
            ("subscriptions", read_model::subscriptions::sql::CATALOGUE),
            ("diff_sql", read_model::diff_sql::sql::CATALOGUE),
            ("timeline", read_model::timeline::sql::CATALOGUE),
            ("user_access", read_model::user_access::sql::CATALOGUE),
        ];
        let text = catalogue(&mut databases.read, dialect, &modules).await;
        assert_snapshot("statements_read_model", dialect, &text);
        for table in PROJECTIONS.iter().flat_map(|it| it.definition().tables) {
            let sql = read_model::diff_sql::count_template(table, (1, 1));
            databases.read.prepare("COUNT_ROWS", &sql).await;
        }
        for (name, sql) in statements_of_tables(dialect) {
            databases.read.prepare(&name, &sql).await;
        }
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

/// Frequent statements of the read model.
fn read_model_statements<'a>(dialect: Dialect) -> Vec<(&'a str, String)> {
    // Every read has one account and mode, and continues after a key.
    let filter = |change: fn(&mut SubscriptionFilter)| {
        let scope = Scope::default();
        let after = SubscriptionKey { scope: scope.clone(), id: "sub_1".into() };
        let mut filter = SubscriptionFilter {
            account: Some(scope.account.clone()),
            livemode: Some(scope.livemode),
            ..SubscriptionFilter::default()
        };
        change(&mut filter);
        let leading = filter.leading_table();
        let conditions = filter.conditions(leading, Some(&after), &mut Parameters::new(dialect, 1));
        select(dialect, leading).replace("{conditions}", &conditions)
    };
    let access = |holder, item| {
        let after = AccessKey { entitled: true, id: "sub_1".into() };
        let question = AccessQuestion { scope: Scope::default(), holder, item };
        let schema = read_model::schema::GenerationSchema::current(TABLES, dialect);
        let mut parameters = Parameters::new(dialect, 1);
        question.fill(schema.access().unwrap(), Some(&after), &mut parameters)
    };
    let of_user = || AccessHolder::User("1".to_owned());
    let price = || ItemFilter { price_id: Some("price_1".to_owned()), ..ItemFilter::default() };
    let of = |name, statement| (name, fill_template(name, statement, dialect));
    let access_of = |holder| {
        let columns = read_model::user_access::sql::ACCESS_ROWS.columns;
        with_rows(&access_rows(dialect, holder), dialect, columns, 2).replace("{g}", "1")
    };
    vec![
        of("STATES", read_model::fold::sql::STATES),
        of("NAMES", read_model::catalogue::sql::NAMES),
        of("ADVANCE", read_model::fold::sql::ADVANCE),
        of("STATES_AFTER", read_model::layer::sql::STATES_AFTER),
        of("ACCESS_OF", read_model::user_access::sql::ACCESS_OF),
        of("OF_CUSTOMER", read_model::timeline::sql::OF_CUSTOMER),
        of("OF_SUBSCRIPTION", read_model::timeline::sql::OF_SUBSCRIPTION),
        of("CUSTOMERS_OF_USER", read_model::timeline::sql::CUSTOMERS_OF_USER),
        of("CUSTOMER_EXISTS", read_model::subscriptions::sql::CUSTOMER_EXISTS),
        ("access of users", access_of("user_id")),
        ("access of customers", access_of("customer_id")),
        ("all", filter(|_| {})),
        ("by user", filter(|it| it.user_id = Some("1".to_owned()))),
        ("by id", filter(|it| it.subscription_id = Some("sub_1".into()))),
        ("by customer", filter(|it| it.customer_id = Some("cus_1".into()))),
        ("by price", filter(|it| it.item.price_id = Some("price_1".to_owned()))),
        (
            "by user and price",
            filter(|it| {
                it.user_id = Some("1".to_owned());
                it.item.price_id = Some("price_1".to_owned());
            }),
        ),
        (
            "active",
            filter(|it| {
                it.user_id = Some("1".to_owned());
                it.active = Some((true, StripeTime(0)));
            }),
        ),
        ("access of a user", access(of_user(), ItemFilter::default())),
        ("access of a user to a price", access(of_user(), price())),
        (
            "access of a customer",
            access(AccessHolder::Customer("cus_1".into()), ItemFilter::default()),
        ),
    ]
}

async fn plans_of_what_runs_often(dialect: Dialect) -> String {
    let mut databases = databases(dialect).await;
    fill(&mut databases).await;
    let known = match dialect {
        Dialect::Sqlite => append::sqlite::sql::KNOWN,
        Dialect::Postgres => append::postgres::sql::KNOWN,
    };
    let of = |name, statement| (name, fill_template(name, statement, dialect));
    let of_log = [
        of("KNOWN", known),
        of("SCAN", scan::sql::SCAN),
        of("EVENT", lookup::sql::EVENT),
        of("KNOWN", lookup::sql::KNOWN),
        of("AT", lookup::sql::AT),
        of("HEADERS", lookup::sql::HEADERS),
        of("CHUNK", log_chunk::event_chunk::sql::CHUNK),
        of("RECORDS", log_chunk::record_chunk::sql::RECORDS),
        of("LEAVES", nodes::sql::LEAVES),
        of("NODES", nodes::sql::NODES),
        of("FIRST", redelivery::sql::FIRST),
        of("SCAN", redelivery::sql::SCAN),
        of("COUNTS", redelivery::sql::COUNTS),
        of("FIND", thin_events::sql::FIND),
        of("WAITING", thin_events::sql::WAITING),
        of("COUNT_WAITING", thin_events::sql::COUNT_WAITING),
        of("AT", thin_events::sql::AT),
        of("FETCHED_AT", thin_events::sql::FETCHED_AT),
        of("NOT_FETCHED", thin_events::sql::NOT_FETCHED),
    ];
    let of_tables = statements_of_tables(dialect);
    let of_tables = of_tables.iter().filter(|(name, _)| !name.starts_with("write"));
    let mut of_read_model = read_model_statements(dialect);
    of_read_model.extend(of_tables.map(|(name, sql)| (name.as_str(), sql.clone())));
    // Bound rows, the items of one row, the links of one customer and a page are not tables, and there are only a few
    // generations.
    let walks = |plan: &str| {
        plan.lines().any(|line| {
            if dialect == Dialect::Postgres {
                return line.contains("Seq Scan") && !line.contains("on generations g");
            }
            line.starts_with("SCAN")
                && ![
                    "CONSTANT ROW",
                    "VALUES CLAUSE",
                    "SCAN k",
                    "SCAN item",
                    "SCAN own",
                    "SCAN page",
                    "SCAN g",
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

/// A comparison scans both tables once, and must stream its result.
#[tokio::test]
async fn two_generations_are_compared_without_sorting() {
    let mut databases = databases(Dialect::Sqlite).await;
    let mut plans = String::new();
    let statements = [
        ("COUNTS", read_model::diff_sql::sql::COUNTS),
        ("CHANGES", read_model::diff_sql::sql::CHANGES),
    ];
    for (name, template) in statements {
        let plan = databases.read.plan(&fill_template(name, template, Dialect::Sqlite)).await;
        assert!(!plan.contains("TEMP B-TREE FOR"), "{name}:\n{plan}");
        writeln!(plans, "{name}\n{plan}").unwrap();
    }
    assert_snapshot("statement_plans_diff", Dialect::Sqlite, &plans);
}
