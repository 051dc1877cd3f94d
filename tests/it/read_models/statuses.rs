//! Read model of these tests: how many subscriptions of a customer, and of an account and mode, have each status.

use std::collections::BTreeMap;

use subledger::projection::column::{Column, ColumnType, Value};
use subledger::projection::current_subscriptions::CurrentSubscriptions;
use subledger::projection::read_model::{
    Customer, Definition, Projection, Projections, Row, RowsFrom, Rules, Table,
};
use subledger::projection::user_access::AccessOfUsers;

/// Read models of the program, and that of these tests.
pub(super) static WITH_STATUSES: Projections = &[&CurrentSubscriptions, &AccessOfUsers, &Statuses];
/// The same, where the rows of some customers cannot be made.
pub(super) static WITH_FAILING: Projections = &[&CurrentSubscriptions, &AccessOfUsers, &Failing];

const SQLITE: &str = "
CREATE TABLE customer_statuses_g{g} (
    account       TEXT    NOT NULL,
    livemode      INTEGER NOT NULL,
    customer_id   TEXT    NOT NULL,
    status        TEXT    NOT NULL,
    subscriptions INTEGER NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, status)
);
CREATE TABLE statuses_g{g} (
    account       TEXT    NOT NULL,
    livemode      INTEGER NOT NULL,
    status        TEXT    NOT NULL,
    subscriptions INTEGER NOT NULL,
    PRIMARY KEY (account, livemode, status)
);
CREATE INDEX IF NOT EXISTS customer_statuses_g{g}_by_status ON customer_statuses_g{g} (account, livemode, status, customer_id);
";

const POSTGRES: &str = r#"
CREATE TABLE customer_statuses_g{g} (
    account       text COLLATE "C" NOT NULL,
    livemode      boolean NOT NULL,
    customer_id   text COLLATE "C" NOT NULL,
    status        text COLLATE "C" NOT NULL,
    subscriptions bigint NOT NULL,
    PRIMARY KEY (account, livemode, customer_id, status)
);
CREATE TABLE statuses_g{g} (
    account       text COLLATE "C" NOT NULL,
    livemode      boolean NOT NULL,
    status        text COLLATE "C" NOT NULL,
    subscriptions bigint NOT NULL,
    PRIMARY KEY (account, livemode, status)
);
CREATE INDEX IF NOT EXISTS customer_statuses_g{g}_by_status ON customer_statuses_g{g} (account, livemode, status, customer_id);
"#;

const ACCOUNT: Column = Column::new("account", ColumnType::Text);
const LIVEMODE: Column = Column::new("livemode", ColumnType::Bool);
const CUSTOMER: Column = Column::new("customer_id", ColumnType::Text);
const STATUS: Column = Column::new("status", ColumnType::Text);
const COUNT: Column = Column::new("subscriptions", ColumnType::Integer);

static TABLES: [Table; 2] = [
    Table {
        name: "customer_statuses",
        columns: &[ACCOUNT, LIVEMODE, CUSTOMER, STATUS, COUNT],
        key: &["account", "livemode", "customer_id", "status"],
        rows: RowsFrom::CustomersReplaced,
    },
    Table {
        name: "statuses",
        columns: &[ACCOUNT, LIVEMODE, STATUS, COUNT],
        key: &["account", "livemode", "status"],
        rows: RowsFrom::Joined("customer_statuses"),
    },
];

#[derive(Debug)]
struct Statuses;

impl Projection for Statuses {
    fn name(&self) -> &'static str {
        "statuses"
    }

    fn version(&self) -> i64 {
        2
    }

    fn definition(&self) -> Definition {
        Definition { sqlite: SQLITE, postgres: POSTGRES, tables: &TABLES }
    }

    /// No rule changes a status.
    fn rules(&self) -> Rules {
        Rules::default()
    }

    fn make(&self, customer: &Customer<'_>, to: &mut [Vec<Row>]) -> Result<(), String> {
        let mut counts = BTreeMap::<_, i64>::new();
        for row in customer.subscriptions() {
            *counts.entry(row.status.clone()).or_default() += 1;
        }
        to[0] = counts
            .into_iter()
            .map(|(status, count)| {
                vec![
                    Value::Text(customer.key.scope.account.to_string()),
                    Value::Bool(customer.key.scope.livemode),
                    Value::Text(customer.key.customer.to_string()),
                    Value::Text(status),
                    Value::Integer(count),
                ]
            })
            .collect();
        Ok(())
    }

    fn join(&self, _: &Table, rows: Vec<Row>) -> Result<Option<Row>, String> {
        let count = rows.iter().map(|row| match row[4] {
            Value::Integer(count) => Ok(count),
            _ => Err("no number".to_owned()),
        });
        let count = count.sum::<Result<_, _>>()?;
        let first = &rows[0];
        Ok(Some(vec![first[0].clone(), first[1].clone(), first[3].clone(), Value::Integer(count)]))
    }
}

/// Fails on customers with a cancelled subscription: by an error or, for those with a trial's end, by a panic.
#[derive(Debug)]
struct Failing;

impl Projection for Failing {
    fn name(&self) -> &'static str {
        Statuses.name()
    }

    fn version(&self) -> i64 {
        1
    }

    fn definition(&self) -> Definition {
        Statuses.definition()
    }

    fn rules(&self) -> Rules {
        Rules::ALL
    }

    fn make(&self, customer: &Customer<'_>, to: &mut [Vec<Row>]) -> Result<(), String> {
        let is_canceled = |it: &&_| status_of(it) == "canceled";
        if let Some(row) = customer.subscriptions().iter().find(is_canceled) {
            assert!(row.trial_end.is_none(), "a panic of this test");
            return Err("it has a cancelled subscription".to_owned());
        }
        Statuses.make(customer, to)
    }

    fn join(&self, table: &Table, rows: Vec<Row>) -> Result<Option<Row>, String> {
        Statuses.join(table, rows)
    }
}

fn status_of(row: &subledger::projection::row::SubscriptionRow) -> &str {
    &row.status
}
