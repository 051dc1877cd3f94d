//! Schema of a generation: the columns of its tables, and the statements that read them.
//!
//! A generation of another version of this program may lack columns or tables. A missing column reads as in an empty
//! row, except if an answer about access depends on it.

use std::collections::{HashMap, HashSet};

use super::filter::LeadingTable;
use super::select::{joined, literal, sql as templates};
use super::tables::{
    FOLD_LAYER_TABLES, GenerationTables, columns_of, is_joined, name_template, table_names,
};
use crate::projection::column::{Column, Value};
use crate::projection::read_model::{Projection, Projections};
use crate::projection::row::SubscriptionRow;
use crate::store::db::{Dialect, Session, Statement};
use crate::store::error::StoreError;

/// Columns that an answer about access depends on. A default in place of one of them would be a wrong answer.
const REQUIRED: [&str; 13] = [
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

/// Columns of a generation's tables, and the statements that read them.
#[derive(Debug)]
pub(in crate::store) struct GenerationSchema {
    pub(super) tables: GenerationTables,
    dialect: Dialect,
    /// Read models that this process knows.
    projections: Projections,
    /// Name and type of every column, by table.
    columns: HashMap<String, HashSet<(String, String)>>,
    /// Tables that have all columns that this program requires.
    usable: HashSet<&'static str>,
    /// Statements that read subscriptions. None if a required column is missing.
    selects: Option<Selects>,
    /// Statements that find subscriptions by the properties of their items. None if that table is missing.
    selects_by_items: Option<Selects>,
    /// Statement that reads the access of a user or customer.
    access: Option<String>,
}

/// Statements that read subscriptions, without and with the stamp of the live generation.
#[derive(Debug)]
struct Selects {
    plain: Select,
    stamped: Select,
}

/// Template of a statement that reads subscriptions, without its conditions.
#[derive(Debug)]
pub(in crate::store) struct Select {
    pub(in crate::store) leading: LeadingTable,
    pub(in crate::store) text: String,
}

impl GenerationSchema {
    pub(super) async fn load(
        session: &mut Session<'_>,
        tables: GenerationTables,
        projections: Projections,
    ) -> Result<Self, StoreError> {
        let mut columns: HashMap<_, HashSet<_>> = HashMap::new();
        let names = |projection: &dyn Projection| {
            projection.definition().tables.iter().map(|table| table.name).collect::<Vec<_>>()
        };
        let of_read_models =
            tables.made_by.all().map(|(it, number)| (names(it), format!("g{number}")));
        let groups = of_read_models.chain([(FOLD_LAYER_TABLES.to_vec(), tables.layer_suffix())]);
        for (of_group, suffix) in groups.collect::<Vec<_>>() {
            for row in session.query(sql::COLUMNS).bind(suffix.as_str()).fetch_all().await? {
                let (table, name, sql_type): (&str, _, _) = (row.get(0)?, row.get(1)?, row.get(2)?);
                let table = table.strip_suffix(&suffix).and_then(|it| it.strip_suffix('_'));
                if let Some(table) = table.filter(|table| of_group.contains(table)) {
                    columns.entry(table.to_owned()).or_default().insert((name, sql_type));
                }
            }
        }
        Ok(Self::new(tables, session.dialect(), projections, columns))
    }

    /// Schema of a generation of this version of the program.
    #[cfg(test)]
    pub(in crate::store) fn current(tables: GenerationTables, dialect: Dialect) -> Self {
        use crate::projection::read_model::PROJECTIONS;

        let owned = |(name, sql_type): (&str, &str)| (name.to_owned(), sql_type.to_owned());
        let columns = table_names(PROJECTIONS).map(|table| {
            let columns = columns_of(PROJECTIONS, dialect, table).map(owned);
            (table.to_owned(), columns.collect::<HashSet<_>>())
        });
        Self::new(tables, dialect, PROJECTIONS, columns.collect())
    }

    fn new(
        tables: GenerationTables,
        dialect: Dialect,
        projections: Projections,
        columns: HashMap<String, HashSet<(String, String)>>,
    ) -> Self {
        let mut schema = Self {
            tables,
            dialect,
            projections,
            columns,
            usable: HashSet::new(),
            selects: None,
            selects_by_items: None,
            access: None,
        };
        schema.usable = table_names(projections).filter(|table| schema.is_usable(table)).collect();
        if schema.has("current_subscriptions") {
            schema.selects = Some(schema.selects_led_by(LeadingTable::Subscriptions));
            let by_items = schema
                .has("item_properties")
                .then(|| schema.selects_led_by(LeadingTable::ItemProperties));
            schema.selects_by_items = by_items;
            schema.access = Some(schema.fill(templates::ACCESS));
        }
        schema
    }

    /// True if every table has all columns that this program requires.
    pub(super) fn is_complete(&self) -> bool {
        table_names(self.projections).all(|table| self.has(table))
    }

    /// True if a table has all columns that this program requires.
    pub(super) fn has(&self, table: &str) -> bool {
        self.usable.contains(table)
    }

    fn is_usable(&self, table: &str) -> bool {
        columns_of(self.projections, self.dialect, table).all(|column| {
            let dispensable = table == "current_subscriptions" && !REQUIRED.contains(&column.0);
            dispensable || self.stores(table, column)
        })
    }

    /// Fills a statement for this generation, if all of its tables have the required columns.
    pub(super) fn statement(&self, template: Statement) -> Result<String, StoreError> {
        let template = template.text(self.dialect);
        // With a leading space, because the name of one table is the end of the name of another.
        let reads = |table: &&str| template.contains(&format!(" {}", name_template(table)));
        if table_names(self.projections).filter(reads).all(|table| self.has(table)) {
            return Ok(self.tables.fill(template));
        }
        Err(StoreError::OtherVersion(self.tables.generation))
    }

    /// Statement that reads subscriptions, through the leading table if the generation has it.
    pub(in crate::store) fn select(&self, leading: LeadingTable) -> Result<&Select, StoreError> {
        self.selects(leading).map(|it| &it.plain)
    }

    /// Statement that reads subscriptions together with the stamp of the live generation.
    pub(in crate::store) fn select_stamped(
        &self,
        leading: LeadingTable,
    ) -> Result<&Select, StoreError> {
        self.selects(leading).map(|it| &it.stamped)
    }

    fn selects(&self, leading: LeadingTable) -> Result<&Selects, StoreError> {
        let by_items =
            self.selects_by_items.as_ref().filter(|_| leading == LeadingTable::ItemProperties);
        by_items.or(self.selects.as_ref()).ok_or(StoreError::OtherVersion(self.tables.generation))
    }

    fn selects_led_by(&self, leading: LeadingTable) -> Selects {
        let template = match leading {
            LeadingTable::Subscriptions => templates::SELECT,
            LeadingTable::ItemProperties => templates::SELECT_BY_ITEMS,
        };
        let text = self.fill(template.text(self.dialect));
        let stamped = templates::STAMPED.replace("{page}", &text);
        Selects { plain: Select { leading, text }, stamped: Select { leading, text: stamped } }
    }

    /// Statement that reads the access of a user or customer.
    pub(in crate::store) fn access(&self) -> Result<&str, StoreError> {
        self.access.as_deref().ok_or(StoreError::OtherVersion(self.tables.generation))
    }

    /// Statements that point the views at this generation.
    pub(super) fn view(&self) -> Result<String, StoreError> {
        self.selects(LeadingTable::Subscriptions)?;
        let users = if self.has("user_access") {
            templates::USERS_VIEW.text(self.dialect)
        } else {
            templates::NO_USERS_VIEW
        };
        // That of subscriptions comes last: it is compared with what the database has.
        Ok(self.tables.fill(users) + &self.fill(templates::VIEW.text(self.dialect)))
    }

    /// Fills the columns and tables of this generation into a template.
    fn fill(&self, template: &str) -> String {
        let of_nothing = SubscriptionRow::default().to_values();
        let columns = SubscriptionRow::COLUMNS.iter().zip(&of_nothing);
        let columns: Vec<_> =
            columns.map(|(column, absent)| self.expression(column, absent)).collect();
        let joins = if self.has("catalogue") { templates::CATALOGUE_JOINS } else { "" };
        let tables = format!("{}{{joins}}", templates::SUBSCRIPTIONS);
        let text = template
            .replace("{columns}", &columns.join(", "))
            .replace("{tables}", &tables)
            .replace("{joins}", joins);
        self.tables.fill(&text)
    }

    /// Expression of a column: joined from another table, stored, or the value of an empty row.
    fn expression(&self, column: &Column, absent: &Value) -> String {
        let name = column.name;
        let stored = self.stores_in_row(name);
        let joined = joined(column, self.dialect).filter(|(table, _)| self.has(table));
        match joined {
            Some((_, expression)) if stored || is_joined(column) => {
                format!("{expression} AS {name}")
            }
            // The column is missing, but the joined table may have its value.
            Some((_, expression)) => {
                let absent = literal(self.dialect, column, absent);
                format!("{} AS {name}", expression.replace(&format!("s.{name}"), &absent))
            }
            _ if stored => format!("s.{name}"),
            _ => format!("{} AS {name}", literal(self.dialect, column, absent)),
        }
    }

    /// True if the rows of subscriptions have a column of this name, of the type that this program knows.
    pub(super) fn stores_in_row(&self, name: &str) -> bool {
        columns_of(self.projections, self.dialect, "current_subscriptions")
            .find(|it| it.0 == name)
            .is_some_and(|column| self.stores("current_subscriptions", column))
    }

    fn stores(&self, table: &str, (name, sql_type): (&str, &str)) -> bool {
        let column = (name.to_owned(), sql_type.to_owned());
        self.columns.get(table).is_some_and(|columns| columns.contains(&column))
    }
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        COLUMNS = sqlite "SELECT t.name AS of_table, c.name, c.type FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
            WHERE t.type = 'table' AND t.name GLOB '*_' || $1",
            postgres "SELECT t.relname::text AS of_table, c.attname::text AS name,
                replace(format_type(c.atttypid, c.atttypmod), 'timestamp with time zone', 'timestamptz') AS type
            FROM pg_class AS t JOIN pg_attribute AS c ON c.attrelid = t.oid
            WHERE t.relkind = 'r' AND t.relnamespace = 'subledger_read'::regnamespace AND t.relname ~ ('_' || $1::text || '$')
                AND c.attnum > 0 AND NOT c.attisdropped";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::read_model::PROJECTIONS;
    use crate::store::read_model::tables::TableGroup;

    #[tokio::test]
    async fn what_this_program_has_is_read_from_its_own_definition() {
        use sqlx::Connection as _;

        let mut connection =
            sqlx::sqlite::SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let mut session = Session::Sqlite(&mut connection);
        let tables = GenerationTables::own(PROJECTIONS, 17, Some(7));
        // Those of others must not be mistaken for its own.
        let others = GenerationTables::own(PROJECTIONS, 7, Some(17));
        for tables in [tables, others] {
            let read_models = PROJECTIONS.iter().map(|it| TableGroup::of(*it));
            for group in read_models.chain([TableGroup::fold_layer()]) {
                let created = tables.fill(group.tables_and_indexes(Dialect::Sqlite).0);
                session.run(created).await.unwrap();
            }
        }
        let made = GenerationSchema::load(&mut session, tables, PROJECTIONS).await.unwrap();
        let defined = GenerationSchema::current(tables, Dialect::Sqlite);
        assert_eq!(made.columns, defined.columns);
        assert!(
            table_names(PROJECTIONS)
                .all(|table| defined.has(table) && !made.columns[table].is_empty())
        );
        let columns: Vec<_> =
            columns_of(PROJECTIONS, Dialect::Sqlite, "current_subscriptions").collect();
        assert!(REQUIRED.iter().all(|it| columns.iter().any(|c| c.0 == *it)));
    }

    #[test]
    fn both_databases_have_the_same_columns() {
        for table in table_names(PROJECTIONS) {
            let of = |dialect| {
                columns_of(PROJECTIONS, dialect, table).map(|(name, _)| name).collect::<Vec<_>>()
            };
            assert_eq!(of(Dialect::Sqlite), of(Dialect::Postgres), "{table}");
        }
    }
}
