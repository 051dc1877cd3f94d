//! Comparison of two generations in one read transaction: the number of subscriptions that differ, and the list of
//! them.
//!
//! Only stored columns that both generations have are compared. Joined columns, such as the names of products and
//! prices, are not: renaming a product changes no row.

use futures_util::TryStreamExt as _;

use super::diff_sql::{count_template, fill_template, sql};
use super::difference::{
    AccessCounts, AccessEffect, ChangeKind, ChangedSubscription, DiffCounts, FieldChange,
    FieldCount, ReadModelDiff,
};
use super::generation::{self, Generation, GenerationStatus};
use super::generation_id::GenerationId;
use super::handle::ReadModel;
use super::schema::GenerationSchema;
use super::subscriptions::{limit_of, read_customer};
use super::tables::{GenerationTables, is_joined};
use super::timeline;
use crate::ids::SubscriptionId;
use crate::projection::column::{Column, ColumnType};
use crate::projection::current_subscriptions::CURRENT_SUBSCRIPTIONS;
use crate::projection::read_model::{Projections, Table};
use crate::projection::row::SubscriptionRow;
use crate::store::db::{Query, Reader, Row, Statement, bind_instant};
use crate::store::error::StoreError;
use crate::time::StripeTime;

/// Comparison of the live generation with another one, at one moment.
#[derive(Debug)]
pub struct Comparison {
    /// Live generation.
    pub old: Generation,
    /// Generation that may replace it.
    pub new: Generation,
    /// Fields that only the live generation has.
    pub only_old: Vec<String>,
    /// Fields that only the new generation has.
    pub only_new: Vec<&'static str>,
    /// Instant for which access is compared.
    now: StripeTime,
    /// Columns that both have, without the primary key.
    columns: Vec<Column>,
    /// Read transaction of the comparison.
    reader: Reader,
}

/// Fields that every comparison requires.
const REQUIRED: [&str; 3] = ["entitled", "entitled_until", "user_id"];
/// Fields that decide about access. They are shown for a subscription that only one generation has.
const DECISIVE: [&str; 3] = ["status", "entitled", "entitled_until"];
/// Primary key, by which rows are joined.
const KEY: [&str; 4] = ["account", "livemode", "customer_id", "subscription_id"];

impl ReadModel {
    /// Begins the comparison of a generation with the live one. None if no other generation is live.
    #[tracing::instrument(skip_all)]
    pub async fn compare(
        &self,
        new: GenerationId,
        now: StripeTime,
    ) -> Result<Option<Comparison>, StoreError> {
        let mut reader = self.0.db.read_transaction().await?;
        let mut session = reader.session();
        session.disable_timeouts().await?;
        let rows = session.query(generation::sql::ALL).fetch_all().await?;
        let (mut found, mut live) = (None, None);
        for row in &rows {
            match generation::read(row, self.projections())? {
                generation if generation.id == new => found = Some(generation),
                generation if generation.status == GenerationStatus::Live => {
                    live = Some(generation);
                }
                _ => {}
            }
        }
        let new = found.ok_or(StoreError::NoGeneration(new))?;
        let Some(old) = live else { return Ok(None) };
        let columns = old.tables().fill(session.text(sql::COLUMNS));
        let of_old = session.query(columns).fetch_all().await?;
        let of_old: Vec<String> = of_old.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        let ours = SubscriptionRow::COLUMNS.iter().filter(|column| !is_joined(column));
        let (both, only_new): (Vec<Column>, Vec<Column>) =
            ours.partition(|column| of_old.iter().any(|name| name == column.name));
        let is_ours = |name: &String| both.iter().any(|column| column.name == name);
        Ok(Some(Comparison {
            only_old: of_old.iter().filter(|name| !is_ours(name)).cloned().collect(),
            only_new: only_new.iter().map(|column| column.name).collect(),
            columns: both.into_iter().filter(|it| !KEY.contains(&it.name)).collect(),
            old,
            new,
            now,
            reader,
        }))
    }

    /// Counts the subscriptions of a generation, and those that grant access.
    #[tracing::instrument(skip_all)]
    pub async fn access_count(
        &self,
        generation: GenerationId,
        now: StripeTime,
    ) -> Result<DiffCounts, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let tables = self.tables_of(&mut session, generation).await?;
        let statement = tables.fill(session.text(sql::ACCESS_COUNT));
        let row = bind_instant(session.query(statement), now).fetch_one().await?;
        let (appear, live, test) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let all = |after| AccessCounts { after, gain: after, ..AccessCounts::default() };
        Ok(DiffCounts {
            appear,
            live_mode: all(live),
            test_mode: all(test),
            ..DiffCounts::default()
        })
    }
}

impl Comparison {
    /// True if both generations have folded the same events.
    pub fn has_equal_positions(&self) -> bool {
        self.old.position == self.new.position
    }

    /// True if the live generation has the required fields. One with an older schema may not.
    pub fn is_possible(&self) -> bool {
        !self.only_new.iter().any(|name| REQUIRED.contains(name) || KEY.contains(name))
    }

    /// Counts all differences, in one scan of both tables.
    #[tracing::instrument(skip_all)]
    pub async fn counts(&mut self) -> Result<DiffCounts, StoreError> {
        let statement = self.statement(sql::COUNTS);
        let row = self.query(statement).fetch_one().await?;
        let at = |index: usize| row.get::<i64, _>(index);
        let access = |first: usize| -> Result<AccessCounts, StoreError> {
            Ok(AccessCounts {
                before: at(first)?,
                after: at(first + 1)?,
                lose: at(first + 2)?,
                gain: at(first + 3)?,
            })
        };
        let mut fields = Vec::new();
        for (index, Column { name: field, .. }) in self.columns.iter().enumerate() {
            fields.push(FieldCount { field, change: at(12 + index)? });
        }
        fields.retain(|count| count.change > 0);
        fields.sort_by_key(|count| std::cmp::Reverse(count.change));
        Ok(DiffCounts {
            appear: at(0)?,
            disappear: at(1)?,
            change: at(2)?,
            same: at(3)?,
            left_out: self.left_out().await?,
            live_mode: access(4)?,
            test_mode: access(8)?,
            fields,
        })
    }

    /// Counts the rows that differ in the main tables of all other read models. A read model that both share, or that only
    /// one has, is not compared. None are compared if the generations have folded different events.
    #[tracing::instrument(skip_all)]
    pub async fn read_models(
        &mut self,
        projections: Projections,
    ) -> Result<Vec<ReadModelDiff>, StoreError> {
        let mut differences = Vec::new();
        if !self.has_equal_positions() {
            return Ok(differences);
        }
        let (old, new) = (self.old.tables(), self.new.tables());
        let mut session = self.reader.session();
        let schema = GenerationSchema::load(&mut session, old, projections).await?;
        for projection in projections {
            let read_model = projection.name();
            let is_main = |it: &&Table| it.name == read_model && it.name != CURRENT_SUBSCRIPTIONS;
            let Some(table) = projection.definition().tables.iter().find(is_main) else { continue };
            let makers = (old.maker_of(read_model), new.maker_of(read_model));
            if makers.0 == makers.1 || !schema.has(table.name) {
                continue;
            }
            let row = session.query(count_template(table, makers)).fetch_one().await?;
            differences.push(ReadModelDiff {
                read_model,
                appear: row.get(0)?,
                disappear: row.get(1)?,
                change: row.get(2)?,
                same: row.get(3)?,
            });
        }
        Ok(differences)
    }

    /// Counts the events that the old and the new generation could not fold.
    pub async fn parked(&mut self) -> Result<(i64, i64), StoreError> {
        let mut counts = [0; 2];
        for (count, tables) in counts.iter_mut().zip([self.old.tables(), self.new.tables()]) {
            let mut session = self.reader.session();
            let statement = tables.fill(session.text(timeline::sql::PARKED_COUNT));
            *count = session.query(statement).fetch_one().await?.get(0)?;
        }
        Ok(counts.into())
    }

    /// Visits at most `limit` subscriptions of one mode that differ with this effect, ordered by account and id. They
    /// are streamed: memory does not grow with their number.
    #[tracing::instrument(skip_all)]
    pub async fn changes(
        &mut self,
        effect: AccessEffect,
        livemode: bool,
        limit: usize,
        mut visit: impl FnMut(ChangedSubscription),
    ) -> Result<usize, StoreError> {
        let statement = self.statement(sql::CHANGES).replace("{effect}", effect.condition());
        if limit == 0 {
            return Ok(0);
        }
        let columns = self.columns.clone();
        let mut rows = self.query(statement).bind(livemode).bind(limit_of(limit)).fetch();
        let mut visited = 0;
        while let Some(row) = rows.try_next().await? {
            visit(read(&row, effect, &columns)?);
            visited += 1;
        }
        Ok(visited)
    }

    async fn left_out(&mut self) -> Result<i64, StoreError> {
        if self.has_equal_positions() {
            return Ok(0);
        }
        let statement = self.statement(sql::LEFT_OUT);
        let parted = self.old.position.min(self.new.position).0;
        self.reader.session().query(statement).bind(parted).fetch_one().await?.get(0)
    }

    /// Generation that has folded more, if there is one.
    fn ahead(&self) -> Option<GenerationTables> {
        let ahead = if self.old.position > self.new.position { &self.old } else { &self.new };
        (!self.has_equal_positions()).then(|| ahead.tables())
    }

    fn statement(&mut self, template: Statement) -> String {
        let dialect = self.reader.session().dialect();
        let pair = (self.old.tables(), self.new.tables());
        fill_template(template, dialect, pair, self.ahead(), &self.columns)
    }

    /// Creates a query with the instant and the last common position.
    fn query(&mut self, statement: String) -> Query<'_> {
        let parted = self.old.position.min(self.new.position).0;
        let now = self.now;
        // The query must outlive this session.
        bind_instant(self.reader.session().into_query(statement), now).bind(parted)
    }
}

fn read(
    row: &Row,
    effect: AccessEffect,
    columns: &[Column],
) -> Result<ChangedSubscription, StoreError> {
    let kind = match (row.get(5)?, row.get(6)?) {
        (true, true) => ChangeKind::Changes,
        (true, false) => ChangeKind::Disappears,
        (false, _) => ChangeKind::Appears,
    };
    let lines: &str = row.get(7)?;
    let mut fields = Vec::new();
    for line in lines.lines() {
        let (name, from, to): (&str, _, _) = serde_json::from_str(line).map_err(unreadable)?;
        let Some(column) = columns.iter().find(|column| column.name == name) else { continue };
        if kind == ChangeKind::Changes || DECISIVE.contains(&name) {
            let (from, to) = (value(column.column_type, from), value(column.column_type, to));
            fields.push(FieldChange { field: column.name, from, to });
        }
    }
    Ok(ChangedSubscription {
        customer: read_customer(row)?,
        subscription: SubscriptionId::new(row.get::<String, _>(3)?),
        user_id: row.get(4)?,
        kind,
        effect,
        fields,
    })
}

/// Converts a stored value to its form in the API. A value of another type, from an older table, stays as it is.
fn value(kind: ColumnType, stored: serde_json::Value) -> serde_json::Value {
    match (kind, &stored) {
        (ColumnType::Bool, serde_json::Value::Number(number)) => {
            (number.as_i64() != Some(0)).into()
        }
        (ColumnType::Json, serde_json::Value::String(text)) => {
            serde_json::from_str(text).unwrap_or(stored)
        }
        _ => stored,
    }
}

fn unreadable(error: serde_json::Error) -> StoreError {
    StoreError::Internal(error.into())
}
