//! Read model `user_access`: a row for each user of the application, joined from what each of their customers adds.

use super::decision::Decision;
use super::{UserAccess, stored};
use crate::ids::CustomerKey;
use crate::projection::column::{Cell as _, Column, ColumnType, Value};
use crate::projection::read_model::{
    Customer, Definition, Projection, Row, RowsFrom, Rules, Table,
};
use crate::projection::row::SubscriptionRow;

/// Projection of `user_access`.
#[derive(Clone, Copy, Debug)]
pub struct AccessOfUsers;

/// Parts of access: one for each customer and user. The user is '' for the subscriptions without one.
static PARTS: [Column; 5] = [
    Column::new("account", ColumnType::Text),
    Column::new("livemode", ColumnType::Bool),
    Column::new("customer_id", ColumnType::Text),
    Column::new("user_id", ColumnType::Text),
    Column::new("access", ColumnType::Text),
];

/// Access of each user, joined from the parts.
static USERS: [Column; 13] = [
    Column::new("account", ColumnType::Text),
    Column::new("livemode", ColumnType::Bool),
    Column::new("user_id", ColumnType::Text),
    Column::new("entitled", ColumnType::Bool),
    Column::new("entitled_until", ColumnType::Instant),
    Column::new("paid_until", ColumnType::Instant),
    Column::new("reason", ColumnType::Text),
    Column::new("renews_at", ColumnType::Instant),
    Column::new("since", ColumnType::Instant),
    Column::new("subscription_id", ColumnType::Text),
    Column::new("customer_id", ColumnType::Text),
    Column::new("subscriptions", ColumnType::Integer),
    Column::new("access", ColumnType::Text),
];

static TABLES: [Table; 2] = [
    Table {
        name: "user_access_parts",
        columns: &PARTS,
        key: &["account", "livemode", "customer_id", "user_id"],
        rows: RowsFrom::CustomersReplaced,
    },
    Table {
        name: "user_access",
        columns: &USERS,
        key: &["account", "livemode", "user_id"],
        rows: RowsFrom::Joined("user_access_parts"),
    },
];

impl Projection for AccessOfUsers {
    fn name(&self) -> &'static str {
        "user_access"
    }

    fn version(&self) -> i64 {
        1
    }

    fn definition(&self) -> Definition {
        Definition {
            sqlite: include_str!("../../../projections/user_access/sqlite.sql"),
            postgres: include_str!("../../../projections/user_access/postgres.sql"),
            tables: &TABLES,
        }
    }

    fn rules(&self) -> Rules {
        Rules::ALL
    }

    fn make(&self, customer: &Customer<'_>, to: &mut [Vec<Row>]) -> Result<(), String> {
        let [parts, _] = to else { return Err("two tables".to_owned()) };
        *parts = part_rows(customer.key, customer.subscriptions())?;
        Ok(())
    }

    fn join(&self, _: &Table, parts: Vec<Row>) -> Result<Option<Row>, String> {
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or("a join of nothing")?;
        let [account, livemode, _, user, Value::Text(text)] = &first[..] else {
            return Err("a part has other columns".to_owned());
        };
        let mut access = stored::decode(text)?;
        let mut text = Some(text.clone());
        for part in parts {
            let Some(Value::Text(other)) = part.last() else {
                return Err("a part has other columns".to_owned());
            };
            access = access.join(stored::decode(other)?);
            text = None;
        }
        // Equal accesses have equal stored forms, so one part alone is stored as it is.
        let text = match text {
            Some(text) => text,
            None => stored::encode(&access)?,
        };
        let Some(decision) = access.decision() else { return Ok(None) };
        let Decision { entitled, until, renews_at, since, .. } = decision;
        Ok(Some(vec![
            account.clone(),
            livemode.clone(),
            user.clone(),
            entitled.to_value(),
            until.to_value(),
            access.paid_until().to_value(),
            Value::Text(decision.reason.as_str().to_owned()),
            renews_at.to_value(),
            since.to_value(),
            decision.subscription_id.to_value(),
            decision.customer_id.to_value(),
            Value::Integer(i64::try_from(access.subscriptions()).unwrap_or(i64::MAX)),
            Value::Text(text),
        ]))
    }
}

/// Rows of the parts that the subscriptions of a customer add to the access of its users.
pub fn part_rows(customer: &CustomerKey, rows: &[SubscriptionRow]) -> Result<Vec<Row>, String> {
    let mut of_users = UserAccess::by_user(rows);
    let of_nobody = UserAccess::of(rows.iter().filter(|row| row.user_id.is_none()));
    if of_nobody.subscriptions() > 0 {
        of_users.insert(String::new(), of_nobody);
    }
    let parts = of_users.into_iter().map(|(user, access)| {
        Ok(vec![
            Value::Text(customer.scope.account.to_string()),
            Value::Bool(customer.scope.livemode),
            Value::Text(customer.customer.to_string()),
            Value::Text(user),
            Value::Text(stored::encode(&access)?),
        ])
    });
    parts.collect()
}
