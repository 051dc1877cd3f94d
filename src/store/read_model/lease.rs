//! Lease of a generation with a fencing token: one process at a time folds it.

use super::generation_id::{GenerationId, LayerId};
use super::handle::ReadModel;
use super::tables::GenerationTables;
use super::version::{MadeBy, ReadModelVersion};
use crate::store::db::{Row, Session};
use crate::store::error::StoreError;
use crate::time::ReceivedAt;

/// Lease of a generation. A process whose token is no longer the generation's cannot write, even if it does not know
/// yet that it lost the lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Generation that the lease is for.
    pub generation: GenerationId,
    /// Fold layer of the generation; none if an earlier version of this program built it.
    pub layer: Option<LayerId>,
    pub(super) made_by: MadeBy,
    /// Fencing token. It rises each time another holder takes the lease.
    pub token: i64,
}

impl Lease {
    /// Numbers in the names of the generation's tables.
    pub fn tables(&self) -> GenerationTables {
        let Self { generation, layer, made_by, .. } = *self;
        GenerationTables { generation, layer, made_by }
    }

    /// True if the lease is still held, inside a write transaction. It then stays held until the transaction ends.
    pub(super) async fn is_held(&self, session: &mut Session<'_>) -> Result<bool, StoreError> {
        let query = session.query(sql::IS_HELD).bind(self.generation).bind(self.token);
        Ok(query.fetch_optional().await?.is_some())
    }
}

impl ReadModel {
    /// Takes or renews the lease of a generation. `None` if another process holds it.
    ///
    /// `holder` must be unique to the process. A renewal keeps the token.
    pub async fn lease_take(
        &self,
        generation: GenerationId,
        holder: &str,
        now: ReceivedAt,
        ttl_seconds: u32,
    ) -> Result<Option<Lease>, StoreError> {
        self.lease_take_over(generation, holder, now, ttl_seconds, None).await
    }

    /// Like [`Self::lease_take`], and also takes the lease from another holder if it still ends at `stale_until`. That
    /// is the end of a lease that was not renewed for so long that its holder must have ended.
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
        let read = |row: Row| {
            let versions = ReadModelVersion::parse_all(row.get(2)?);
            let made_by = MadeBy::of(self.projections(), generation, &versions);
            Ok(Lease { generation, token: row.get(0)?, layer: row.get(1)?, made_by })
        };
        row.map(read).transpose()
    }

    /// Extends the lease. `false` if another process has taken it.
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

    /// Stores the number of events that the holder has folded, so that other processes can show the progress.
    pub async fn lease_report_progress(&self, lease: &Lease, built: i64) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::PROGRESS).bind(lease.generation).bind(lease.token);
        query.bind(built).execute().await?;
        write.commit().await
    }

    /// Releases the lease, so that another process does not wait until it expires.
    pub async fn lease_release(&self, lease: &Lease) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        session.query(sql::RELEASE).bind(lease.generation).bind(lease.token).execute().await?;
        write.commit().await
    }
}

/// End of a lease that is taken now.
pub(super) fn expiry(now: ReceivedAt, ttl_seconds: u32) -> ReceivedAt {
    ReceivedAt(now.0.saturating_add(i64::from(ttl_seconds) * 1_000_000))
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        /// The commit waits for the disk: a token that is lost in a crash of the server would be used twice.
        BEGIN_DURABLE = sqlite "BEGIN IMMEDIATE", postgres "BEGIN; SET LOCAL synchronous_commit = on";
        TAKE = "UPDATE generations SET token = token + CASE WHEN lease_holder IS DISTINCT FROM $2 THEN 1 ELSE 0 END, lease_holder = $2, lease_until = $4
            WHERE id = $1 AND (lease_holder IS NULL OR lease_holder = $2 OR lease_until <= $3 OR lease_until = $5)
            RETURNING token, layer, read_models";
        RENEW = "UPDATE generations SET lease_until = $3 WHERE id = $1 AND token = $2";
        IS_HELD = sqlite "SELECT 1 FROM generations WHERE id = $1 AND token = $2",
            postgres "SELECT 1 FROM generations WHERE id = $1 AND token = $2 FOR UPDATE";
        PROGRESS = "UPDATE generations SET built = $3 WHERE id = $1 AND token = $2";
        RELEASE = "UPDATE generations SET lease_until = 0 WHERE id = $1 AND token = $2";
    }
}
