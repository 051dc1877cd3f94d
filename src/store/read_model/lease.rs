//! Who folds a generation: one at a time, by a lease with a fencing token.

use super::{GenerationId, ReadModel};
use crate::store::StoreError;
use crate::store::db::Session;
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
    /// Whether it still holds, inside the transaction of a write; then it does until that ends.
    pub(super) async fn is_held(&self, session: &mut Session<'_>) -> Result<bool, StoreError> {
        let query = session.query(sql::IS_HELD).bind(self.generation).bind(self.token);
        Ok(query.fetch_optional().await?.is_some())
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
        self.lease_take_over(generation, holder, now, ttl_seconds, None).await
    }

    /// Like [`Self::lease_take`], and takes the lease from its holder where it still ends at `silent`: the end of a
    /// lease that was not renewed for so long that its holder must have ended.
    pub async fn lease_take_over(
        &self,
        generation: GenerationId,
        holder: &str,
        now: ReceivedAt,
        ttl_seconds: u32,
        stale_until: Option<ReceivedAt>,
    ) -> Result<Option<Lease>, StoreError> {
        let mut write = self.0.db.begin(sql::BEGIN_DURABLE).await?;
        let mut session = write.session();
        let query = session.query(sql::TAKE).bind(generation).bind(holder).bind(now.0);
        let query = query.bind(expiry(now, ttl_seconds).0).bind(stale_until.map(|it| it.0));
        let row = query.fetch_optional().await?;
        write.commit().await?;
        let token = row.map(|row| row.get(0)).transpose()?;
        Ok(token.map(|token| Lease { generation, token }))
    }

    /// Keeps the lease for so long from now on; `false` where it has gone to another, who keeps it.
    pub async fn lease_renew(
        &self,
        lease: &Lease,
        now: ReceivedAt,
        ttl_seconds: u32,
    ) -> Result<bool, StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::RENEW).bind(lease.generation).bind(lease.token);
        let renewed = query.bind(expiry(now, ttl_seconds).0).execute().await?;
        write.commit().await?;
        Ok(renewed == 1)
    }

    /// Notes down how many events the holder has folded, for others to see.
    pub async fn lease_report_progress(&self, lease: &Lease, built: i64) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::PROGRESS).bind(lease.generation).bind(lease.token);
        query.bind(built).execute().await?;
        write.commit().await
    }

    /// Gives the lease up, so that another process need not wait until it ends.
    pub async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        session.query(sql::RELEASE).bind(lease.generation).bind(lease.token).execute().await?;
        write.commit().await
    }
}

/// When a lease that is taken now ends.
pub(super) fn expiry(now: ReceivedAt, ttl_seconds: u32) -> ReceivedAt {
    ReceivedAt(now.0.saturating_add(i64::from(ttl_seconds) * 1_000_000))
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// A token that a crash of the server forgot would be given out twice.
        BEGIN_DURABLE = sqlite "BEGIN IMMEDIATE", postgres "BEGIN; SET LOCAL synchronous_commit = on";
        TAKE = "UPDATE generations SET token = token + CASE WHEN lease_holder IS DISTINCT FROM $2 THEN 1 ELSE 0 END, lease_holder = $2, lease_until = $4
            WHERE id = $1 AND (lease_holder IS NULL OR lease_holder = $2 OR lease_until <= $3 OR lease_until = $5)
            RETURNING token";
        RENEW = "UPDATE generations SET lease_until = $3 WHERE id = $1 AND token = $2";
        IS_HELD = sqlite "SELECT 1 FROM generations WHERE id = $1 AND token = $2",
            postgres "SELECT 1 FROM generations WHERE id = $1 AND token = $2 FOR UPDATE";
        PROGRESS = "UPDATE generations SET built = $3 WHERE id = $1 AND token = $2";
        RELEASE = "UPDATE generations SET lease_until = 0 WHERE id = $1 AND token = $2";
    }
}
