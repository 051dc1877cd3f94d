//! Writing of the access of users: the parts of the customers of a batch, and the rows of the users that they concern.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::subscriptions::{limit_of, read_customer};
use super::tables::{GenerationTables, bind_customer, bind_scope, bulk};
use crate::ids::{AccountId, CustomerKey, Scope};
use crate::projection::column::Value;
use crate::projection::row::SubscriptionRow;
use crate::projection::user_access::{Decision, UserAccess};
use crate::store::db::{Row, Session};
use crate::store::error::StoreError;
use crate::time::StripeTime;

/// Access that the subscriptions of one customer give to its users, by their ids; empty for those without a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomerAccess {
    customer: CustomerKey,
    parts: BTreeMap<String, Part>,
}

/// Access of one user by one customer, and its stored form.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    access: UserAccess,
    stored: String,
}

/// Account, mode and user.
pub type UserKey = (Scope, String);

impl CustomerAccess {
    /// Access that these rows, which are all rows of the customer, give.
    pub fn new(customer: CustomerKey, rows: &[SubscriptionRow]) -> Result<Self, StoreError> {
        let mut parts = UserAccess::by_user(rows);
        let of_nobody = UserAccess::of(rows.iter().filter(|row| row.user_id.is_none()));
        if of_nobody.subscriptions() > 0 {
            parts.insert(String::new(), of_nobody);
        }
        let stored = parts.into_iter().map(|(user, access)| {
            let stored = encode(&access)?;
            Ok((user, Part { access, stored }))
        });
        Ok(Self { customer, parts: stored.collect::<Result<_, StoreError>>()? })
    }
}

/// Stored form.
fn encode(access: &UserAccess) -> Result<String, StoreError> {
    serde_json::to_string(access).map_err(|error| StoreError::Internal(error.into()))
}

/// Access from its stored form.
pub(super) fn decode(stored: &str) -> Result<UserAccess, StoreError> {
    serde_json::from_str(stored)
        .map_err(|error| StoreError::ReadModelDamaged(format!("the access of a user: {error}")))
}

/// Writes the access of these customers, and joins that of the users who gained or lost a part.
pub(super) async fn write(
    session: &mut Session<'_>,
    tables: GenerationTables,
    accesses: &[CustomerAccess],
) -> Result<(), StoreError> {
    if accesses.is_empty() {
        return Ok(());
    }
    let known = bulk(session, sql::PARTS_OF_CUSTOMERS, tables, accesses, |to, it| {
        bind_customer(to, &it.customer);
    });
    let known = known.await?;
    let mut gone: HashMap<(CustomerKey, String), String> = known
        .iter()
        .map(|row| Ok(((read_customer(row)?, row.get(3)?), row.get(4)?)))
        .collect::<Result<_, StoreError>>()?;
    // Most events change nobody's access, and equal accesses have equal stored forms.
    let mut changed = Vec::new();
    for CustomerAccess { customer, parts } in accesses {
        for (user, part) in parts {
            let known = gone.remove(&(customer.clone(), user.clone()));
            if known.as_ref() != Some(&part.stored) {
                changed.push((customer, user, part));
            }
        }
    }
    let gone: Vec<(CustomerKey, String)> = gone.into_keys().collect();
    if !gone.is_empty() {
        bulk(session, sql::DROP_PARTS, tables, &gone, |to, (customer, user)| {
            bind_customer(to, customer);
            to.text(user.as_str());
        })
        .await?;
    }
    bulk(session, sql::PART, tables, &changed, |to, (customer, user, part)| {
        bind_customer(to, customer);
        to.text(user.as_str());
        to.text(part.stored.as_str());
    })
    .await?;
    let changed = changed.into_iter().map(|(customer, user, _)| (&customer.scope, user));
    let gone = gone.iter().map(|(customer, user)| (&customer.scope, user));
    let users: BTreeSet<UserKey> = changed
        .chain(gone)
        .filter(|(_, user)| !user.is_empty())
        .map(|(scope, user)| (scope.clone(), user.clone()))
        .collect();
    write_users(session, tables, &users.into_iter().collect::<Vec<_>>(), accesses).await
}

/// Joins the parts of these users and writes their rows.
async fn write_users(
    session: &mut Session<'_>,
    tables: GenerationTables,
    users: &[UserKey],
    accesses: &[CustomerAccess],
) -> Result<(), StoreError> {
    let in_memory: HashMap<&CustomerKey, &CustomerAccess> =
        accesses.iter().map(|it| (&it.customer, it)).collect();
    let parts = bulk(session, sql::PARTS_OF_USERS, tables, users, |to, (scope, user)| {
        bind_scope(to, scope);
        to.text(user.as_str());
    });
    let mut joined: BTreeMap<UserKey, UserAccess> = BTreeMap::new();
    for row in &parts.await? {
        let (customer, user) = (read_customer(row)?, row.get::<String, _>(3)?);
        let part = match in_memory.get(&customer).and_then(|it| it.parts.get(&user)) {
            Some(part) => part.access.clone(),
            None => decode(row.get(4)?)?,
        };
        let whole = joined.entry((customer.scope, user)).or_default();
        *whole = std::mem::take(whole).join(part);
    }
    let gone: Vec<_> = users.iter().filter(|user| !joined.contains_key(user)).collect();
    if !gone.is_empty() {
        bulk(session, sql::DROP_USERS, tables, &gone, |to, (scope, user)| {
            bind_scope(to, scope);
            to.text(user.as_str());
        })
        .await?;
    }
    let rows = joined.iter().filter_map(|(user, access)| Some((user, access.decision()?, access)));
    let rows = rows.map(|(user, decision, access)| Ok((user, decision, access, encode(access)?)));
    let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
    bulk(session, sql::USER, tables, &rows, |to, ((scope, user), decision, access, stored)| {
        let Decision { entitled, until, renews_at, since, .. } = *decision;
        let instant = |at: Option<StripeTime>| at.map_or(Value::Null, Value::Instant);
        bind_scope(to, scope);
        to.text(user.as_str());
        to.bool(*entitled);
        for at in [*until, access.paid_until(), *renews_at, *since] {
            to.value(&instant(at));
        }
        to.text(decision.reason.as_str());
        to.text(decision.subscription_id.as_str());
        to.text(decision.customer_id.as_str());
        to.integer(i64::try_from(access.subscriptions()).unwrap_or(i64::MAX));
        to.text(stored.as_str());
    })
    .await?;
    Ok(())
}

/// Reads the access of users after a key, in the order of their keys.
pub(super) async fn users_after(
    session: &mut Session<'_>,
    tables: GenerationTables,
    (scope, user): &UserKey,
    limit: usize,
) -> Result<Vec<(UserKey, UserAccess)>, StoreError> {
    let statement = tables.fill(session.text(sql::USERS_AFTER));
    let query = session.query(statement).bind(scope.account.as_str()).bind(scope.livemode);
    let rows = query.bind(user.as_str()).bind(limit_of(limit)).fetch_all().await?;
    let read = |row: &Row| {
        let account = AccountId::new(row.get::<String, _>(0)?);
        let scope = Scope { account, livemode: row.get(1)? };
        Ok(((scope, row.get(2)?), decode(row.get(3)?)?))
    };
    rows.iter().map(read).collect()
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        PARTS_OF_CUSTOMERS [Text, Bool, Text] = sqlite "SELECT p.account, p.livemode, p.customer_id, p.user_id, p.access FROM ({rows}) AS k
            CROSS JOIN user_access_parts_g{g} AS p ON p.account = k.column1 AND p.livemode = k.column2 AND p.customer_id = k.column3",
            postgres "SELECT p.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, customer_id, user_id, access
                FROM user_access_parts_g{g} WHERE account = k.column1 AND livemode = k.column2 AND customer_id = k.column3 OFFSET 0) AS p";
        PARTS_OF_USERS [Text, Bool, Text] = sqlite "SELECT p.account, p.livemode, p.customer_id, p.user_id, p.access FROM ({rows}) AS k
            CROSS JOIN user_access_parts_g{g} AS p ON p.account = k.column1 AND p.livemode = k.column2 AND p.user_id = k.column3",
            postgres "SELECT p.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, customer_id, user_id, access
                FROM user_access_parts_g{g} WHERE account = k.column1 AND livemode = k.column2 AND user_id = k.column3 OFFSET 0) AS p";
        USERS [Text, Bool, Text] = sqlite "SELECT u.account, u.livemode, u.user_id, u.access FROM ({rows}) AS k
            CROSS JOIN user_access_g{g} AS u ON u.account = k.column1 AND u.livemode = k.column2 AND u.user_id = k.column3",
            postgres "SELECT u.* FROM ({rows}) AS k CROSS JOIN LATERAL (SELECT account, livemode, user_id, access
                FROM user_access_g{g} WHERE account = k.column1 AND livemode = k.column2 AND user_id = k.column3 OFFSET 0) AS u";
        USERS_AFTER = "SELECT account, livemode, user_id, access FROM user_access_g{g}
            WHERE (account, livemode, user_id) > ($1, $2, $3) ORDER BY account, livemode, user_id LIMIT CAST($4 AS bigint)";
        PART [Text, Bool, Text, Text, Text] = "INSERT INTO user_access_parts_g{g} (account, livemode, customer_id, user_id, access)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, customer_id, user_id) DO UPDATE SET access = excluded.access";
        USER [Text, Bool, Text, Bool, Instant, Instant, Instant, Instant, Text, Text, Text, Integer, Text] = "INSERT INTO user_access_g{g} (account, livemode, user_id, entitled,
                entitled_until, paid_until, renews_at, since, reason, subscription_id, customer_id, subscriptions, access)
            SELECT * FROM ({rows}) AS k WHERE column1 IS NOT NULL
            ON CONFLICT (account, livemode, user_id) DO UPDATE SET entitled = excluded.entitled, entitled_until = excluded.entitled_until,
                paid_until = excluded.paid_until, renews_at = excluded.renews_at, since = excluded.since, reason = excluded.reason,
                subscription_id = excluded.subscription_id, customer_id = excluded.customer_id, subscriptions = excluded.subscriptions,
                access = excluded.access";
        DROP_PARTS [Text, Bool, Text, Text] = "DELETE FROM user_access_parts_g{g} WHERE (account, livemode, customer_id, user_id) IN
            (SELECT column1, column2, column3, column4 FROM ({rows}) AS k)";
        DROP_USERS [Text, Bool, Text] = "DELETE FROM user_access_g{g} WHERE (account, livemode, user_id) IN
            (SELECT column1, column2, column3 FROM ({rows}) AS k)";
    }
}
