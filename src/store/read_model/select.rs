//! SQL templates of the statements that read subscriptions. [`GenerationSchema`](super::schema::GenerationSchema) fills
//! them with the columns and tables that a generation has.

use crate::projection::column::{Column, ColumnType, Value};
use crate::store::db::Dialect;

/// Table that a column of the subscription `s` is joined from, and the expression of its value.
pub(super) fn joined(column: &Column, dialect: Dialect) -> Option<(&'static str, &'static str)> {
    Some(match column.name {
        "product_name" => ("catalogue", sql::PRODUCT_NAME),
        "price_nickname" => ("catalogue", sql::PRICE_NICKNAME),
        "items" => ("catalogue", sql::ITEMS.text(dialect)),
        "parked" => ("parked", sql::PARKED),
        "event_count" => ("timeline", sql::EVENT_COUNT),
        _ => return None,
    })
}

/// Literal in place of a column that a generation does not have. PostgreSQL needs its type.
pub(super) fn literal(dialect: Dialect, column: &Column, value: &Value) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let value = match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(truth) => i64::from(*truth).to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Text(text) | Value::Json(text) => quoted(text),
        Value::Instant(at) => quoted(&at.to_string()),
    };
    match (dialect, column.column_type) {
        (Dialect::Sqlite, _) => value,
        (Dialect::Postgres, ColumnType::Bool) => format!("{value}::int::boolean"),
        (Dialect::Postgres, ColumnType::Integer) => format!("{value}::bigint"),
        (Dialect::Postgres, ColumnType::Text) => format!("{value}::text"),
        (Dialect::Postgres, ColumnType::Instant) => format!("{value}::timestamptz"),
        (Dialect::Postgres, ColumnType::Json) => format!("{value}::jsonb"),
    }
}

pub(in crate::store) mod sql {
    use crate::store::db::Statement;

    crate::store::db::statements! {
        SELECT = "SELECT {columns} FROM {tables} WHERE {conditions}
            ORDER BY s.account, s.livemode, s.subscription_id LIMIT CAST($1 AS bigint)";
        /// Reads the table of properties first: CROSS JOIN enforces that in SQLite, OFFSET in PostgreSQL.
        SELECT_BY_ITEMS = sqlite "SELECT {columns} FROM item_properties_g{g} AS k CROSS JOIN {tables}
            WHERE s.account = k.account AND s.livemode = k.livemode AND s.customer_id = k.customer_id
                AND s.subscription_id = k.subscription_id AND {conditions}
            ORDER BY k.account, k.livemode, k.subscription_id LIMIT CAST($1 AS bigint)",
            postgres "SELECT {columns} FROM item_properties_g{g} AS k CROSS JOIN LATERAL (SELECT * FROM current_subscriptions_g{g}
                WHERE account = k.account AND livemode = k.livemode AND customer_id = k.customer_id
                    AND subscription_id = k.subscription_id OFFSET 0) AS s {joins}
            WHERE {conditions}
            ORDER BY k.account, k.livemode, k.subscription_id LIMIT CAST($1 AS bigint)";
    }

    /// Stamp of the live generation, joined with a page of another statement.
    pub(in crate::store) const STAMPED: &str =
        "SELECT g.id, g.position, g.folded_received_at, page.*
            FROM generations AS g LEFT JOIN ({page}) AS page ON TRUE WHERE g.status = 'live'
            ORDER BY page.account, page.livemode, page.subscription_id";
    /// Stamp of the live generation, the access over all subscriptions of a holder, and a page of them.
    ///
    /// The latest end decides, so that the current time is not a parameter. `= TRUE`, because SQLite uses an index for
    /// a comparison, but not for a bare column.
    pub(in crate::store) const ACCESS: &str = "SELECT g.id, g.position, g.folded_received_at,
                EXISTS (SELECT 1 FROM current_subscriptions_g{g} AS s WHERE {held} AND {item}
                    AND s.entitled = TRUE AND s.entitled_until IS NULL) AS endless,
                (SELECT max(s.entitled_until) FROM current_subscriptions_g{g} AS s WHERE {held} AND {item} AND s.entitled = TRUE) AS latest,
                EXISTS (SELECT 1 FROM current_subscriptions_g{g} AS s WHERE {held} AND s.items_truncated AND NOT {item}) AS incomplete,
                page.*
            FROM generations AS g LEFT JOIN (SELECT {columns} FROM {tables} WHERE {held} AND ({item} OR s.items_truncated){after}
                ORDER BY s.entitled DESC, s.subscription_id LIMIT CAST($1 AS bigint)) AS page ON TRUE
            WHERE g.status = 'live' ORDER BY page.entitled DESC, page.subscription_id";
    /// View of the live generation. In PostgreSQL it is replaced in place as long as columns are only appended, and so
    /// keeps its grants.
    pub(in crate::store) const VIEW: Statement = Statement::new(
        "DROP VIEW IF EXISTS current_subscriptions;
            CREATE VIEW current_subscriptions AS SELECT {columns} FROM {tables}",
        "DO $view$ BEGIN
                CREATE OR REPLACE VIEW current_subscriptions AS SELECT {columns} FROM {tables};
            EXCEPTION WHEN invalid_table_definition THEN
                DROP VIEW current_subscriptions;
                CREATE VIEW current_subscriptions AS SELECT {columns} FROM {tables};
            END $view$",
    );
    /// View of the access of users in the live generation.
    pub(in crate::store) const USERS_VIEW: Statement = Statement::new(
        "DROP VIEW IF EXISTS user_access;
            CREATE VIEW user_access AS SELECT account, livemode, user_id, entitled, entitled_until, paid_until, reason,
                renews_at, since, subscription_id, customer_id, subscriptions FROM user_access_g{g};
            ",
        "CREATE OR REPLACE VIEW user_access AS SELECT account, livemode, user_id, entitled, entitled_until, paid_until, reason,
                renews_at, since, subscription_id, customer_id, subscriptions FROM user_access_g{g};
            ",
    );
    /// Removal of that view, for a generation of an earlier version.
    pub(in crate::store) const NO_USERS_VIEW: &str = "DROP VIEW IF EXISTS user_access;
            ";
    pub(in crate::store) const SUBSCRIPTIONS: &str = "current_subscriptions_g{g} AS s";
    /// Joins of the catalogue for the first item.
    pub(in crate::store) const CATALOGUE_JOINS: &str = "
            LEFT JOIN catalogue_{l} AS product ON product.account = s.account AND product.livemode = s.livemode AND product.id = s.product_id
            LEFT JOIN catalogue_{l} AS price ON price.account = s.account AND price.livemode = s.livemode AND price.id = s.price_id";
    pub(in crate::store) const PRODUCT_NAME: &str =
        "CASE WHEN product.id IS NULL THEN s.product_name ELSE product.name END";
    pub(in crate::store) const PRICE_NICKNAME: &str =
        "CASE WHEN price.id IS NULL THEN s.price_nickname ELSE price.name END";
    /// Items with the names of the catalogue.
    ///
    /// SQLite 3.35 must be able to parse the view: no ORDER BY inside an aggregate (3.44) and no `->>` (3.38). A single
    /// view that cannot be parsed makes the whole file unreadable.
    ///
    /// PostgreSQL does not know that a row has few items; OFFSET makes it look up each name in the index.
    pub(in crate::store) const ITEMS: Statement = Statement::new(
        "(SELECT '[' || coalesce(group_concat(items.item), '') || ']' FROM (
                SELECT json_set(item.value,
                    '$.product_name', iif(product.id IS NULL, json_extract(item.value, '$.product_name'), product.name),
                    '$.price_nickname', iif(price.id IS NULL, json_extract(item.value, '$.price_nickname'), price.name)) AS item
                FROM json_each(s.items) AS item
                LEFT JOIN catalogue_{l} AS product ON product.account = s.account AND product.livemode = s.livemode
                    AND product.id = json_extract(item.value, '$.product_id')
                LEFT JOIN catalogue_{l} AS price ON price.account = s.account AND price.livemode = s.livemode
                    AND price.id = json_extract(item.value, '$.price_id')
                ORDER BY item.key) AS items)",
        "(SELECT coalesce(jsonb_agg(item.value || jsonb_build_object(
                'product_name', CASE WHEN product.id IS NULL THEN item.value ->> 'product_name' ELSE product.name END,
                'price_nickname', CASE WHEN price.id IS NULL THEN item.value ->> 'price_nickname' ELSE price.name END)
                ORDER BY item.ordinality), '[]'::jsonb)
            FROM jsonb_array_elements(s.items) WITH ORDINALITY AS item
            LEFT JOIN LATERAL (SELECT id, name FROM catalogue_{l} WHERE account = s.account AND livemode = s.livemode
                AND id = item.value ->> 'product_id' OFFSET 0) AS product ON TRUE
            LEFT JOIN LATERAL (SELECT id, name FROM catalogue_{l} WHERE account = s.account AND livemode = s.livemode
                AND id = item.value ->> 'price_id' OFFSET 0) AS price ON TRUE)",
    );
    pub(in crate::store) const PARKED: &str = "(SELECT count(*) FROM parked_{l} AS p WHERE p.account = s.account AND p.livemode = s.livemode
            AND p.subscription_id = s.subscription_id)";
    pub(in crate::store) const EVENT_COUNT: &str = "(SELECT count(*) FROM timeline_{l} AS t WHERE t.account = s.account AND t.livemode = s.livemode
            AND t.customer_id = s.customer_id AND t.subscription_id = s.subscription_id)";
}
