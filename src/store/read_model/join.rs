//! Joined tables of a new generation: all of their rows at once, after those that they are joined from.

use super::fold::FoldBatch;
use super::handle::ReadModel;
use super::lease::Lease;
use super::rows;
use super::tables::{GenerationTables, TableGroup};
use crate::projection::read_model::{MadeRows, Projection, Row, RowsFrom, Table};
use crate::store::error::StoreError;

/// Joined table, and the table that its rows are joined from.
#[derive(Clone, Copy, Debug)]
pub struct Joining {
    projection: &'static dyn Projection,
    /// Index of the joined table in the definition.
    index: usize,
    table: &'static Table,
    from: &'static Table,
}

/// Groups of rows that are joined, read in the order of the joined table's key.
#[derive(Debug)]
pub struct JoinedGroups {
    read_model: ReadModel,
    tables: GenerationTables,
    joining: Joining,
    /// Order in which rows are read: the key of the joined table, and the rest of their own.
    order: Vec<&'static str>,
    /// Last row that was read. None at the beginning.
    last: Option<Row>,
    /// Rows of the last group, which may go on.
    open: Vec<Row>,
    is_at_end: bool,
}

impl ReadModel {
    /// Joined tables of the read models that a generation makes itself.
    pub fn joinings(&self, of: GenerationTables) -> Vec<Joining> {
        let mut joinings = Vec::new();
        for projection in of.own_projections() {
            let tables = projection.definition().tables;
            for (index, table) in tables.iter().enumerate() {
                let RowsFrom::Joined(from) = table.rows else { continue };
                let from = tables.iter().find(|it| it.name == from);
                joinings.extend(from.map(|from| Joining { projection, index, table, from }));
            }
        }
        joinings
    }

    /// Creates the indexes of the table that rows are joined from. False if another process has taken the lease.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn index_for_join(
        &self,
        lease: &Lease,
        joining: Joining,
    ) -> Result<bool, StoreError> {
        let group = TableGroup::of(joining.projection);
        let on = format!(" ON {} (", group.name_of(joining.from.name));
        let indexes = group.indexes(self.database().dialect()).filter(|it| it.contains(&on));
        self.create_indexes(lease, indexes.collect()).await
    }
}

impl Joining {
    /// Joins groups of rows. Rows that cannot be joined park their customers.
    pub fn join(self, groups: Vec<Vec<Row>>) -> FoldBatch {
        let mut made = MadeRows::new(self.projection);
        for group in groups {
            if group.first().and_then(|row| self.table.joined_key(self.from, row)).is_none() {
                continue;
            }
            match rows::join(self.projection, (self.table, self.from), group) {
                Ok(row) => made.tables[self.index].extend(row),
                Err(parked) => made.parked.extend(parked),
            }
        }
        FoldBatch { rows: vec![made], ..FoldBatch::default() }
    }

    /// True if two rows are joined into one.
    fn are_together(self, a: &Row, b: &Row) -> bool {
        self.from.values(a, self.table.key) == self.from.values(b, self.table.key)
    }
}

impl JoinedGroups {
    /// Begins to read the rows of a generation.
    pub fn new(read_model: ReadModel, tables: GenerationTables, joining: Joining) -> Self {
        let Joining { table, from, .. } = joining;
        let rest = from.key.iter().filter(|name| !table.key.contains(name));
        let order = table.key.iter().chain(rest).copied().collect();
        let (last, open, is_at_end) = (None, Vec::new(), false);
        Self { read_model, tables, joining, order, last, open, is_at_end }
    }

    /// Reads the next groups, of about this many rows together. Empty at the end.
    pub async fn next(&mut self, rows: usize) -> Result<Vec<Vec<Row>>, StoreError> {
        let mut groups = Vec::new();
        while groups.is_empty() && !self.is_at_end {
            let page = self.read(rows).await?;
            self.is_at_end = page.len() < rows;
            for row in page {
                let is_next =
                    self.open.last().is_some_and(|it| !self.joining.are_together(it, &row));
                if is_next {
                    groups.push(std::mem::take(&mut self.open));
                }
                self.open.push(row);
            }
            if self.is_at_end && !self.open.is_empty() {
                groups.push(std::mem::take(&mut self.open));
            }
        }
        Ok(groups)
    }

    async fn read(&mut self, limit: usize) -> Result<Vec<Row>, StoreError> {
        let mut reader = self.read_model.0.db.read().await?;
        let after = self.last.as_ref().map(|row| self.joining.from.values(row, &self.order));
        let mut session = reader.session();
        let page = rows::page(
            &mut session,
            self.tables,
            self.joining.from,
            &self.order,
            after.as_ref(),
            limit,
        );
        let page = page.await?;
        self.last = page.last().cloned().or_else(|| self.last.take());
        Ok(page)
    }
}
