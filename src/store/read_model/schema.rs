//! What a generation's tables have of what this program reads.
//!
//! A generation of another version of this program may lack columns, or whole tables. It answers what
//! it can: what it lacks reads as in an empty row, but never where an answer about access rests on it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, PoisonError};

use super::filter::LeadingTable;
use super::generation::{TABLE_NAMES, for_generation, is_joined, tables_and_indexes};
use super::{GenerationId, ReadModel, access, subscriptions};
use crate::projection::column::{Column, ColumnType, Value};
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;
use crate::store::db::{Dialect, Session, Statement};

/// The columns that say whose access is asked for, to what, and whether it is granted. A default in
/// the place of one of them would be a wrong answer.
const INDISPENSABLE: [&str; 13] = [
    "subscription_id",
    "account",
    "livemode",
    "customer_id",
    "user_id",
    "status",
    "entitled",
    "entitled_until",
    "price_id",
    "product_id",
    "lookup_key",
    "items",
    "items_truncated",
];

/// The columns of one generation's tables, and the statements that read them.
#[derive(Debug)]
pub(in crate::store) struct GenerationSchema {
    pub(super) generation: GenerationId,
    dialect: Dialect,
    /// Name and type of every column, by table.
    columns: HashMap<String, HashSet<(String, String)>>,
    /// Statements that read subscriptions; none where an answer about access cannot rest on them.
    selects: Option<Selects>,
    /// The same by the properties of items; none where that table is missing.
    selects_by_items: Option<Selects>,
    /// Statement that reads the access of a user or customer.
    access: Option<String>,
}

/// Statements that read subscriptions: by themselves, and together with the stamp of the live generation.
#[derive(Debug)]
struct Selects {
    alone: Select,
    stamped: Select,
}

/// A statement that reads subscriptions, but for its conditions.
#[derive(Debug)]
pub(in crate::store) struct Select {
    /// The table that leads.
    pub(in crate::store) leading: LeadingTable,
    pub(in crate::store) text: String,
}

impl ReadModel {
    /// The schema of the live generation, which does not change.
    pub(super) async fn live_schema(
        &self,
        session: &mut Session<'_>,
        live: GenerationId,
    ) -> Result<Arc<GenerationSchema>, StoreError> {
        if let Some(schema) = self.cached_schema().filter(|it| it.generation == live) {
            return Ok(schema);
        }
        let schema = Arc::new(GenerationSchema::load(session, live).await?);
        *self.0.schema.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&schema));
        Ok(schema)
    }

    /// The schema of the generation that was live when it was asked for last.
    pub(super) fn cached_schema(&self) -> Option<Arc<GenerationSchema>> {
        self.0.schema.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl GenerationSchema {
    pub(super) async fn load(
        session: &mut Session<'_>,
        generation: GenerationId,
    ) -> Result<Self, StoreError> {
        let rows = session.query(sql::COLUMNS).bind(generation).fetch_all().await?;
        let suffix = for_generation("_g{g}", generation);
        let mut columns: HashMap<_, HashSet<_>> = HashMap::new();
        for row in rows {
            let (table, name, sql_type): (String, _, _) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let table = table.strip_suffix(&suffix).unwrap_or(&table).to_owned();
            columns.entry(table).or_default().insert((name, sql_type));
        }
        Ok(Self::new(generation, session.dialect(), columns))
    }

    /// That of a generation made by this program.
    #[cfg(test)]
    pub(in crate::store) fn current(generation: GenerationId, dialect: Dialect) -> Self {
        let owned = |(name, sql_type): (&str, &str)| (name.to_owned(), sql_type.to_owned());
        let columns = TABLE_NAMES.map(|table| {
            (table.to_owned(), columns_of(dialect, table).map(owned).collect::<HashSet<_>>())
        });
        Self::new(generation, dialect, columns.into())
    }

    fn new(
        generation: GenerationId,
        dialect: Dialect,
        columns: HashMap<String, HashSet<(String, String)>>,
    ) -> Self {
        let mut schema = Self {
            generation,
            dialect,
            columns,
            selects: None,
            selects_by_items: None,
            access: None,
        };
        if schema.has("current_subscriptions") {
            schema.selects = Some(schema.selects_led_by(LeadingTable::Subscriptions));
            let by_items = schema
                .has("item_properties")
                .then(|| schema.selects_led_by(LeadingTable::ItemProperties));
            schema.selects_by_items = by_items;
            schema.access = Some(schema.fill(access::sql::ACCESS));
        }
        schema
    }

    /// Whether a table has all that this program reads of it.
    pub(super) fn has(&self, table: &str) -> bool {
        columns_of(self.dialect, table).all(|column| {
            let dispensable =
                table == "current_subscriptions" && !INDISPENSABLE.contains(&column.0);
            dispensable || self.stores(table, column)
        })
    }

    /// A statement on this generation, if its tables have what that reads.
    pub(super) fn statement(&self, template: Statement) -> Result<String, StoreError> {
        let template = template.text(self.dialect);
        // With the space before it, because the name of one table ends like that of another.
        let reads = |table: &&&str| template.contains(&format!(" {table}_g{{g}}"));
        if TABLE_NAMES.iter().filter(reads).all(|table| self.has(table)) {
            return Ok(for_generation(template, self.generation));
        }
        Err(StoreError::OtherVersion(self.generation))
    }

    /// Statement that reads subscriptions; by another table where this one is missing.
    pub(in crate::store) fn select(&self, leading: LeadingTable) -> Result<&Select, StoreError> {
        self.selects(leading).map(|it| &it.alone)
    }

    /// Statement that reads them together with the stamp of the live generation.
    pub(in crate::store) fn select_stamped(
        &self,
        leading: LeadingTable,
    ) -> Result<&Select, StoreError> {
        self.selects(leading).map(|it| &it.stamped)
    }

    fn selects(&self, leading: LeadingTable) -> Result<&Selects, StoreError> {
        let by_items =
            self.selects_by_items.as_ref().filter(|_| leading == LeadingTable::ItemProperties);
        by_items.or(self.selects.as_ref()).ok_or(StoreError::OtherVersion(self.generation))
    }

    fn selects_led_by(&self, leading: LeadingTable) -> Selects {
        let template = match leading {
            LeadingTable::Subscriptions => subscriptions::sql::SELECT,
            LeadingTable::ItemProperties => subscriptions::sql::SELECT_BY_ITEMS,
        };
        let text = self.fill(template.text(self.dialect));
        let stamped = subscriptions::sql::STAMPED.replace("{page}", &text);
        Selects { alone: Select { leading, text }, stamped: Select { leading, text: stamped } }
    }

    /// Statement that reads the access of a user or customer.
    pub(in crate::store) fn access(&self) -> Result<&str, StoreError> {
        self.access.as_deref().ok_or(StoreError::OtherVersion(self.generation))
    }

    /// What points the view at this generation.
    pub(super) fn view(&self) -> Result<String, StoreError> {
        self.selects(LeadingTable::Subscriptions)?;
        Ok(self.fill(sql::VIEW.text(self.dialect)))
    }

    /// A template with the columns and tables that subscriptions are read from.
    fn fill(&self, template: &str) -> String {
        let of_nothing = SubscriptionRow::default().to_values();
        let columns = SubscriptionRow::COLUMNS.iter().zip(&of_nothing);
        let columns: Vec<_> =
            columns.map(|(column, absent)| self.expression(column, absent)).collect();
        let joins = if self.has("catalogue") { sql::CATALOGUE_JOINS } else { "" };
        let tables = format!("{}{{joins}}", sql::SUBSCRIPTIONS);
        let text = template
            .replace("{columns}", &columns.join(", "))
            .replace("{tables}", &tables)
            .replace("{joins}", joins);
        for_generation(&text, self.generation)
    }

    /// What is shown in a column: what other tables have to say, what is stored, or else nothing.
    fn expression(&self, column: &Column, absent: &Value) -> String {
        let name = column.name;
        let stored = columns_of(self.dialect, "current_subscriptions")
            .find(|it| it.0 == name)
            .is_some_and(|column| self.stores("current_subscriptions", column));
        let joined = joined(column, self.dialect).filter(|(table, _)| self.has(table));
        match joined {
            Some((_, expression)) if stored || is_joined(column) => {
                format!("{expression} AS {name}")
            }
            // What other tables have to say may still be known.
            Some((_, expression)) => {
                let absent = self.literal(column, absent);
                format!("{} AS {name}", expression.replace(&format!("s.{name}"), &absent))
            }
            _ if stored => format!("s.{name}"),
            _ => format!("{} AS {name}", self.literal(column, absent)),
        }
    }

    /// What a column shows that a generation has not, with its type where the database wants to know.
    fn literal(&self, column: &Column, value: &Value) -> String {
        let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
        let value = match value {
            Value::Null => "NULL".to_owned(),
            Value::Bool(truth) => i64::from(*truth).to_string(),
            Value::Integer(number) => number.to_string(),
            Value::Text(text) | Value::Json(text) => quoted(text),
            Value::Instant(at) => quoted(&at.to_string()),
        };
        match (self.dialect, column.column_type) {
            (Dialect::Sqlite, _) => value,
            (Dialect::Postgres, ColumnType::Bool) => format!("{value}::int::boolean"),
            (Dialect::Postgres, ColumnType::Integer) => format!("{value}::bigint"),
            (Dialect::Postgres, ColumnType::Text) => format!("{value}::text"),
            (Dialect::Postgres, ColumnType::Instant) => format!("{value}::timestamptz"),
            (Dialect::Postgres, ColumnType::Json) => format!("{value}::jsonb"),
        }
    }

    fn stores(&self, table: &str, (name, sql_type): (&str, &str)) -> bool {
        let column = (name.to_owned(), sql_type.to_owned());
        self.columns.get(table).is_some_and(|columns| columns.contains(&column))
    }
}

/// The columns and their types that a table of this program has: the first two words of each line of
/// its definition.
fn columns_of(dialect: Dialect, table: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let begin = format!("CREATE TABLE {table}_g{{g}} (");
    tables_and_indexes(dialect)
        .0
        .lines()
        .skip_while(move |line| *line != begin)
        .skip(1)
        .take_while(|line| !line.starts_with(')'))
        .filter_map(|line| {
            let mut words = line.split([' ', ',']).filter(|word| !word.is_empty());
            Some((words.next()?, words.next()?))
        })
        .filter(|(name, _)| *name != "PRIMARY")
}

/// A table that has a say in what is shown, of the subscription `s`, in a column, and what it says.
fn joined(column: &Column, dialect: Dialect) -> Option<(&'static str, &'static str)> {
    Some(match column.name {
        "product_name" => ("catalogue", sql::PRODUCT_NAME),
        "price_nickname" => ("catalogue", sql::PRICE_NICKNAME),
        "items" => ("catalogue", sql::ITEMS.text(dialect)),
        "parked" => ("parked", sql::PARKED),
        "event_count" => ("timeline", sql::EVENT_COUNT),
        _ => return None,
    })
}

pub(in crate::store) mod sql {
    use crate::store::db::Statement;

    crate::store::db::statements! {
        COLUMNS = sqlite "SELECT t.name AS of_table, c.name, c.type FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
            WHERE t.type = 'table' AND t.name GLOB '*_g' || $1",
            postgres "SELECT t.relname::text AS of_table, c.attname::text AS name,
                replace(format_type(c.atttypid, c.atttypmod), 'timestamp with time zone', 'timestamptz') AS type
            FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid
            WHERE t.relkind = 'r' AND t.relnamespace = 'subledger_read'::regnamespace AND t.relname ~ ('_g' || $1::text || '$')
                AND c.attnum > 0 AND NOT c.attisdropped";
    }

    // Parts of statements, and statements with names to fill in.
    /// In PostgreSQL it stays the same view while columns are only appended, and keeps what was granted on it.
    pub(in crate::store) const VIEW: Statement = Statement {
        sqlite: "DROP VIEW IF EXISTS current_subscriptions;
            CREATE VIEW current_subscriptions AS SELECT {columns} FROM {tables}",
        postgres: "DO $view$ BEGIN
                CREATE OR REPLACE VIEW current_subscriptions AS SELECT {columns} FROM {tables};
            EXCEPTION WHEN invalid_table_definition THEN
                DROP VIEW current_subscriptions;
                CREATE VIEW current_subscriptions AS SELECT {columns} FROM {tables};
            END $view$",
    };
    pub(in crate::store) const SUBSCRIPTIONS: &str = "current_subscriptions_g{g} AS s";
    /// What the catalogue says of the first item.
    pub(in crate::store) const CATALOGUE_JOINS: &str = "
            LEFT JOIN catalogue_g{g} AS product ON product.account = s.account AND product.livemode = s.livemode AND product.id = s.product_id
            LEFT JOIN catalogue_g{g} AS price ON price.account = s.account AND price.livemode = s.livemode AND price.id = s.price_id";
    pub(in crate::store) const PRODUCT_NAME: &str =
        "CASE WHEN product.id IS NULL THEN s.product_name ELSE product.name END";
    pub(in crate::store) const PRICE_NICKNAME: &str =
        "CASE WHEN price.id IS NULL THEN s.price_nickname ELSE price.name END";
    /// The view must be readable with SQLite 3.35: no ORDER BY inside of an aggregate (3.44) and no `->>` (3.38). One view that cannot be parsed makes the whole file unreadable.
    ///
    /// PostgreSQL cannot know that a row has few items, and with OFFSET it looks each name up.
    pub(in crate::store) const ITEMS: Statement = Statement {
        sqlite: "(SELECT '[' || coalesce(group_concat(items.item), '') || ']' FROM (
                SELECT json_set(item.value,
                    '$.product_name', iif(product.id IS NULL, json_extract(item.value, '$.product_name'), product.name),
                    '$.price_nickname', iif(price.id IS NULL, json_extract(item.value, '$.price_nickname'), price.name)) AS item
                FROM json_each(s.items) AS item
                LEFT JOIN catalogue_g{g} AS product ON product.account = s.account AND product.livemode = s.livemode
                    AND product.id = json_extract(item.value, '$.product_id')
                LEFT JOIN catalogue_g{g} AS price ON price.account = s.account AND price.livemode = s.livemode
                    AND price.id = json_extract(item.value, '$.price_id')
                ORDER BY item.key) AS items)",
        postgres: "(SELECT coalesce(jsonb_agg(item.value || jsonb_build_object(
                'product_name', CASE WHEN product.id IS NULL THEN item.value ->> 'product_name' ELSE product.name END,
                'price_nickname', CASE WHEN price.id IS NULL THEN item.value ->> 'price_nickname' ELSE price.name END)
                ORDER BY item.ordinality), '[]'::jsonb)
            FROM jsonb_array_elements(s.items) WITH ORDINALITY AS item
            LEFT JOIN LATERAL (SELECT id, name FROM catalogue_g{g} WHERE account = s.account AND livemode = s.livemode
                AND id = item.value ->> 'product_id' OFFSET 0) AS product ON TRUE
            LEFT JOIN LATERAL (SELECT id, name FROM catalogue_g{g} WHERE account = s.account AND livemode = s.livemode
                AND id = item.value ->> 'price_id' OFFSET 0) AS price ON TRUE)",
    };
    pub(in crate::store) const PARKED: &str = "(SELECT count(*) FROM parked_g{g} AS p WHERE p.account = s.account AND p.livemode = s.livemode
            AND p.subscription_id = s.subscription_id)";
    pub(in crate::store) const EVENT_COUNT: &str = "(SELECT count(*) FROM timeline_g{g} AS t WHERE t.account = s.account AND t.livemode = s.livemode
            AND t.customer_id = s.customer_id AND t.subscription_id = s.subscription_id)";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_this_program_has_is_read_from_its_own_definition() {
        use sqlx::Connection as _;

        let mut connection =
            sqlx::sqlite::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mut session = Session::Sqlite(&mut connection);
        session.run(for_generation(tables_and_indexes(Dialect::Sqlite).0, 7)).await.unwrap();
        let made = GenerationSchema::load(&mut session, 7).await.unwrap();
        let defined = GenerationSchema::current(7, Dialect::Sqlite);
        assert_eq!(made.columns, defined.columns);
        assert!(
            TABLE_NAMES.iter().all(|table| defined.has(table) && !made.columns[*table].is_empty())
        );
        let columns: Vec<_> = columns_of(Dialect::Sqlite, "current_subscriptions").collect();
        assert!(INDISPENSABLE.iter().all(|it| columns.iter().any(|c| c.0 == *it)));
    }

    #[test]
    fn both_databases_have_the_same_columns() {
        for table in TABLE_NAMES {
            let of = |dialect| columns_of(dialect, table).map(|(name, _)| name).collect::<Vec<_>>();
            assert_eq!(of(Dialect::Sqlite), of(Dialect::Postgres), "{table}");
        }
    }
}
