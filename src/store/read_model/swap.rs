//! Which generation answers: one transaction sets the statuses and points the view.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::generation::status_of;
use super::shape::Shape;
use super::{GenerationId, GenerationStatus, Lease, ReadModel, space};
use crate::store::{StoreError, append};

/// What became of the wish to make a generation the live one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
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
    ) -> Result<Completion, StoreError> {
        let id = lease.generation;
        if !self.generation_index(lease).await? {
            return Ok(Completion::TakenOver);
        }
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let chosen: Option<GenerationId> = sqlx::query_scalar(sql::CHOSEN_SINCE)
            .bind(id)
            .fetch_optional(&mut *transaction)
            .await?;
        if let Some(by) = chosen {
            return Err(StoreError::Superseded { generation: id, by });
        }
        let holds = lease.holds(&mut transaction).await?;
        let is_behind: bool = sqlx::query_scalar(sql::IS_BEHIND)
            .bind(id)
            .bind(not_behind)
            .fetch_one(&mut *transaction)
            .await?;
        if !holds || is_behind {
            transaction.rollback().await?;
            writer.put_back(connection);
            return Ok(if holds { Completion::Behind } else { Completion::TakenOver });
        }
        let was_live = demote(&mut transaction, id).await?;
        let promoted = sqlx::query(sql::PROMOTE)
            .bind(id)
            .bind(self.0.clock.now().0)
            .execute(&mut *transaction)
            .await?;
        if promoted.rows_affected() != 1 {
            return Err(StoreError::NoGeneration(id));
        }
        point_view(&mut transaction, id).await?;
        let outdated: Vec<GenerationId> =
            sqlx::query_scalar(sql::OUTDATED).bind(was_live).fetch_all(&mut *transaction).await?;
        for old in &outdated {
            space::abandon(&mut transaction, *old).await?;
        }
        transaction.commit().await?;
        writer.put_back(connection);
        drop(writer);
        // The swap is done, come what may.
        if let Err(error) = self.discard(&outdated).await {
            tracing::warn!(%error, "old generations are not dropped yet: {error}");
        }
        Ok(Completion::Live)
    }

    /// Makes a complete generation the live one at once, and pins it: no newer logic replaces it by
    /// itself, nor a generation that was begun before. The one that was live becomes previous.
    pub async fn generation_activate(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        if status_of(&mut transaction, id).await? == GenerationStatus::Building {
            return Err(StoreError::GenerationIsBuilding(id));
        }
        demote(&mut transaction, id).await?;
        sqlx::query(sql::CHOOSE).bind(id).execute(&mut *transaction).await?;
        point_view(&mut transaction, id).await?;
        transaction.commit().await?;
        writer.put_back(connection);
        Ok(())
    }
}

/// Makes room for another live generation, and says which one was.
async fn demote(
    connection: &mut SqliteConnection,
    by: GenerationId,
) -> Result<Option<GenerationId>, StoreError> {
    Ok(sqlx::query_scalar(sql::DEMOTE).bind(by).fetch_optional(connection).await?)
}

async fn point_view(connection: &mut SqliteConnection, at: GenerationId) -> Result<(), StoreError> {
    let view = Shape::load(connection, at).await?.view()?;
    sqlx::raw_sql(AssertSqlSafe(view)).execute(connection).await?;
    Ok(())
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        DEMOTE = "UPDATE generations SET status = 'previous', pinned = 0 WHERE status = 'live' AND id <> ? RETURNING id";
        PROMOTE = "UPDATE generations SET status = 'live', completed_at = ifnull(completed_at, ?2) WHERE id = ?1";
        /// Pins by the newest number that is given out: what has it, or a smaller one, was begun before.
        CHOOSE = "UPDATE generations SET status = 'live', pinned = (SELECT max(id) FROM generations) WHERE id = ?";
        CHOSEN_SINCE = "SELECT live.id FROM generations AS live CROSS JOIN generations AS new ON new.id = ?
            WHERE live.status = 'live' AND live.pinned >= new.id AND live.id <> new.id";
        IS_BEHIND = "SELECT EXISTS (SELECT 1 FROM generations AS new CROSS JOIN generations AS other ON other.id = ?2
            WHERE new.id = ?1 AND new.position < other.position) AS is_behind";
        /// All previous generations but the one that was live until now.
        OUTDATED = "SELECT id FROM generations WHERE status = 'previous' AND id IS NOT ?";
    }
}
