//! Handle of the read models, with what it caches.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::generation_id::GenerationId;
use super::schema::GenerationSchema;
use crate::clock::{Clock, Stopwatch};
use crate::projection::read_model::Projections;
use crate::store::db::{Database, Session};
use crate::store::error::StoreError;

/// Handle of the read models. Cheap to clone; all clones share their connections.
#[derive(Clone, Debug)]
pub struct ReadModel(pub(super) Arc<Inner>);

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) clock: Clock,
    pub(super) db: Database,
    /// False for tables of an earlier version, which are only read.
    pub(super) has_layers: bool,
    /// Read models that this process knows.
    projections: Projections,
    /// Schema of the generation that was read last, which is usually the live one.
    schema: Mutex<Option<Arc<GenerationSchema>>>,
    /// Damage that reads have reported.
    pub(super) damage_report: Mutex<DamageReport>,
}

/// Damage that reads have reported, and the last check that found none.
#[derive(Debug, Default)]
pub(super) struct DamageReport {
    /// None without a report. True if it is known that the read model is damaged.
    pub(super) is_certain: Option<bool>,
    /// Time since the last check without damage, and the time for which its result is valid.
    pub(super) found_nothing: Option<(Stopwatch, Duration)>,
}

impl ReadModel {
    pub(in crate::store) fn new(
        db: Database,
        has_layers: bool,
        projections: Projections,
        clock: Clock,
    ) -> Self {
        let (schema, damage_report) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { clock, db, has_layers, projections, schema, damage_report }))
    }

    /// Read models that this process knows.
    pub fn projections(&self) -> Projections {
        self.0.projections
    }

    pub(super) fn database(&self) -> &Database {
        &self.0.db
    }

    /// True if there is no read model, or none that can be opened.
    pub(super) fn is_absent(&self) -> bool {
        matches!(self.0.db, Database::Absent(_))
    }

    pub(crate) async fn close(&self) {
        self.0.db.close().await;
    }

    /// Schema of a generation. It never changes and that of the last generation is cached, unless a table is missing:
    /// that may be damage that is repaired meanwhile.
    pub(super) async fn schema_of(
        &self,
        session: &mut Session<'_>,
        generation: GenerationId,
    ) -> Result<Arc<GenerationSchema>, StoreError> {
        if let Some(schema) = self.cached_schema().filter(|it| it.tables.generation == generation) {
            return Ok(schema);
        }
        let tables = self.tables_of(session, generation).await?;
        let schema = Arc::new(GenerationSchema::load(session, tables, self.projections()).await?);
        if schema.is_complete() {
            self.cache_schema(Some(Arc::clone(&schema)));
        }
        Ok(schema)
    }

    /// Schema of the generation that was read last.
    pub(super) fn cached_schema(&self) -> Option<Arc<GenerationSchema>> {
        self.0.schema.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn cache_schema(&self, schema: Option<Arc<GenerationSchema>>) {
        *self.0.schema.lock().unwrap_or_else(PoisonError::into_inner) = schema;
    }
}
