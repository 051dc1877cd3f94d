//! Access of many users and customers of one account and mode.
//!
//! It is read from the table of users, and for a customer from the parts of which that table is joined. A generation of
//! an earlier version has neither: there it is made from the rows of the subscriptions.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;

use super::access::AccessHolder;
use super::filter::Parameters;
use super::generation::{GenerationStamp, live_stamp};
use super::handle::ReadModel;
use super::row_values;
use super::schema::GenerationSchema;
use super::subscriptions::STAMP_COLUMNS;
use super::tables::{bind_scope, bulk};
use crate::ids::{CustomerId, Scope};
use crate::projection::column::{Column, Value};
use crate::projection::row::SubscriptionRow;
use crate::projection::user_access::UserAccess;
use crate::store::db::{Dialect, Row, Session};
use crate::store::error::StoreError;

/// Columns of a subscription that its access and the reason depend on.
const COLUMNS: [&str; 22] = [
    "subscription_id",
    "customer_id",
    "user_id",
    "status",
    "entitled",
    "entitled_until",
    "items",
    "items_truncated",
    "features",
    "features_truncated",
    "current_period_end",
    "paid_through",
    "paid_through_unknown",
    "trial_end",
    "cancel_at_period_end",
    "ends_at",
    "ended_at",
    "pause_collection",
    "past_due_since",
    "created_at",
    "started_at",
    "last_event_at",
];

/// Greatest number of holders of a statement. Three parameters each are within the limits of both databases.
const HOLDERS_MAX: usize = 1_024;

/// Columns that a generation has, and how a row is made of their values.
struct AccessColumns {
    /// Index in the row and definition of each column, in the order of the statement.
    columns: Vec<(usize, Column)>,
    /// Values of an empty row, for the columns that are not read.
    absent: Vec<Value>,
}

impl ReadModel {
    /// Reads the access of each holder, in their order, all at one moment. A holder without subscriptions has an access
    /// without any.
    ///
    /// [`StoreError::ReadModelBuilding`] if no generation is live.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn user_access(
        &self,
        scope: &Scope,
        holders: &[AccessHolder],
    ) -> Result<(GenerationStamp, Vec<UserAccess>), StoreError> {
        if let [holder] = holders {
            match self.access_of(scope, holder).await {
                Err(StoreError::OtherVersion(_)) => {}
                answer => return answer.map(|(stamp, access)| (stamp, vec![access])),
            }
        }
        let users = holders.iter().filter_map(|holder| match holder {
            AccessHolder::User(id) => Some(id.as_str()),
            AccessHolder::Customer(_) => None,
        });
        let customers = holders.iter().filter_map(|holder| match holder {
            AccessHolder::Customer(id) => Some(id.as_str()),
            AccessHolder::User(_) => None,
        });
        let mut of_users = none_of(users);
        let mut of_customers = none_of(customers);

        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        let stamp = live_stamp(&mut session).await?;
        let schema = self.schema_of(&mut session, stamp.generation).await?;
        if schema.has("user_access") && schema.has("user_access_parts") {
            read_users(&mut session, &schema, scope, &mut of_users).await?;
            read_customers(&mut session, &schema, scope, &mut of_customers).await?;
            reader.end().await?;
            return Ok((stamp, in_order(holders, &of_users, &of_customers)));
        }
        join_rows(&mut session, &schema, scope, "user_id", &mut of_users, |row| {
            row.user_id.as_deref()
        })
        .await?;
        join_rows(&mut session, &schema, scope, "customer_id", &mut of_customers, |row| {
            Some(row.customer_id.as_str())
        })
        .await?;
        reader.end().await?;

        Ok((stamp, in_order(holders, &of_users, &of_customers)))
    }
}

impl ReadModel {
    /// Reads the access of one holder in one statement. [`StoreError::OtherVersion`] if the generation has no table of
    /// it.
    async fn access_of(
        &self,
        scope: &Scope,
        holder: &AccessHolder,
    ) -> Result<(GenerationStamp, UserAccess), StoreError> {
        let (table, column, id) = match holder {
            AccessHolder::User(id) => ("user_access", "user_id", id.as_str()),
            AccessHolder::Customer(id) => ("user_access_parts", "customer_id", id.as_str()),
        };
        let fill = |schema: &GenerationSchema, dialect: Dialect| {
            if !schema.has(table) {
                return Err(StoreError::OtherVersion(schema.tables.generation));
            }
            let mut parameters = Parameters::new(dialect, usize::MAX);
            let account = parameters.text(scope.account.as_str());
            let livemode = parameters.bool(scope.livemode);
            let id = parameters.text(id);
            let statement = sql::ACCESS_OF.replace("{table}", table).replace("{column}", column);
            let statement =
                statement.replace("{account}", &account).replace("{livemode}", &livemode);
            Ok((schema.tables.fill(&statement.replace("{id}", &id)), parameters))
        };
        let (stamp, rows) = self.stamped(fill).await?;
        let mut access = UserAccess::default();
        for row in &rows {
            if let Some(stored) = row.get(STAMP_COLUMNS)? {
                access = access.join(decode(stored)?);
            }
        }
        Ok((stamp, access))
    }
}

/// Access from its stored form.
fn decode(stored: &str) -> Result<UserAccess, StoreError> {
    UserAccess::from_stored(stored).map_err(StoreError::ReadModelDamaged)
}

fn in_order(
    holders: &[AccessHolder],
    of_users: &HashMap<&str, UserAccess>,
    of_customers: &HashMap<&str, UserAccess>,
) -> Vec<UserAccess> {
    let found = holders.iter().map(|holder| match holder {
        AccessHolder::User(id) => of_users.get(id.as_str()),
        AccessHolder::Customer(id) => of_customers.get(CustomerId::as_str(id)),
    });
    found.map(|access| access.cloned().unwrap_or_default()).collect()
}

/// Reads the rows of these users.
async fn read_users(
    session: &mut Session<'_>,
    schema: &GenerationSchema,
    scope: &Scope,
    accesses: &mut HashMap<&str, UserAccess>,
) -> Result<(), StoreError> {
    let ids: Vec<&str> = accesses.keys().copied().collect();
    let rows = bulk(session, sql::USERS, schema.tables, &ids, |to, id| {
        bind_scope(to, scope);
        to.text(*id);
    });
    for row in &rows.await? {
        if let Some(access) = accesses.get_mut(row.get::<&str, _>(2)?) {
            *access = decode(row.get(3)?)?;
        }
    }
    Ok(())
}

/// Joins the parts of these customers.
async fn read_customers(
    session: &mut Session<'_>,
    schema: &GenerationSchema,
    scope: &Scope,
    accesses: &mut HashMap<&str, UserAccess>,
) -> Result<(), StoreError> {
    let (ids, parts) = (accesses.keys().copied().collect::<Vec<_>>(), sql::PARTS_OF_CUSTOMERS);
    let rows = bulk(session, parts, schema.tables, &ids, |to, id| {
        bind_scope(to, scope);
        to.text(*id);
    });
    for row in &rows.await? {
        if let Some(access) = accesses.get_mut(row.get::<&str, _>(2)?) {
            *access = std::mem::take(access).join(decode(row.get(4)?)?);
        }
    }
    Ok(())
}

/// Access without subscriptions for each id, once.
fn none_of<'a>(ids: impl Iterator<Item = &'a str>) -> HashMap<&'a str, UserAccess> {
    ids.map(|id| (id, UserAccess::default())).collect()
}

/// Adds the rows of these holders to their access. `column` holds the id of the holder. Rows are joined as they arrive,
/// so memory does not grow with the number of subscriptions that grant nothing.
async fn join_rows(
    session: &mut Session<'_>,
    schema: &GenerationSchema,
    scope: &Scope,
    column: &str,
    accesses: &mut HashMap<&str, UserAccess>,
    holder: impl Fn(&SubscriptionRow) -> Option<&str>,
) -> Result<(), StoreError> {
    if accesses.is_empty() {
        return Ok(());
    }
    let ids: Vec<&str> = accesses.keys().copied().collect();
    let columns = AccessColumns::of(schema);
    let template = schema.statement(sql::ACCESS_ROWS)?;
    let template = template.replace("{columns}", &columns.names()).replace("{holder}", column);
    for ids in ids.chunks(HOLDERS_MAX) {
        let rows = session.query_rows(&template, sql::ACCESS_ROWS.columns, ids, |to, id| {
            to.text(scope.account.as_str());
            to.bool(scope.livemode);
            to.text(*id);
        });
        let mut rows = rows?.fetch();
        while let Some(row) = rows.try_next().await? {
            let row = columns.read(&row)?;
            if let Some(access) = holder(&row).and_then(|id| accesses.get_mut(id)) {
                access.add(&row);
            }
        }
    }
    Ok(())
}

impl AccessColumns {
    /// Columns that the generation has. What an older one lacks reads as in an empty row.
    fn of(schema: &GenerationSchema) -> Self {
        let columns = SubscriptionRow::COLUMNS.iter().copied().enumerate();
        let columns =
            columns.filter(|(_, it)| COLUMNS.contains(&it.name) && schema.stores_in_row(it.name));
        Self { columns: columns.collect(), absent: SubscriptionRow::default().to_values() }
    }

    fn names(&self) -> String {
        let names = self.columns.iter().map(|(_, column)| column.name);
        names.collect::<Vec<_>>().join(", ")
    }

    fn read(&self, row: &Row) -> Result<SubscriptionRow, StoreError> {
        let mut values = self.absent.clone();
        for (at, (index, column)) in self.columns.iter().enumerate() {
            let read = row_values::read(row, at, std::slice::from_ref(column));
            let value = read.map_err(StoreError::into_read_model_damage)?.pop();
            values[*index] = value.unwrap_or(Value::Null);
        }
        SubscriptionRow::from_values(values)
            .map_err(|error| StoreError::ReadModelDamaged(format!("a row: {error}")))
    }
}

pub(in crate::store) mod sql {
    /// Stamp of the live generation, and the access of one user, or its parts of one customer.
    pub(in crate::store) const ACCESS_OF: &str =
        "SELECT g.id, g.position, g.folded_received_at, u.access FROM generations AS g
            LEFT JOIN {table}_g{g} AS u ON u.account = {account} AND u.livemode = {livemode} AND u.{column} = {id}
            WHERE g.status = 'live' LIMIT CAST($1 AS bigint)";

    crate::store::db::statements! {
        USERS [Text, Bool, Text] = sqlite "SELECT u.account, u.livemode, u.user_id, u.access FROM ({rows}) AS k
            CROSS JOIN user_access_g{g} AS u ON u.account = k.column1 AND u.livemode = k.column2 AND u.user_id = k.column3",
            postgres "SELECT u.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, user_id, access
                FROM user_access_g{g} WHERE account = k.column1 AND livemode = k.column2 AND user_id = k.column3 OFFSET 0) AS u";
        PARTS_OF_CUSTOMERS [Text, Bool, Text] = sqlite "SELECT p.account, p.livemode, p.customer_id, p.user_id, p.access FROM ({rows}) AS k
            CROSS JOIN user_access_parts_g{g} AS p ON p.account = k.column1 AND p.livemode = k.column2 AND p.customer_id = k.column3",
            postgres "SELECT p.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, customer_id, user_id, access
                FROM user_access_parts_g{g} WHERE account = k.column1 AND livemode = k.column2 AND customer_id = k.column3 OFFSET 0) AS p";
        /// Finds the rows of each holder by the index: CROSS JOIN enforces that in SQLite, OFFSET in PostgreSQL.
        ACCESS_ROWS [Text, Bool, Text] = sqlite "SELECT {columns} FROM ({rows}) AS k CROSS JOIN current_subscriptions_g{g} AS s
            ON s.account = k.column1 AND s.livemode = k.column2 AND s.{holder} = k.column3",
            postgres "SELECT s.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT {columns} FROM current_subscriptions_g{g}
                WHERE account = k.column1 AND livemode = k.column2 AND {holder} = k.column3 OFFSET 0) AS s";
    }
}
