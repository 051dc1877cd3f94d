//! Checks that need no event: a database by its own means, and the triggers that guard the log.
//!
//! A damaged index makes a lookup miss what a table holds, and a missing trigger lets in what none of them
//! would. Neither shows in the hashes of the log.

pub(super) mod guards;
pub(super) mod integrity;
mod migration_objects;
mod script;

use self::guards::ExpectedTriggers;
use super::StoreError;
use super::db::Database;
use super::log::Log;
use super::read_model::ReadModel;

/// Result of an inspection, for people. Nothing of an event is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Each thing that is wrong.
    pub findings: Vec<String>,
    /// Each check that was not possible, and what was done instead.
    pub notes: Vec<String>,
}

impl Inspection {
    fn find(&mut self, finding: String) {
        self.findings.push(finding);
    }

    fn note(&mut self, note: String) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

impl Log {
    /// Checks the log's database by its own means, and its triggers against those that the migrations make.
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut inspection = Inspection::default();
        integrity::check(&self.0.db, "the log", &mut inspection).await?;
        guards::check(&self.0.db, "the log", ExpectedTriggers::OfLog, &mut inspection).await?;
        Ok(inspection)
    }
}

impl ReadModel {
    /// Checks the read models' database by its own means. No trigger belongs there.
    pub async fn inspect(&self) -> Result<Inspection, StoreError> {
        let mut inspection = Inspection::default();
        if let Database::Absent(why) = self.database() {
            if let Some((path, reason)) = why {
                inspection
                    .find(format!("the read model cannot be read: {}: {reason}", path.display()));
            }
            return Ok(inspection);
        }
        integrity::check(self.database(), "the read model", &mut inspection).await?;
        guards::check(self.database(), "the read model", ExpectedTriggers::None, &mut inspection)
            .await?;
        Ok(inspection)
    }
}
