//! Versions of read models: the tables that a generation has of each, and the logic that made them.
//!
//! A generation has one version of each read model. Of a read model that a rebuild leaves alone, the new generation has
//! the version of the live one: both share its tables. Only one of them writes there: the live one.

use serde::{Deserialize, Serialize};

use super::generation::GenerationLogic;
use super::generation_id::GenerationId;
use crate::projection::read_model::{self, Projection, Projections, Table};

/// Greatest number of read models.
const READ_MODELS_MAX: usize = 16;

/// Version of a read model in a generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadModelVersion {
    /// Name of the read model.
    pub name: String,
    /// Generation that made its tables.
    pub made_by: GenerationId,
    /// Fingerprint of the logic that made its rows.
    pub fingerprint: String,
    /// Names of its tables, without the number of the generation.
    pub tables: Vec<String>,
}

impl ReadModelVersion {
    /// Version that a generation makes with this logic.
    pub(super) fn new(
        projection: &dyn Projection,
        made_by: GenerationId,
        fingerprint: String,
    ) -> Self {
        let tables = projection.definition().tables.iter().map(|it| it.name.to_owned()).collect();
        Self { name: projection.name().to_owned(), made_by, fingerprint, tables }
    }

    /// Versions from their stored form. Empty for a generation of an earlier version of this program.
    pub(super) fn parse_all(stored: Option<&str>) -> Vec<Self> {
        stored.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// Generations that made the tables of each read model that this process knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct MadeBy {
    projections: Projections,
    numbers: [GenerationId; READ_MODELS_MAX],
}

impl MadeBy {
    /// All tables were made by one generation.
    pub(super) const fn one(projections: Projections, generation: GenerationId) -> Self {
        assert!(projections.len() <= READ_MODELS_MAX, "too many read models");
        Self { projections, numbers: [generation; READ_MODELS_MAX] }
    }

    /// Tables of a generation with these versions.
    pub(super) fn of(
        projections: Projections,
        generation: GenerationId,
        versions: &[ReadModelVersion],
    ) -> Self {
        let mut made_by = Self::one(projections, generation);
        for (projection, number) in projections.iter().zip(&mut made_by.numbers) {
            if let Some(version) = versions.iter().find(|it| it.name == projection.name()) {
                *number = version.made_by;
            }
        }
        made_by
    }

    /// Generation that made the tables of a read model. None if this process does not know it.
    pub(super) fn of_read_model(&self, name: &str) -> Option<GenerationId> {
        let all = self.projections.iter().zip(self.numbers);
        all.into_iter().find(|(it, _)| it.name() == name).map(|(_, number)| number)
    }

    /// Generation that made a table. None if this process does not know the table.
    pub(super) fn of_table(&self, table: &str) -> Option<GenerationId> {
        let has = |it: &&dyn Projection| {
            it.definition().tables.iter().any(|Table { name, .. }| *name == table)
        };
        let mut all = self.projections.iter().zip(self.numbers);
        all.find(|(it, _)| has(it)).map(|(_, number)| number)
    }

    /// Each read model, with the generation that made its tables.
    pub(super) fn all(self) -> impl Iterator<Item = (&'static dyn Projection, GenerationId)> {
        self.projections.iter().copied().zip(self.numbers)
    }
}

impl PartialEq for MadeBy {
    fn eq(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }
}

impl Eq for MadeBy {}

impl GenerationLogic {
    /// Fingerprint of a read model by this logic.
    pub fn fingerprint_of(&self, projection: &dyn Projection) -> String {
        read_model::fingerprint(projection, self.fold_version, &self.policy, &self.user_keys)
    }
}
