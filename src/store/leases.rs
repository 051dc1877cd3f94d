//! Leases of tasks that one process of several does, kept beside the log.
//!
//! A lease is fenced by its token. No stored time says that it is over: see [`crate::lease`].

use super::db::{Row, Session};
use super::error::StoreError;
use super::log::Log;

/// Lease of a task, as its holder has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskLease {
    /// Name of the task.
    pub name: String,
    /// Fencing token. It rises each time the lease is taken.
    pub token: i64,
}

/// Lease of a task, as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenLease {
    /// Name of the process that holds it; empty if it was released.
    pub holder: String,
    /// Fencing token.
    pub token: i64,
    /// Number of renewals. It does not change once the holder has ended.
    pub renewals: i64,
}

impl TaskLease {
    /// True if the lease is still held, inside a write transaction. It then stays held until the transaction ends.
    pub(super) async fn is_held(&self, session: &mut Session<'_>) -> Result<bool, StoreError> {
        let query = session.query(sql::IS_HELD).bind(self.name.as_str()).bind(self.token);
        Ok(query.fetch_optional().await?.is_some())
    }
}

impl Log {
    /// Reads a lease. None if it was never taken.
    pub async fn task_lease(&self, name: &str) -> Result<Option<SeenLease>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        let row = session.query(sql::READ).bind(name).fetch_optional().await?;
        row.as_ref().map(read).transpose()
    }

    /// Takes a lease that was never taken or was released, or that is still as it was seen in `over`: that of a holder
    /// that has ended. `None` if another process holds it. `holder` must be unique to the process.
    pub async fn task_lease_take(
        &self,
        name: &str,
        holder: &str,
        over: Option<&SeenLease>,
    ) -> Result<Option<TaskLease>, StoreError> {
        let mut write = self.0.db.write().await?;
        let mut session = write.session();
        let query = session.query(sql::TAKE).bind(name).bind(holder);
        let query = query.bind(over.map(|it| it.token)).bind(over.map(|it| it.renewals));
        let row = query.fetch_optional().await?;
        write.commit().await?;
        let token = row.map(|row| row.get(0)).transpose()?;
        Ok(token.map(|token| TaskLease { name: name.to_owned(), token }))
    }

    /// Renews a lease. `false` if another process has taken it.
    pub async fn task_lease_renew(&self, lease: &TaskLease) -> Result<bool, StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::RENEW).bind(lease.name.as_str()).bind(lease.token);
        let renewed = query.execute().await?;
        write.commit().await?;
        Ok(renewed == 1)
    }

    /// Releases a lease, so that another process can take it at once.
    pub async fn task_lease_release(&self, lease: &TaskLease) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::RELEASE).bind(lease.name.as_str()).bind(lease.token);
        query.execute().await?;
        write.commit().await
    }
}

fn read(row: &Row) -> Result<SeenLease, StoreError> {
    Ok(SeenLease { holder: row.get(0)?, token: row.get(1)?, renewals: row.get(2)? })
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        READ = "SELECT holder, token, renewals FROM leases WHERE name = $1";
        /// A lease that is released keeps its row, so that no token is used twice.
        TAKE = "INSERT INTO leases (name, holder, token, renewals) VALUES ($1, $2, 1, 0)
            ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, token = leases.token + 1, renewals = 0
            WHERE leases.holder = '' OR (leases.token = $3 AND leases.renewals = $4)
            RETURNING token";
        RENEW = "UPDATE leases SET renewals = renewals + 1 WHERE name = $1 AND token = $2 AND holder <> ''";
        RELEASE = "UPDATE leases SET holder = '' WHERE name = $1 AND token = $2";
        IS_HELD = sqlite "SELECT 1 FROM leases WHERE name = $1 AND token = $2 AND holder <> ''",
            postgres "SELECT 1 FROM leases WHERE name = $1 AND token = $2 AND holder <> '' FOR UPDATE";
    }
}
