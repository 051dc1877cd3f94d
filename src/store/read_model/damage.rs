//! Damage to the read models: met by a read, looked for, and removed together with them.
//!
//! Nothing is lost: they are made again from the log. Whether they can be is for the caller to know.

use std::sync::PoisonError;
use std::time::Duration;

use super::generation::TABLE_NAMES;
use super::schema::GenerationSchema;
use super::{Generation, ReadModel, SubscriptionFilter, options, sql};
use crate::clock::{Clock, Stopwatch};
use crate::store::StoreError;
use crate::store::db::{self, Dialect, Session};
use crate::store::inspect::{Inspection, integrity};

/// Time after a search that found nothing in which a mere suspicion is no reason for another one, at least; and how
/// many times as long as the search took, so that searching never is what the process does most.
const TRUSTED_MIN: Duration = Duration::from_secs(1);
const TRUSTED_TIMES: u32 = 20;
/// Rows that are read at once.
const PAGE_ROWS: usize = 1_000;

/// DamageReport of damage that reads have met.
#[derive(Debug, Default)]
pub(super) struct DamageReport {
    /// True if it is known that something of the read model cannot be read.
    is_certain: Option<bool>,
    /// Time since a search that found nothing, and time for which that is trusted.
    found_nothing: Option<(Stopwatch, Duration)>,
}

impl ReadModel {
    /// Notes that a read has met damage; certain, if it is known to be the read model's. Whoever follows the log looks
    /// at it.
    pub fn report_damage(&self, is_certain: bool) {
        let mut report = self.0.damage_report.lock().unwrap_or_else(PoisonError::into_inner);
        report.is_certain = Some(is_certain || report.is_certain == Some(true));
    }

    /// True for a while after a search that found nothing.
    fn is_trusted(&self) -> bool {
        let report = self.0.damage_report.lock().unwrap_or_else(PoisonError::into_inner);
        report.found_nothing.is_some_and(|(since, trusted)| since.elapsed() < trusted)
    }

    /// True if a read has met damage that nobody has looked at.
    pub fn has_damage_report(&self) -> bool {
        self.0.damage_report.lock().unwrap_or_else(PoisonError::into_inner).is_certain.is_some()
    }

    /// Takes the damage report, and says whether it is certain.
    pub fn take_damage_report(&self) -> Option<bool> {
        self.0.damage_report.lock().unwrap_or_else(PoisonError::into_inner).is_certain.take()
    }

    /// Looks for damage: in the tables and indexes by the means of the database, in the live generation row by row.
    /// Says what it found first. `is_ours` says whether this program reads all tables of a generation.
    pub async fn find_damage(
        &self,
        is_ours: impl Fn(&Generation) -> bool,
    ) -> Result<Option<String>, StoreError> {
        let stopwatch = Clock::stopwatch();
        let found = match self.search(is_ours).await {
            Err(StoreError::Corrupt(what) | StoreError::ReadModelDamaged(what)) => Some(what),
            searched => searched?,
        };
        if found.is_none() && !self.is_trusted() {
            let mut report = self.0.damage_report.lock().unwrap_or_else(PoisonError::into_inner);
            let trusted = (stopwatch.elapsed() * TRUSTED_TIMES).max(TRUSTED_MIN);
            report.found_nothing = Some((Clock::stopwatch(), trusted));
        }
        Ok(found)
    }

    async fn search(
        &self,
        is_ours: impl Fn(&Generation) -> bool,
    ) -> Result<Option<String>, StoreError> {
        if let Some(live) = self.live().await?.filter(is_ours) {
            let mut reader = self.0.db.read().await?;
            let schema = GenerationSchema::load(&mut reader.session(), live.id).await?;
            drop(reader);
            if let Some(table) = TABLE_NAMES.iter().find(|table| !schema.has(table)) {
                return Ok(Some(format!("the table {table}_g{} is missing", live.id)));
            }
            // What is quickly seen is looked at each time, the rows not.
            if self.is_trusted() {
                return Ok(None);
            }
            let all = SubscriptionFilter::default();
            let mut pages = self.subscription_pages(all, None, PAGE_ROWS).await?;
            while !pages.next().await?.is_empty() {}
            pages.end().await?;
        }
        let mut inspection = Inspection::default();
        integrity::check(self.database(), "the read model", &mut inspection).await?;
        Ok(inspection.findings.into_iter().next())
    }

    /// Removes all generations and begins from nothing, also where they cannot be read. Reads answer
    /// [`StoreError::ReadModelBuilding`] until one is complete again.
    pub async fn recreate(&self) -> Result<(), StoreError> {
        *self.0.schema.lock().unwrap_or_else(PoisonError::into_inner) = None;
        if self.0.db.dialect() == Dialect::Postgres {
            if self.generations_clear().await.is_ok() {
                return Ok(());
            }
            let mut write = self.0.db.write().await?;
            let mut session = write.session();
            session.run(sql::ONE_AT_A_TIME).await?;
            session.run(sql::REMOVE).await?;
            session.run(sql::SCHEMA).await?;
            return write.commit().await;
        }
        self.0.db.replace_file(options).await
    }
}

impl db::Database {
    /// Replaces the file of SQLite's by one with empty tables, unless another process has done so. Waits for who reads it.
    async fn replace_file(
        &self,
        options: impl Fn(&std::path::Path) -> sqlx::sqlite::SqliteConnectOptions,
    ) -> Result<(), StoreError> {
        let Self::Sqlite { writer, readers } = self else { return Ok(()) };
        let mut writer = writer.lock().await;
        let held = readers.close_and_block().await?;
        if writer.is_same_file() {
            writer.close().await;
            super::remove(writer.path())?;
        }
        let options = options(writer.path());
        writer.reopen(options).await?;
        let mut connection = writer.take().await?;
        Session::Sqlite(&mut connection).run(sql::SCHEMA).await?;
        writer.put_back(connection);
        // Whoever reads finds tables from here on.
        drop(held);
        Ok(())
    }
}
