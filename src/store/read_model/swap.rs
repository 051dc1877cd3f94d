//! Which generation answers: one transaction sets the statuses and points the view.

use super::generation::status_of;
use super::schema::GenerationSchema;
use super::{GenerationId, GenerationStatus, Lease, ReadModel, reclaim};
use crate::store::StoreError;
use crate::store::db::Session;

/// What became of the wish to make a generation the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwapOutcome {
    /// It is.
    Live,
    /// It is not yet: the live one has folded more.
    Behind,
    /// It never will be: the lease has gone to another, or the generation is gone.
    TakenOver,
}

impl ReadModel {
    /// Makes a generation that is complete now the live one: from one read to the next, all answers
    /// come from it. The one that was live is kept as the previous one; older ones are dropped.
    ///
    /// It must have folded no less than `not_behind`, so that no reader goes back in time.
    ///
    /// [`StoreError::Superseded`] where a person has chosen another since this one was begun.
    pub async fn generation_complete(
        &self,
        lease: &Lease,
        not_behind: Option<GenerationId>,
    ) -> Result<SwapOutcome, StoreError> {
        let id = lease.generation;
        if !self.generation_index(lease).await? {
            return Ok(SwapOutcome::TakenOver);
        }
        let mut write = self.0.db.begin(sql::BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        let chosen = session.query(sql::CHOSEN_SINCE).bind(id).fetch_optional().await?;
        if let Some(row) = chosen {
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
        point_view(&mut session, id).await?;
        let rows = session.query(sql::OUTDATED).bind(was_live).fetch_all().await?;
        let outdated: Vec<GenerationId> =
            rows.iter().map(|row| row.get(0)).collect::<Result<_, _>>()?;
        for old in &outdated {
            reclaim::abandon(&mut session, *old).await?;
        }
        write.commit().await?;
        // The swap is done, come what may.
        if let Err(error) = self.discard(&outdated).await {
            tracing::warn!(%error, "old generations are not dropped yet: {error}");
        }
        Ok(SwapOutcome::Live)
    }

    /// Makes a complete generation the live one at once, and pins it: no newer logic replaces it by
    /// itself, nor a generation that was begun before. The one that was live becomes previous.
    pub async fn generation_activate(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut write = self.0.db.begin(sql::BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        if status_of(&mut session, id).await? == GenerationStatus::Building {
            return Err(StoreError::GenerationIsBuilding(id));
        }
        demote(&mut session, id).await?;
        session.query(sql::CHOOSE).bind(id).execute().await?;
        point_view(&mut session, id).await?;
        write.commit().await
    }

    /// Writes the view again where another version of this program wrote it: other programs may not be able to
    /// read that text.
    pub(super) async fn renew_view(&self) -> Result<(), StoreError> {
        let Some(live) = self.live().await?.map(|it| it.id) else { return Ok(()) };
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let found = session.query(sql::VIEW_TEXT).fetch_optional().await?;
        let found: Option<String> = found.map(|row| row.get(0)).transpose()?;
        let wanted = GenerationSchema::load(&mut session, live).await?.view()?;
        drop(reader);
        if found.is_some_and(|text| wanted.ends_with(&text)) {
            return Ok(());
        }
        let mut write = self.0.db.begin(sql::BEGIN_EXCLUSIVE).await?;
        let mut session = write.session();
        if status_of(&mut session, live).await? != GenerationStatus::Live {
            return write.rollback().await;
        }
        point_view(&mut session, live).await?;
        write.commit().await
    }
}

/// Makes room for another live generation, and says which one was.
async fn demote(
    session: &mut Session<'_>,
    by: GenerationId,
) -> Result<Option<GenerationId>, StoreError> {
    let row = session.query(sql::DEMOTE).bind(by).fetch_optional().await?;
    row.map(|row| row.get(0)).transpose()
}

async fn point_view(session: &mut Session<'_>, at: GenerationId) -> Result<(), StoreError> {
    let view = GenerationSchema::load(session, at).await?.view()?;
    session.run(view).await
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// Begins a transaction beside which nobody else writes to this table, and which is on the disk when it is
        /// committed.
        BEGIN_EXCLUSIVE = sqlite "BEGIN IMMEDIATE",
            postgres "BEGIN; SET LOCAL synchronous_commit = on; LOCK TABLE generations IN SHARE ROW EXCLUSIVE MODE";
        DEMOTE = "UPDATE generations SET status = 'previous', pinned = 0 WHERE status = 'live' AND id <> $1 RETURNING id";
        PROMOTE = "UPDATE generations SET status = 'live', completed_at = coalesce(completed_at, $2) WHERE id = $1";
        /// Pins by the newest number that is given out: what has it, or a smaller one, was begun before.
        CHOOSE = "UPDATE generations SET status = 'live', pinned = (SELECT max(id) FROM generations) WHERE id = $1";
        CHOSEN_SINCE = "SELECT live.id FROM generations AS live JOIN generations AS new ON new.id = $1
            WHERE live.status = 'live' AND live.pinned >= new.id AND live.id <> new.id";
        VIEW_TEXT = sqlite "SELECT sql FROM sqlite_schema WHERE type = 'view' AND name = 'current_subscriptions'";
        IS_BEHIND = "SELECT 1 FROM generations AS new JOIN generations AS other ON other.id = $2
            WHERE new.id = $1 AND new.position < other.position";
        /// All previous generations but the one that was live until now.
        OUTDATED = "SELECT id FROM generations WHERE status = 'previous' AND id IS DISTINCT FROM $1";
    }
}
