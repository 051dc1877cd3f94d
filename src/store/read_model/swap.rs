//! Swap of the live generation: one transaction sets the statuses and points the view at the new one.

use super::generation::sql::BEGIN_EXCLUSIVE;
use super::generation::{GenerationStatus, status_of, tables_of};
use super::generation_id::GenerationId;
use super::handle::ReadModel;
use super::lease::Lease;
use super::reclaim;
use super::schema::GenerationSchema;
use crate::store::db::Session;
use crate::store::error::StoreError;

/// Outcome of a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapOutcome {
    /// The generation is live.
    Live,
    /// The generation is not live yet: the live one has folded more.
    Behind,
    /// The generation will not become live: another process has taken the lease, or the generation was dropped.
    TakenOver,
}

impl ReadModel {
    /// Makes a complete generation live, atomically for all readers. The generation that was live becomes the previous
    /// one; older ones are dropped.
    ///
    /// It must have folded at least as much as `not_behind`, so that no reader goes back in time.
    ///
    /// [`StoreError::Superseded`] if an operator has activated another generation since this one was begun.
    #[tracing::instrument(skip_all)]
    pub async fn generation_complete(
        &self,
        lease: &Lease,
        not_behind: Option<GenerationId>,
    ) -> Result<SwapOutcome, StoreError> {
        let id = lease.generation;
        if !self.generation_index(lease).await? {
            return Ok(SwapOutcome::TakenOver);
        }
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        let activated = session.query(sql::ACTIVATED_SINCE).bind(id).fetch_optional().await?;
        if let Some(row) = activated {
            return Err(StoreError::Superseded { generation: id, by: row.get(0)? });
        }
        let holds = lease.is_held(&mut session).await?;
        let behind = session.query(sql::IS_BEHIND).bind(id).bind(not_behind).fetch_optional();
        let is_behind = behind.await?.is_some();
        if !holds || is_behind {
            write.rollback().await?;
            return Ok(if holds { SwapOutcome::Behind } else { SwapOutcome::TakenOver });
        }
        let was_live = demote(&mut session, id).await?;
        let now = self.0.clock.now().0;
        if session.query(sql::PROMOTE).bind(id).bind(now).execute().await? != 1 {
            return Err(StoreError::NoGeneration(id));
        }
        if let Some(was_live) = was_live {
            self.go_back_to_shared_rows(&mut session, id, was_live).await?;
        }
        self.point_view(&mut session, id).await?;
        let rows = session.query(sql::OUTDATED).bind(was_live).fetch_all().await?;
        let outdated: Vec<GenerationId> =
            rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        for old in &outdated {
            reclaim::abandon(&mut session, *old).await?;
        }
        write.commit().await?;
        // The swap is committed, so that a failure here is only logged.
        if let Err(error) = self.drop_abandoned(&outdated).await {
            tracing::warn!(%error, "old generations are not dropped yet: {error}");
        }
        Ok(SwapOutcome::Live)
    }

    /// Makes a complete generation live and pins it: neither newer logic nor a generation that was begun earlier
    /// replaces it automatically. The generation that was live becomes the previous one.
    #[tracing::instrument(skip_all)]
    pub async fn generation_activate(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        if status_of(&mut session, id).await? == GenerationStatus::Building {
            return Err(StoreError::GenerationIsBuilding(id));
        }
        let was_live = demote(&mut session, id).await?;
        session.query(sql::ACTIVATE).bind(id).execute().await?;
        if let Some(was_live) = was_live {
            self.go_back_to_shared_rows(&mut session, id, was_live).await?;
        }
        self.point_view(&mut session, id).await?;
        write.commit().await
    }

    /// Recreates the view if another version of this program created it, because other programs may not be able to
    /// parse its text.
    pub(super) async fn renew_view(&self) -> Result<(), StoreError> {
        let Some(live) = self.live().await?.map(|it| it.id) else { return Ok(()) };
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let found = session.query(sql::VIEW_TEXT).fetch_optional().await?;
        let found: Option<String> = found.map(|row| row.get(0)).transpose()?;
        let tables = tables_of(&mut session, live, self.projections()).await?;
        let wanted =
            GenerationSchema::load(&mut session, tables, self.projections()).await?.view()?;
        drop(reader);
        if found.is_some_and(|text| wanted.ends_with(&text)) {
            return Ok(());
        }
        let mut write = self.0.db.begin(BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        if status_of(&mut session, live).await? != GenerationStatus::Live {
            return write.rollback().await;
        }
        self.point_view(&mut session, live).await?;
        write.commit().await
    }

    /// Moves a generation that becomes live back to the position of the one that was live, if it shares tables with that
    /// one and has folded more: only the live one has written to them. The rest is made again from the states of the layer,
    /// and no reader goes back in time.
    async fn go_back_to_shared_rows(
        &self,
        session: &mut Session<'_>,
        id: GenerationId,
        was_live: GenerationId,
    ) -> Result<(), StoreError> {
        let ours = tables_of(session, id, self.projections()).await?.made_by.all();
        let theirs = tables_of(session, was_live, self.projections()).await?.made_by.all();
        if ours.zip(theirs).any(|((_, ours), (_, theirs))| ours == theirs) {
            session.query(sql::GO_BACK).bind(id).bind(was_live).execute().await?;
        }
        Ok(())
    }

    /// Points the views at a generation.
    async fn point_view(
        &self,
        session: &mut Session<'_>,
        at: GenerationId,
    ) -> Result<(), StoreError> {
        let tables = tables_of(session, at, self.projections()).await?;
        let schema = GenerationSchema::load(session, tables, self.projections()).await?;
        session.run(schema.view()?).await
    }
}

/// Makes the live generation the previous one, unless it is `by`, and returns its number.
async fn demote(
    session: &mut Session<'_>,
    by: GenerationId,
) -> Result<Option<GenerationId>, StoreError> {
    let row = session.query(sql::DEMOTE).bind(by).fetch_optional().await?;
    row.map(|row| row.get(0)).transpose()
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        DEMOTE = "UPDATE generations SET status = 'previous', pinned = 0 WHERE status = 'live' AND id <> $1 RETURNING id";
        PROMOTE = "UPDATE generations SET status = 'live', completed_at = coalesce(completed_at, $2) WHERE id = $1";
        /// Pins with the largest number: every generation up to this number was begun before the activation.
        ACTIVATE = "UPDATE generations SET status = 'live', pinned = (SELECT max(id) FROM generations) WHERE id = $1";
        ACTIVATED_SINCE = "SELECT live.id FROM generations AS live JOIN generations AS new ON new.id = $1
            WHERE live.status = 'live' AND live.pinned >= new.id AND live.id <> new.id";
        GO_BACK = "UPDATE generations SET position = old.position, leaf_hash = old.leaf_hash, folded_received_at = old.folded_received_at
            FROM generations AS old WHERE generations.id = $1 AND old.id = $2 AND old.position < generations.position";
        VIEW_TEXT = sqlite "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = 'current_subscriptions'";
        IS_BEHIND = "SELECT 1 FROM generations AS new JOIN generations AS other ON other.id = $2
            WHERE new.id = $1 AND new.position < other.position";
        /// Previous generations, except the one that was live until now.
        OUTDATED = "SELECT id FROM generations WHERE status = 'previous' AND id IS DISTINCT FROM $1";
    }
}
