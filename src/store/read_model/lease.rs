//! Who folds a generation: one at a time, by a lease with a fencing token.

use sqlx::Connection as _;
use sqlx::sqlite::SqliteConnection;

use super::{GenerationId, ReadModel};
use crate::store::{StoreError, append};
use crate::time::ReceivedAt;

/// The right to fold a generation. Whoever holds one whose token is no longer the generation's
/// writes nothing, however late it learns of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The generation.
    pub generation: GenerationId,
    /// The fencing token: rises whenever the lease goes to another holder.
    pub token: i64,
}

impl Lease {
    /// Whether it still holds, inside the transaction of a write.
    pub(super) async fn holds(
        &self,
        connection: &mut SqliteConnection,
    ) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar(sql::HOLDS)
            .bind(self.generation)
            .bind(self.token)
            .fetch_one(connection)
            .await?)
    }
}

impl ReadModel {
    /// Takes the lease of a generation, or renews it; `None` where another holds it.
    ///
    /// `holder` must be unique to the process. Renewing keeps the token.
    pub async fn lease_take(
        &self,
        generation: GenerationId,
        holder: &str,
        now: ReceivedAt,
        ttl_seconds: u32,
    ) -> Result<Option<Lease>, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let mut transaction = connection.begin_with(append::sql::BEGIN).await?;
        let token: Option<i64> = sqlx::query_scalar(sql::TAKE)
            .bind(generation)
            .bind(holder)
            .bind(now.0)
            .bind(until(now, ttl_seconds).0)
            .fetch_optional(&mut *transaction)
            .await?;
        transaction.commit().await?;
        writer.put_back(connection);
        Ok(token.map(|token| Lease { generation, token }))
    }

    /// Keeps the lease for so long from now on; `false` where it has gone to another, who keeps it.
    pub async fn lease_renew(
        &self,
        lease: &Lease,
        now: ReceivedAt,
        ttl_seconds: u32,
    ) -> Result<bool, StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        let renewed = sqlx::query(sql::RENEW)
            .bind(lease.generation)
            .bind(lease.token)
            .bind(until(now, ttl_seconds).0)
            .execute(&mut connection)
            .await?;
        writer.put_back(connection);
        Ok(renewed.rows_affected() == 1)
    }

    /// Notes down how many events the holder has folded, for others to see.
    pub async fn lease_note(&self, lease: &Lease, built: i64) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        sqlx::query(sql::NOTE)
            .bind(lease.generation)
            .bind(lease.token)
            .bind(built)
            .execute(&mut connection)
            .await?;
        writer.put_back(connection);
        Ok(())
    }

    /// Gives the lease up, so that another process need not wait until it ends.
    pub async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut writer = self.0.writer.lock().await;
        let mut connection = writer.take().await?;
        sqlx::query(sql::RELEASE)
            .bind(lease.generation)
            .bind(lease.token)
            .execute(&mut connection)
            .await?;
        writer.put_back(connection);
        Ok(())
    }
}

/// When a lease that is taken now ends.
pub(super) fn until(now: ReceivedAt, ttl_seconds: u32) -> ReceivedAt {
    ReceivedAt(now.0.saturating_add(i64::from(ttl_seconds) * 1_000_000))
}

pub(in crate::store) mod sql {
    crate::store::statements::statements! {
        TAKE = "UPDATE generations SET token = token + (lease_holder IS NOT ?2), lease_holder = ?2, lease_until = ?4
            WHERE id = ?1 AND (lease_holder IS NULL OR lease_holder = ?2 OR lease_until <= ?3)
            RETURNING token";
        RENEW = "UPDATE generations SET lease_until = ?3 WHERE id = ?1 AND token = ?2";
        HOLDS = "SELECT EXISTS (SELECT 1 FROM generations WHERE id = ? AND token = ?)";
        NOTE = "UPDATE generations SET built = ?3 WHERE id = ?1 AND token = ?2";
        RELEASE = "UPDATE generations SET lease_until = 0 WHERE id = ? AND token = ?";
    }
}
