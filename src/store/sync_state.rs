//! Last sync, endpoints and last reconciliation of each account and mode, kept beside the log.

use super::db::Row;
use super::error::StoreError;
use super::log::Log;
use crate::ids::{AccountId, Scope};
use crate::time::ReceivedAt;

/// State of the syncs of an account and mode.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncState {
    /// Account and mode.
    pub scope: Scope,
    /// End of the last sync that succeeded, by the ledger's clock.
    pub synced_at: Option<ReceivedAt>,
    /// Error of the last sync; none after one that succeeded.
    pub error: Option<String>,
    /// Webhook endpoints as Stripe's API showed them last, in JSON.
    pub endpoints: Option<String>,
    /// End of the last reconciliation, by the ledger's clock.
    pub reconciled_at: Option<ReceivedAt>,
    /// Report of the last reconciliation, in JSON.
    pub drift: Option<String>,
}

impl Log {
    /// Reads the state of all accounts and modes.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn sync_states(&self) -> Result<Vec<SyncState>, StoreError> {
        let mut reader = self.0.db.read().await?;
        let mut session = reader.session();
        session.query(sql::READ).fetch_all().await?.iter().map(read).collect()
    }

    /// Records a sync that succeeded.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn record_sync(&self, scope: &Scope, at: ReceivedAt) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::SYNCED).bind(scope.account.as_str()).bind(scope.livemode);
        query.bind(at.0).execute().await?;
        write.commit().await
    }

    /// Records the error of a sync. The time of the last one that succeeded stays.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn record_sync_error(&self, scope: &Scope, error: &str) -> Result<(), StoreError> {
        self.record(sql::FAILED, scope, error).await
    }

    /// Records the webhook endpoints as the API showed them, in JSON.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn record_endpoints(&self, scope: &Scope, json: &str) -> Result<(), StoreError> {
        self.record(sql::ENDPOINTS, scope, json).await
    }

    /// Records the report of a reconciliation, in JSON.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn record_drift(
        &self,
        scope: &Scope,
        at: ReceivedAt,
        json: &str,
    ) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(sql::DRIFT).bind(scope.account.as_str()).bind(scope.livemode);
        query.bind(at.0).bind(json).execute().await?;
        write.commit().await
    }

    async fn record(
        &self,
        statement: super::db::Statement,
        scope: &Scope,
        text: &str,
    ) -> Result<(), StoreError> {
        let mut write = self.0.db.write_autocommit().await?;
        let mut session = write.session();
        let query = session.query(statement).bind(scope.account.as_str()).bind(scope.livemode);
        query.bind(text).execute().await?;
        write.commit().await
    }
}

fn read(row: &Row) -> Result<SyncState, StoreError> {
    let account = AccountId::new(row.get::<String, _>(0)?);
    Ok(SyncState {
        scope: Scope { account, livemode: row.get(1)? },
        synced_at: row.get::<Option<i64>, _>(2)?.map(ReceivedAt),
        error: row.get(3)?,
        endpoints: row.get(4)?,
        reconciled_at: row.get::<Option<i64>, _>(5)?.map(ReceivedAt),
        drift: row.get(6)?,
    })
}

pub(in crate::store) mod sql {
    crate::store::db::statements! {
        READ = "SELECT account, livemode, synced_at, error, endpoints, reconciled_at, drift FROM sync_state
            ORDER BY account, livemode";
        SYNCED = "INSERT INTO sync_state (account, livemode, synced_at) VALUES ($1, $2, $3)
            ON CONFLICT (account, livemode) DO UPDATE SET synced_at = excluded.synced_at, error = NULL";
        FAILED = "INSERT INTO sync_state (account, livemode, error) VALUES ($1, $2, $3)
            ON CONFLICT (account, livemode) DO UPDATE SET error = excluded.error";
        ENDPOINTS = "INSERT INTO sync_state (account, livemode, endpoints) VALUES ($1, $2, $3)
            ON CONFLICT (account, livemode) DO UPDATE SET endpoints = excluded.endpoints";
        DRIFT = "INSERT INTO sync_state (account, livemode, reconciled_at, drift) VALUES ($1, $2, $3, $4)
            ON CONFLICT (account, livemode) DO UPDATE SET reconciled_at = excluded.reconciled_at, drift = excluded.drift";
    }
}
