//! Which generation answers: one transaction sets the statuses and points the view.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, Connection as _};

use super::generation::sql::STATUS;
use super::shape::Shape;
use super::{GenerationId, GenerationStatus, ReadModel, space};
use crate::store::{StoreError, append};

impl ReadModel {
    /// Makes a generation that is complete now the live one: from one read to the next, all answers
    /// come from it. The one that was live is kept as the previous one; older ones are dropped.
    ///
    /// [`StoreError::Superseded`] where a person has chosen another since this one was begun.
    pub async fn generation_complete(&self, id: GenerationId) -> Result<(), StoreError> {
        self.generation_index(id).await?;
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
        Ok(())
    }

    /// Makes a complete generation the live one at once, and pins it: no newer logic replaces it by
    /// itself, nor a generation that was begun before. The one that was live becomes previous.
    pub async fn generation_activate(&self, id: GenerationId) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let status: Option<String> =
            sqlx::query_scalar(STATUS).bind(id).fetch_optional(&mut *transaction).await?;
        match status.as_deref().and_then(GenerationStatus::parse) {
            None => return Err(StoreError::NoGeneration(id)),
            Some(GenerationStatus::Building) => return Err(StoreError::GenerationIsBuilding(id)),
            Some(GenerationStatus::Live | GenerationStatus::Previous) => {}
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
        /// All previous generations but the one that was live until now.
        OUTDATED = "SELECT id FROM generations WHERE status = 'previous' AND id IS NOT ?";
    }
}
