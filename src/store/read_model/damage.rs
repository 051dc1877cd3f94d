//! Damage of the read models: reports by reads, a check, and the replacement of damaged read models.
//!
//! Read models can be rebuilt from the log. The caller must make sure that the log can be read.

use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::filter::SubscriptionFilter;
use super::generation::Generation;
use super::handle::{DamageReport, ReadModel};
use super::open::{create_tables, options, remove, sql};
use super::schema::GenerationSchema;
use super::tables::{name_template, table_names};
use crate::clock::Clock;
use crate::store::db::{Database, Dialect, Session};
use crate::store::error::StoreError;
use crate::store::inspect::{ExpectedTriggers, Inspection, check_integrity, check_triggers};

/// Minimum time for which a check without damage stays valid.
const VALID_MIN: Duration = Duration::from_secs(1);
/// Factor between the duration of a check and the time for which its result stays valid, so that the process does not
/// spend most of its time on checks.
const VALID_FACTOR: u32 = 20;
/// Number of rows that are read at once.
const PAGE_ROWS: usize = 1_000;

impl ReadModel {
    /// Reports that a read found damage, for the follower to check. `is_certain` if the damage is known to be in the
    /// read model.
    pub fn report_damage(&self, is_certain: bool) {
        let mut report = self.damage_reports();
        report.is_certain = Some(is_certain || report.is_certain == Some(true));
    }

    /// True if a damage report was not taken yet.
    pub fn has_damage_report(&self) -> bool {
        self.damage_reports().is_certain.is_some()
    }

    /// Takes the damage report. True if the damage is certain.
    pub fn take_damage_report(&self) -> Option<bool> {
        self.damage_reports().is_certain.take()
    }

    /// True for some time after a check without damage.
    fn is_recently_checked(&self) -> bool {
        self.damage_reports().found_nothing.is_some_and(|(since, valid)| since.elapsed() < valid)
    }

    fn damage_reports(&self) -> MutexGuard<'_, DamageReport> {
        self.0.damage_report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Searches for damage: in the tables and indexes with the means of the database, in the live generation row by
    /// row. Returns the first damage. `is_ours` must be true if this program reads all tables of a generation.
    #[tracing::instrument(skip_all)]
    pub async fn find_damage(
        &self,
        is_ours: impl Fn(&Generation) -> bool,
    ) -> Result<Option<String>, StoreError> {
        let stopwatch = Clock::stopwatch();
        let found = match self.search(is_ours).await {
            Err(StoreError::Corrupt(what) | StoreError::ReadModelDamaged(what)) => Some(what),
            searched => searched?,
        };
        if found.is_none() && !self.is_recently_checked() {
            let valid = (stopwatch.elapsed() * VALID_FACTOR).max(VALID_MIN);
            self.damage_reports().found_nothing = Some((Clock::stopwatch(), valid));
        }
        Ok(found)
    }

    async fn search(
        &self,
        is_ours: impl Fn(&Generation) -> bool,
    ) -> Result<Option<String>, StoreError> {
        if let Some(live) = self.live().await?.filter(is_ours) {
            let mut reader = self.0.db.read().await?;
            let session = &mut reader.session();
            let schema = GenerationSchema::load(session, live.tables(), self.projections()).await?;
            drop(reader);
            if let Some(table) = table_names(self.projections()).find(|table| !schema.has(table)) {
                return Ok(Some(format!(
                    "the table {} is missing",
                    live.tables().fill(&name_template(table))
                )));
            }
            // A missing table is detected quickly, and therefore each time; the rows are not read again.
            if self.is_recently_checked() {
                return Ok(None);
            }
            let all = SubscriptionFilter::default();
            let mut pages = self.subscription_pages(all, None, PAGE_ROWS).await?;
            while !pages.next().await?.is_empty() {}
            pages.end().await?;
        }
        let mut inspection = Inspection::default();
        check_integrity(self.database(), "the read model", &mut inspection).await?;
        Ok(inspection.findings.into_iter().next())
    }

    /// Checks the read models' database with its own means. It must have no triggers.
    #[tracing::instrument(skip_all)]
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut inspection = Inspection::default();
        if let Database::Absent(why) = self.database() {
            if let Some((path, reason)) = why {
                let finding =
                    format!("the read model cannot be read: {}: {reason}", path.display());
                inspection.findings.push(finding);
            }
            return Ok(inspection);
        }
        let triggers = ExpectedTriggers::None;
        check_integrity(self.database(), "the read model", &mut inspection).await?;
        check_triggers(self.database(), "the read model", triggers, &mut inspection).await?;
        Ok(inspection)
    }

    /// Removes all generations, also if they cannot be read, and creates empty tables. Reads fail with
    /// [`StoreError::ReadModelBuilding`] until a new generation is complete.
    #[tracing::instrument(skip_all)]
    pub async fn recreate(&self) -> Result<(), StoreError> {
        if self.0.db.dialect() == Dialect::Postgres {
            if self.generations_clear().await.is_ok() {
                return Ok(());
            }
            let mut write = self.0.db.write().await?;
            let mut session = write.session();
            session.run(sql::SCHEMA_LOCK).await?;
            session.run(sql::REMOVE).await?;
            create_tables(&mut session).await?;
            write.commit().await?;
            // A new generation can have the id of a removed one.
            self.cache_schema(None);
            return Ok(());
        }
        self.replace_file().await
    }

    /// Replaces the SQLite file with a new one with empty tables, unless another process has done so. Waits until
    /// nobody reads it.
    async fn replace_file(&self) -> Result<(), StoreError> {
        let Database::Sqlite { writer, readers } = self.database() else { return Ok(()) };
        let mut writer = writer.lock().await;
        let blocked = readers.close_and_block().await?;
        if writer.is_same_file() {
            writer.close().await;
            remove(writer.path())?;
        }
        let options = options(writer.path());
        writer.reopen(options).await?;
        let mut connection = writer.take().await?;
        create_tables(&mut Session::Sqlite(&mut connection)).await?;
        writer.put_back(connection);
        // A new generation can have the id of a removed one.
        self.cache_schema(None);
        // Readers find the tables from here on.
        drop(blocked);
        Ok(())
    }
}
