//! Two generations side by side, in one read transaction: how many subscriptions differ, and which.
//!
//! Stored columns are compared, and only those that both generations have. What the view joins (the
//! names of products and prices) is no subscription's own: a product that is renamed changes no row.

use futures_util::TryStreamExt as _;

use super::difference::{
    AccessCounts, AccessEffect, ChangeKind, ChangedSubscription, DiffCounts, FieldChange,
    FieldCount,
};
use super::generation::{self, Generation, for_generation, is_joined};
use super::subscriptions::{limit_of, read_customer};
use super::{GenerationId, GenerationStatus, ReadModel, timeline};
use crate::ids::SubscriptionId;
use crate::projection::column::{Column, ColumnType};
use crate::projection::row::SubscriptionRow;
use crate::store::StoreError;
use crate::store::db::{Dialect, Query, Reader, Row, Statement, bind_instant};
use crate::time::StripeTime;

/// The live generation and another one, both as they stood at one moment.
#[derive(Debug)]
pub struct Comparison {
    /// The live one.
    pub old: Generation,
    /// The one that may replace it.
    pub new: Generation,
    /// Fields that only the live one has.
    pub only_old: Vec<String>,
    /// Fields that only the other one has.
    pub only_new: Vec<&'static str>,
    /// The instant at which access is judged.
    now: StripeTime,
    /// What both have, but for the primary key.
    columns: Vec<Column>,
    /// Everything is read as it stood at that moment.
    reader: Reader,
}

/// Fields without which a table cannot be compared at all.
const NEEDED: [&str; 3] = ["entitled", "entitled_until", "user_id"];
/// What decides on access, and says enough about a subscription that only one generation has.
const DECISIVE: [&str; 3] = ["status", "entitled", "entitled_until"];
/// Whose row it is, which is not compared but joined.
const KEY: [&str; 4] = ["account", "livemode", "customer_id", "subscription_id"];

impl ReadModel {
    /// Sets a generation beside the live one. None where no other one is live.
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
            match generation::read(row)? {
                generation if generation.id == new => found = Some(generation),
                generation if generation.status == GenerationStatus::Live => {
                    live = Some(generation);
                }
                _ => {}
            }
        }
        let new = found.ok_or(StoreError::NoGeneration(new))?;
        let Some(old) = live else { return Ok(None) };
        let columns = for_generation(session.text(sql::COLUMNS), old.id);
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

    /// How many subscriptions a generation has, and how many of them grant access.
    pub async fn access_count(
        &self,
        generation: GenerationId,
        now: StripeTime,
    ) -> Result<DiffCounts, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let statement = for_generation(session.text(sql::ACCESS_COUNT), generation);
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
    /// Whether both have folded the same events.
    pub fn has_equal_positions(&self) -> bool {
        self.old.position == self.new.position
    }

    /// Whether the live generation has what every comparison is about. An older schema may not.
    pub fn is_possible(&self) -> bool {
        !self.only_new.iter().any(|name| NEEDED.contains(name) || KEY.contains(name))
    }

    /// Counts all differences, in one walk over both tables.
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

    /// The events that each could not fold: the old one, and the new one.
    pub async fn parked(&mut self) -> Result<(i64, i64), StoreError> {
        let mut counts = [0; 2];
        for (count, id) in counts.iter_mut().zip([self.old.id, self.new.id]) {
            let mut session = self.reader.session();
            let statement = for_generation(session.text(timeline::sql::PARKED_COUNT), id);
            *count = session.query(statement).fetch_one().await?.get(0)?;
        }
        Ok(counts.into())
    }

    /// Visits the subscriptions of one mode that differ to this effect, at most `limit` of them, by
    /// account and id. They are read one after another: memory does not grow with their number.
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

    /// The one that has folded more, if one has.
    fn ahead(&self) -> Option<GenerationId> {
        let ahead = if self.old.position > self.new.position { &self.old } else { &self.new };
        (!self.has_equal_positions()).then_some(ahead.id)
    }

    fn statement(&mut self, template: Statement) -> String {
        let dialect = self.reader.session().dialect();
        fill_template(template, dialect, (self.old.id, self.new.id), self.ahead(), &self.columns)
    }

    /// With the instant, and where the generations part.
    fn query(&mut self, statement: String) -> Query<'_> {
        let parted = self.old.position.min(self.new.position).0;
        let now = self.now;
        // The reader's connection, not a session that ends here.
        bind_instant(self.reader.session().into_query(statement), now).bind(parted)
    }
}

/// A statement on the tables of two generations, for these columns.
pub(in crate::store) fn fill_template(
    template: Statement,
    dialect: Dialect,
    (old, new): (GenerationId, GenerationId),
    ahead: Option<GenerationId>,
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
        .replace("{ahead}", &ahead.unwrap_or(new).to_string())
        .replace("{old}", &old.to_string())
        .replace("{new}", &new.to_string())
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

/// A stored value as the API shows it. An older table may hold another type under the same name; it is
/// shown as it is.
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
        /// Each branch walks along the index by id, so that nothing has to be sorted: with the plus sign SQLite does
        /// not take the mode for a constant, and finds the order in the index.
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
                (SELECT account, livemode, customer_id FROM timeline_g{ahead} WHERE position > $1)";
    }

    // Parts of statements.
    pub(in crate::store) const PAIRS: &str = "n.account = o.account AND n.livemode = o.livemode
            AND n.customer_id = o.customer_id AND n.subscription_id = o.subscription_id";
    /// Whether access is granted; a row that is not there grants none.
    pub(in crate::store) const ACTIVE: Statement = Statement {
        sqlite: "({row}.entitled AND ({row}.entitled_until IS NULL OR {row}.entitled_until > $1)) IS TRUE",
        postgres: "({row}.entitled AND ({row}.entitled_until IS NULL OR {row}.entitled_until > to_timestamp($1))) IS TRUE",
    };
    /// Not of a customer of whom one generation has folded more than the other.
    pub(in crate::store) const COMPARED: &str = "NOT EXISTS (SELECT 1 FROM timeline_g{ahead} AS later
            WHERE later.account = pair.account AND later.livemode = pair.livemode AND later.customer_id = pair.customer_id
                AND later.position > $2)";
    pub(in crate::store) const DIFFERENCE: &str =
        "o.{column} IS DISTINCT FROM n.{column} AS differs_{column}";
    pub(in crate::store) const COUNT_FIELD: &str =
        "count(*) FILTER (WHERE in_old AND in_new AND differs_{column}) AS {column}";
    /// A line for a field that differs.
    pub(in crate::store) const FIELD: Statement = Statement {
        sqlite: "CASE WHEN o.{column} IS DISTINCT FROM n.{column}
            THEN json_array('{column}', {from}, {to}) || char(10) ELSE '' END",
        postgres: "CASE WHEN o.{column} IS DISTINCT FROM n.{column}
            THEN json_build_array('{column}', {from}, {to})::text || chr(10) ELSE '' END",
    };
    /// An instant as it is shown.
    pub(in crate::store) const SHOWN_INSTANT: Statement = Statement {
        sqlite: "{it}",
        postgres: "to_char({it} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    };
}
