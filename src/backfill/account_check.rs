//! Check that the key, and the account that is named, belong to the account of the ledger.

use super::error::BackfillError;
use super::reader::Reader;
use super::remaining::{ROWS_AT_ONCE, is_over};
use super::sink::Sink;
use crate::ids::{AccountId, Scope};
use crate::projection::row::SubscriptionRow;
use crate::store::{StoreError, SubscriptionFilter};

/// Subscriptions that are asked for, at most, to find out whether the key belongs to the account of the ledger.
const PROBES_MAX: usize = 20;

impl<S: Sink> Reader<'_, S> {
    /// Checks that Stripe has one of the subscriptions of the ledger. A key of another account would show strangers, and
    /// every subscription of the ledger as gone, which nothing takes back.
    ///
    /// Checks also that a named account is not the one of the key: the log knows that one without a name, and would
    /// hold everything twice.
    pub(crate) async fn check_account(&self) -> Result<(), BackfillError> {
        let scope = &self.scope;
        if !scope.account.as_str().is_empty() {
            let own = Scope { account: AccountId::default(), livemode: scope.livemode };
            let own = self.probes(&own).await?;
            if let Some(row) = own.first()
                && self.exists(row).await?
            {
                return Err(BackfillError::OwnAccount(scope.account.clone()));
            }
        }
        self.is_account_known().await.map(drop)
    }

    /// True if Stripe has one of the subscriptions of the ledger; false if the ledger has none. Fails if Stripe has none of
    /// them.
    pub(super) async fn is_account_known(&self) -> Result<bool, BackfillError> {
        let rows = self.probes(&self.scope).await?;
        for row in &rows {
            if self.exists(row).await? {
                return Ok(true);
            }
        }
        if rows.is_empty() { Ok(false) } else { Err(BackfillError::OtherAccount(rows.len())) }
    }

    /// Some subscriptions of the ledger; first those that are not over.
    async fn probes(&self, scope: &Scope) -> Result<Vec<SubscriptionRow>, StoreError> {
        let filter = SubscriptionFilter {
            account: Some(scope.account.clone()),
            livemode: Some(scope.livemode),
            ..SubscriptionFilter::default()
        };
        let read = self.store.read_model.subscriptions(&filter, None, ROWS_AT_ONCE).await;
        let mut rows = match read {
            // There is no read model yet.
            Err(StoreError::ReadModelBuilding) => return Ok(Vec::new()),
            read => read?.1,
        };
        rows.sort_by_key(is_over);
        rows.truncate(PROBES_MAX);
        Ok(rows)
    }

    /// True if the account has the subscription.
    async fn exists(&self, row: &SubscriptionRow) -> Result<bool, BackfillError> {
        let path = format!("/v1/subscriptions/{}", row.subscription_id);
        Ok(self.get(&path, &[]).await?.is_some())
    }
}
