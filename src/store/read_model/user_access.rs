//! Access of many users and customers of one account and mode.
//!
//! It is read from the table of users, and for a customer from the parts of which that table is joined. A generation of
//! an earlier version has neither: there it is made from the rows of the subscriptions.

use std::collections::HashMap;

use futures_util::TryStreamExt as _;

use super::access::AccessHolder;
use super::generation::{GenerationStamp, live_stamp};
use super::handle::ReadModel;
use super::row_values;
use super::schema::GenerationSchema;
use super::subscriptions::STAMP_COLUMNS;
use super::tables::bind_scope;
use crate::ids::{CustomerId, Scope};
use crate::projection::column::{Column, Value};
use crate::projection::row::SubscriptionRow;
use crate::projection::user_access::UserAccess;
use crate::store::db::{Row, Session};
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

/// Greatest number of holders of a statement. Five parameters each are within the limits of both databases.
pub(super) const HOLDERS_MAX: usize = 1_024;

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
        let asked: Vec<_> = holders.iter().map(|holder| (scope, holder)).collect();
        match self.stored_access(&asked).await {
            Err(StoreError::OtherVersion(_)) => self.access_by_rows(scope, holders).await,
            Err(error) => Err(error),
            Ok((stamp, found)) => Ok((stamp, found.into_iter().collect::<Result<_, _>>()?)),
        }
    }

    /// Reads the stored access of each holder in one statement. What is damaged is the access of one holder alone.
    ///
    /// [`StoreError::OtherVersion`] if the generation has no table of it.
    pub(super) async fn stored_access(
        &self,
        asked: &[(&Scope, &AccessHolder)],
    ) -> Result<(GenerationStamp, Vec<Result<UserAccess, StoreError>>), StoreError> {
        if asked.len() > HOLDERS_MAX {
            let message = format!("ask for the access of at most {HOLDERS_MAX} holders at once");
            return Err(StoreError::Internal(message.into()));
        }
        let numbered: Vec<_> = (0_i64..).zip(asked).collect();
        let rows = self.stamped(|schema, session| {
            let statement = schema.statement(sql::ACCESS_OF)?;
            session.query_rows(
                &statement,
                sql::ACCESS_OF.columns,
                &numbered,
                |to, (number, asked)| {
                    let (scope, holder) = asked;
                    let (user, customer) = match holder {
                        AccessHolder::User(id) => (Some(id.as_str()), None),
                        AccessHolder::Customer(id) => (None, Some(id.as_str())),
                    };
                    to.integer(*number);
                    bind_scope(to, scope);
                    to.text(user);
                    to.text(customer);
                },
            )
        });
        let (stamp, rows) = rows.await?;
        let mut found: Vec<_> = asked.iter().map(|_| Ok(UserAccess::default())).collect();
        for row in &rows {
            let Some(stored) = row.get::<Option<&str>, _>(STAMP_COLUMNS + 1)? else { continue };
            let number = usize::try_from(row.get::<i64, _>(STAMP_COLUMNS)?).unwrap_or(usize::MAX);
            if let Some(found) = found.get_mut(number) {
                let part = decode(stored);
                *found = std::mem::replace(found, Ok(UserAccess::default()))
                    .and_then(|access| Ok(access.join(part?)));
            }
        }
        Ok((stamp, found))
    }

    /// Reads the access of each holder from the rows of their subscriptions, which every generation has.
    async fn access_by_rows(
        &self,
        scope: &Scope,
        holders: &[AccessHolder],
    ) -> Result<(GenerationStamp, Vec<UserAccess>), StoreError> {
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
        join_rows(&mut session, &schema, scope, "user_id", &mut of_users, |row| {
            row.user_id.as_deref()
        })
        .await?;
        join_rows(&mut session, &schema, scope, "customer_id", &mut of_customers, |row| {
            Some(row.customer_id.as_str())
        })
        .await?;
        reader.end().await?;
        let found = holders.iter().map(|holder| match holder {
            AccessHolder::User(id) => of_users.get(id.as_str()),
            AccessHolder::Customer(id) => of_customers.get(CustomerId::as_str(id)),
        });
        Ok((stamp, found.map(|access| access.cloned().unwrap_or_default()).collect()))
    }
}

/// Access from its stored form.
fn decode(stored: &str) -> Result<UserAccess, StoreError> {
    UserAccess::from_stored(stored).map_err(StoreError::ReadModelDamaged)
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
    crate::store::db::statements! {
        /// Stamp of the live generation, and the access of each holder: of a user, or the parts of a customer. At least
        /// one row.
        ACCESS_OF [Integer, Text, Bool, Text, Text] = sqlite "SELECT g.id, g.position, g.folded_received_at, k.column1, coalesce(u.access, p.access)
            FROM generations AS g LEFT JOIN ({rows}) AS k ON k.column1 IS NOT NULL
            LEFT JOIN user_access_g{g} AS u ON u.account = k.column2 AND u.livemode = k.column3 AND u.user_id = k.column4
            LEFT JOIN user_access_parts_g{g} AS p ON p.account = k.column2 AND p.livemode = k.column3 AND p.customer_id = k.column5
            WHERE g.status = 'live'",
            postgres "SELECT g.id, g.position, g.folded_received_at, k.column1, coalesce(u.access, p.access)
            FROM generations AS g LEFT JOIN ({rows}) AS k ON TRUE
            LEFT JOIN LATERAL (SELECT access FROM user_access_g{g} AS u
                WHERE u.account = k.column2 AND u.livemode = k.column3 AND u.user_id = k.column4 OFFSET 0) AS u ON TRUE
            LEFT JOIN LATERAL (SELECT access FROM user_access_parts_g{g} AS p
                WHERE p.account = k.column2 AND p.livemode = k.column3 AND p.customer_id = k.column5 OFFSET 0) AS p ON TRUE
            WHERE g.status = 'live'";
        /// Finds the rows of each holder by the index: CROSS JOIN enforces that in SQLite, OFFSET in PostgreSQL.
        ACCESS_ROWS [Text, Bool, Text] = sqlite "SELECT {columns} FROM ({rows}) AS k CROSS JOIN current_subscriptions_g{g} AS s
            ON s.account = k.column1 AND s.livemode = k.column2 AND s.{holder} = k.column3",
            postgres "SELECT s.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT {columns} FROM current_subscriptions_g{g}
                WHERE account = k.column1 AND livemode = k.column2 AND {holder} = k.column3 OFFSET 0) AS s";
    }
}
