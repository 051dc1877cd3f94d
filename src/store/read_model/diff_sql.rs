//! Statements that compare two generations, and the filling of their templates.

use super::generation_id::GenerationId;
use super::tables::GenerationTables;
use crate::projection::column::{Column, ColumnType};
use crate::projection::current_subscriptions::CURRENT_SUBSCRIPTIONS;
use crate::projection::read_model::Table;
use crate::store::db::{Dialect, Statement};

/// Fills a template with the tables of two generations and these columns. `ahead` is the generation that has folded
/// more.
pub(in crate::store) fn fill_template(
    template: Statement,
    dialect: Dialect,
    (old, new): (GenerationTables, GenerationTables),
    ahead: Option<GenerationTables>,
    columns: &[Column],
) -> String {
    let each = |text: &str, separator: &str| -> String {
        let of_columns = columns.iter().map(|column| {
            let shown = match column.column_type {
                ColumnType::Instant => sql::SHOWN_INSTANT.text(dialect),
                _ => "{it}",
            };
            let (from, to) =
                (shown.replace("{it}", "o.{column}"), shown.replace("{it}", "n.{column}"));
            text.replace("{from}", &from).replace("{to}", &to).replace("{column}", column.name)
        });
        of_columns.collect::<Vec<_>>().join(separator)
    };
    template
        .text(dialect)
        .replace("{differ}", &each("differs_{column}", " OR "))
        .replace("{count_fields}", &each(sql::COUNT_FIELD, ", "))
        .replace("{differences}", &each(sql::DIFFERENCE, ", "))
        .replace("{any_difference}", &each("o.{column} IS DISTINCT FROM n.{column}", " OR "))
        .replace("{fields}", &each(sql::FIELD.text(dialect), " || "))
        .replace("{plus}", if dialect == Dialect::Sqlite { "+" } else { "" })
        .replace("{pairs}", sql::PAIRS)
        .replace("{active_before}", &sql::ACTIVE.text(dialect).replace("{row}", "o"))
        .replace("{active_after}", &sql::ACTIVE.text(dialect).replace("{row}", "n"))
        .replace("{compared}", if ahead.is_some() { sql::COMPARED } else { "$2 >= 0" })
        .replace("{ahead}", &ahead.unwrap_or(new).layer_suffix())
        .replace("{old}", &old.maker_of(CURRENT_SUBSCRIPTIONS).to_string())
        .replace("{new}", &new.maker_of(CURRENT_SUBSCRIPTIONS).to_string())
}

/// Statement that counts the rows of a table in which two generations differ.
pub(in crate::store) fn count_template(
    table: &Table,
    (old, new): (GenerationId, GenerationId),
) -> String {
    let all = |each: fn(&str) -> String, names: &[&str], separator: &str| {
        names.iter().map(|name| each(name)).collect::<Vec<_>>().join(separator)
    };
    let values: Vec<&str> = table.columns.iter().map(|column| column.name).collect();
    let pairs = all(|name| format!("n.{name} = o.{name}"), table.key, " AND ");
    let differ = all(|name| format!("o.{name} IS DISTINCT FROM n.{name}"), &values, " OR ");
    sql::COUNT_ROWS
        .replace("{table}", table.name)
        .replace("{pairs}", &pairs)
        .replace("{differ}", &differ)
        .replace("{key}", table.key[0])
        .replace("{old}", &old.to_string())
        .replace("{new}", &new.to_string())
}

pub(in crate::store) mod sql {
    use crate::store::db::Statement;

    crate::store::db::statements! {
        COLUMNS = sqlite "SELECT name FROM pragma_table_info('current_subscriptions_g{g}') ORDER BY cid",
            postgres "SELECT attname::text AS name FROM pg_attribute WHERE attrelid = 'current_subscriptions_g{g}'::regclass
                AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
        ACCESS_COUNT = sqlite "SELECT count(*) AS subscriptions, count(*) FILTER (WHERE active AND livemode) AS live,
                count(*) FILTER (WHERE active AND NOT livemode) AS test
            FROM (SELECT livemode, entitled AND (entitled_until IS NULL OR entitled_until > $1) AS active FROM current_subscriptions_g{g})",
            postgres "SELECT count(*) AS subscriptions, count(*) FILTER (WHERE active AND livemode) AS live,
                count(*) FILTER (WHERE active AND NOT livemode) AS test
            FROM (SELECT livemode, entitled AND (entitled_until IS NULL OR entitled_until > to_timestamp($1)) AS active FROM current_subscriptions_g{g}) AS each";
        COUNTS = "SELECT count(*) FILTER (WHERE NOT in_old) AS appear, count(*) FILTER (WHERE NOT in_new) AS disappear,
                count(*) FILTER (WHERE in_old AND in_new AND ({differ})) AS change,
                count(*) FILTER (WHERE in_old AND in_new AND NOT ({differ})) AS same,
                count(*) FILTER (WHERE livemode AND active_before) AS live_before,
                count(*) FILTER (WHERE livemode AND active_after) AS live_after,
                count(*) FILTER (WHERE livemode AND active_before AND NOT active_after) AS live_lose,
                count(*) FILTER (WHERE livemode AND active_after AND NOT active_before) AS live_gain,
                count(*) FILTER (WHERE NOT livemode AND active_before) AS test_before,
                count(*) FILTER (WHERE NOT livemode AND active_after) AS test_after,
                count(*) FILTER (WHERE NOT livemode AND active_before AND NOT active_after) AS test_lose,
                count(*) FILTER (WHERE NOT livemode AND active_after AND NOT active_before) AS test_gain,
                {count_fields}
            FROM (SELECT o.account IS NOT NULL AS in_old, n.account IS NOT NULL AS in_new,
                    coalesce(n.account, o.account) AS account, coalesce(n.livemode, o.livemode) AS livemode,
                    coalesce(n.customer_id, o.customer_id) AS customer_id,
                    {active_before} AS active_before, {active_after} AS active_after, {differences}
                FROM current_subscriptions_g{old} AS o FULL JOIN current_subscriptions_g{new} AS n ON {pairs}) AS pair
            WHERE {compared}";
        /// Each branch scans the index by id, so that nothing is sorted. The plus sign hides from SQLite that the mode
        /// is constant, so that it uses the order of the index.
        CHANGES = "SELECT account, livemode, customer_id, subscription_id, user_id, in_old, in_new, fields
            FROM (SELECT o.account, o.livemode, o.customer_id, o.subscription_id, coalesce(n.user_id, o.user_id) AS user_id,
                    TRUE AS in_old, n.account IS NOT NULL AS in_new, {fields} AS fields,
                    {active_before} AS active_before, {active_after} AS active_after
                FROM current_subscriptions_g{old} AS o LEFT JOIN current_subscriptions_g{new} AS n ON {pairs}
                WHERE {plus}o.livemode = $3 AND (n.account IS NULL OR {any_difference})) AS pair
            WHERE {effect} AND {compared}
            UNION ALL
            SELECT account, livemode, customer_id, subscription_id, user_id, in_old, in_new, fields
            FROM (SELECT n.account, n.livemode, n.customer_id, n.subscription_id, n.user_id,
                    FALSE AS in_old, TRUE AS in_new, {fields} AS fields,
                    {active_before} AS active_before, {active_after} AS active_after
                FROM current_subscriptions_g{new} AS n LEFT JOIN current_subscriptions_g{old} AS o ON {pairs}
                WHERE {plus}n.livemode = $3 AND o.account IS NULL) AS pair
            WHERE {effect} AND {compared}
            ORDER BY 1, 2, 4 LIMIT $4";
        LEFT_OUT = "SELECT count(*) AS left_out FROM (
                SELECT account, livemode, customer_id, subscription_id FROM current_subscriptions_g{old}
                UNION SELECT account, livemode, customer_id, subscription_id FROM current_subscriptions_g{new}) AS each
            WHERE (account, livemode, customer_id) IN
                (SELECT account, livemode, customer_id FROM timeline_{ahead} WHERE position > $1)";
    }

    // Template.
    pub(in crate::store) const COUNT_ROWS: &str = "SELECT count(*) FILTER (WHERE o.{key} IS NULL) AS appear,
            count(*) FILTER (WHERE n.{key} IS NULL) AS disappear,
            count(*) FILTER (WHERE o.{key} IS NOT NULL AND n.{key} IS NOT NULL AND ({differ})) AS change,
            count(*) FILTER (WHERE o.{key} IS NOT NULL AND n.{key} IS NOT NULL AND NOT ({differ})) AS same
        FROM {table}_g{old} AS o FULL JOIN {table}_g{new} AS n ON {pairs}";

    // Parts of templates.
    pub(in crate::store) const PAIRS: &str = "n.account = o.account AND n.livemode = o.livemode
            AND n.customer_id = o.customer_id AND n.subscription_id = o.subscription_id";
    /// True if access is granted. A missing row grants none.
    pub(in crate::store) const ACTIVE: Statement = Statement::new(
        "({row}.entitled AND ({row}.entitled_until IS NULL OR {row}.entitled_until > $1)) IS TRUE",
        "({row}.entitled AND ({row}.entitled_until IS NULL OR {row}.entitled_until > to_timestamp($1))) IS TRUE",
    );
    /// True unless one generation has folded more events of the customer than the other.
    pub(in crate::store) const COMPARED: &str = "NOT EXISTS (SELECT 1 FROM timeline_{ahead} AS later
            WHERE later.account = pair.account AND later.livemode = pair.livemode AND later.customer_id = pair.customer_id
                AND later.position > $2)";
    pub(in crate::store) const DIFFERENCE: &str =
        "o.{column} IS DISTINCT FROM n.{column} AS differs_{column}";
    pub(in crate::store) const COUNT_FIELD: &str =
        "count(*) FILTER (WHERE in_old AND in_new AND differs_{column}) AS {column}";
    /// Line of a field that differs.
    pub(in crate::store) const FIELD: Statement = Statement::new(
        "CASE WHEN o.{column} IS DISTINCT FROM n.{column}
            THEN json_array('{column}', {from}, {to}) || char(10) ELSE '' END",
        "CASE WHEN o.{column} IS DISTINCT FROM n.{column}
            THEN json_build_array('{column}', {from}, {to})::text || chr(10) ELSE '' END",
    );
    /// Instant in its form of the API.
    pub(in crate::store) const SHOWN_INSTANT: Statement = Statement::new(
        "{it}",
        "to_char({it} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    );
}
