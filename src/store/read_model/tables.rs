//! Tables of a generation and of its fold layer, and the statements that create them.

use super::generation_id::{GenerationId, LayerId};
use super::version::MadeBy;
use crate::ids::{CustomerKey, Scope};
use crate::projection::column::Column;
use crate::projection::read_model::{Definition, Projection, Projections};
use crate::projection::row::SubscriptionRow;
use crate::store::db::{Dialect, Row, RowBinder, Session, Statement};
use crate::store::error::StoreError;

/// Group of tables that are created and dropped together.
#[derive(Debug)]
pub(super) struct TableGroup {
    /// Statements that create the tables and indexes.
    sql: Statement,
    /// Names of the tables.
    pub(super) tables: Vec<&'static str>,
    /// End of the tables' names in a template.
    suffix: &'static str,
}

/// Statements that create the tables of a fold layer, which depend on the log and the fold's version alone.
const FOLD_LAYER: Statement = Statement::new(
    include_str!("../../../projections/fold_layer/sqlite.sql"),
    include_str!("../../../projections/fold_layer/postgres.sql"),
);
/// Tables of a fold layer.
pub(super) const FOLD_LAYER_TABLES: [&str; 7] = [
    "customers",
    "timeline",
    "subscription_customers",
    "user_candidates",
    "links",
    "catalogue",
    "parked",
];
/// Tables of earlier versions, which are dropped together with the generations of those versions.
pub(super) const FORMER_TABLES: [&str; 1] = ["user_customers"];
/// Beginning of the indexes, which are created after the rows were written.
const INDEXES: &str = "\nCREATE INDEX";

/// Numbers in the names of the tables of a generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GenerationTables {
    /// Number of the generation.
    pub generation: GenerationId,
    /// Number of its fold layer. None for a generation of an earlier version, whose tables are all its own.
    pub layer: Option<LayerId>,
    /// Generations that made the tables of its read models.
    pub(super) made_by: MadeBy,
}

impl GenerationTables {
    /// Tables of a generation that it has made itself.
    pub(in crate::store) const fn own(
        projections: Projections,
        generation: GenerationId,
        layer: Option<LayerId>,
    ) -> Self {
        Self { generation, layer, made_by: MadeBy::one(projections, generation) }
    }

    /// Fills the numbers into a template.
    pub(in crate::store) fn fill(self, template: &str) -> String {
        const NUMBER: &str = "{g}";
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(at) = rest.find(NUMBER) {
            let (before, after) = (&rest[..at], &rest[at + NUMBER.len()..]);
            let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let name = &before[before.trim_end_matches(in_name).len()..];
            let table = name.strip_suffix("_g").unwrap_or_default();
            let number = self.made_by.of_table(table).unwrap_or(self.generation);
            filled.push_str(before);
            filled.push_str(&number.to_string());
            rest = after;
        }
        filled.push_str(rest);
        filled.replace("{l}", &self.layer_suffix())
    }

    /// Read models whose tables this generation makes, and does not share with an earlier one.
    pub fn own_projections(self) -> impl Iterator<Item = &'static dyn Projection> {
        let own = move |(_, number): &(_, GenerationId)| *number == self.generation;
        self.made_by.all().filter(own).map(|(projection, _)| projection)
    }

    /// Generation that made the tables of a read model.
    pub(super) fn maker_of(self, read_model: &str) -> GenerationId {
        self.made_by.of_read_model(read_model).unwrap_or(self.generation)
    }

    /// End of the names of the layer's tables.
    pub(super) fn layer_suffix(self) -> String {
        match self.layer {
            Some(layer) => layer_suffix(layer),
            None => format!("g{}", self.generation),
        }
    }

    /// True if the fold layer was begun together with this generation.
    pub(super) fn began_layer(self) -> bool {
        self.layer == Some(self.generation)
    }
}

/// End of the names of a layer's tables.
pub(super) fn layer_suffix(layer: LayerId) -> String {
    format!("l{layer}")
}

impl TableGroup {
    /// Tables of a fold layer.
    pub(super) fn fold_layer() -> Self {
        Self { sql: FOLD_LAYER, tables: FOLD_LAYER_TABLES.to_vec(), suffix: "_{l}" }
    }

    /// Tables of a read model, whose rows depend on the states of the fold layer and on the rules.
    pub(super) fn of(projection: &dyn Projection) -> Self {
        let Definition { sqlite, postgres, tables } = projection.definition();
        let tables = tables.iter().map(|table| table.name).collect();
        Self { sql: Statement::new(sqlite, postgres), tables, suffix: "_g{g}" }
    }

    /// Statements that create the tables, and those that create their indexes.
    pub(super) fn tables_and_indexes(&self, dialect: Dialect) -> (&'static str, &'static str) {
        let all = self.sql.text(dialect);
        all.split_at(all.find(INDEXES).unwrap_or(all.len()))
    }

    /// Statements that create the indexes, one by one.
    pub(super) fn indexes(&self, dialect: Dialect) -> impl Iterator<Item = &'static str> {
        self.tables_and_indexes(dialect).1.split(';').filter(|it| !it.trim().is_empty())
    }

    /// Template of a table's name.
    pub(super) fn name_of(&self, table: &str) -> String {
        format!("{table}{}", self.suffix)
    }
}

/// Statements that create the tables of a generation and its fold layer, in both dialects, and the versions of its read
/// models. They are part of the fingerprint of a generation.
pub fn tables_schema(projections: Projections) -> String {
    let of_group = |group: TableGroup| [group.sql.sqlite, group.sql.postgres].concat();
    let versions = projections.iter().map(|it| format!("{} {}\n", it.name(), it.version()));
    groups(projections).map(of_group).chain(versions).collect()
}

/// Names of all tables of a generation and its layer.
pub(super) fn table_names(projections: Projections) -> impl Iterator<Item = &'static str> {
    groups(projections).flat_map(|group| group.tables)
}

/// Tables of the read models of a generation.
pub(super) fn read_model_tables(projections: Projections) -> impl Iterator<Item = &'static str> {
    let definitions = projections.iter().map(|it| it.definition());
    definitions.flat_map(|it| it.tables).map(|table| table.name)
}

fn groups(projections: Projections) -> impl Iterator<Item = TableGroup> {
    let of_read_models = projections.iter().map(|it| TableGroup::of(*it));
    of_read_models.chain(std::iter::once_with(TableGroup::fold_layer))
}

/// Template of a table's name.
pub(super) fn name_template(table: &str) -> String {
    let suffix = if FOLD_LAYER_TABLES.contains(&table) { "_{l}" } else { "_g{g}" };
    format!("{table}{suffix}")
}

/// Names and types of the columns of a table of this program: the first two words of each line of its definition.
pub(super) fn columns_of(
    projections: Projections,
    dialect: Dialect,
    table: &str,
) -> impl Iterator<Item = (&'static str, &'static str)> {
    let begin = format!("CREATE TABLE {} (", name_template(table));
    let group = groups(projections).find(|group| group.tables.contains(&table));
    let statements = group.map_or("", |group| group.tables_and_indexes(dialect).0);
    statements
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

/// Runs a bulk statement on the tables of a generation.
pub(super) async fn bulk<T>(
    session: &mut Session<'_>,
    statement: Statement,
    tables: GenerationTables,
    items: &[T],
    bind: impl Fn(&mut RowBinder<'_, '_>, &T),
) -> Result<Vec<Row>, StoreError> {
    let template = tables.fill(session.text(statement));
    session.bulk_text(&template, statement.columns, items, bind).await
}

/// True if a column is not stored but joined from another table.
pub(super) fn is_joined(column: &Column) -> bool {
    SubscriptionRow::JOINED.contains(&column.name)
}

pub(super) fn bind_scope(to: &mut RowBinder<'_, '_>, scope: &Scope) {
    to.text(scope.account.as_str());
    to.bool(scope.livemode);
}

pub(super) fn bind_customer(to: &mut RowBinder<'_, '_>, key: &CustomerKey) {
    bind_scope(to, &key.scope);
    to.text(key.customer.as_str());
}
