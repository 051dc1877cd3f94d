//! Features of customers. Stripe lists them for one customer at a time.

use std::collections::BTreeSet;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};

use super::candidate::{Candidate, Unreadable};
use super::error::BackfillError;
use super::reader::{Extent, RESTARTS_MAX, Reader, Report};
use super::remaining::{ROWS_AT_ONCE, is_over};
use super::sink::Sink;
use crate::ids::{AccountId, CustomerId};
use crate::projection::row::SubscriptionRow;
use crate::store::{BackfillProgress, SubscriptionFilter, SubscriptionKey};
use crate::stripe_api::{ApiClient, ApiError};

/// List of the features of an account. An account without any uses no entitlements.
const FEATURES: &str = "/v1/entitlements/features";
/// Customers whose features are compared and appended at once.
const CUSTOMERS_AT_ONCE: usize = 100;
/// Requests that are under way at once. The limit on the rate holds for all of them together.
const REQUESTS_AT_ONCE: usize = 8;
/// List of the features of a customer.
const ACTIVE: &str = "/v1/entitlements/active_entitlements";

impl<S: Sink> Reader<'_, S> {
    /// Reads the features of each customer with a subscription that is not over, or with features. The cursor is the
    /// last subscription that was looked at.
    pub(super) async fn read_entitlements(
        &mut self,
        progress: &mut BackfillProgress,
        report: Report<'_>,
    ) -> Result<(), BackfillError> {
        let scope = self.scope.clone();
        if !uses_entitlements(self.client, &scope.account).await? {
            return Ok(());
        }
        let filter = SubscriptionFilter {
            account: Some(scope.account.clone()),
            livemode: Some(scope.livemode),
            ..SubscriptionFilter::default()
        };
        loop {
            let after = progress.cursor.as_deref();
            let after = after.map(|id| SubscriptionKey { scope: scope.clone(), id: id.into() });
            let read = self.store.read_model.subscriptions(&filter, after.as_ref(), ROWS_AT_ONCE);
            let (_, rows) = read.await?;
            let customers: BTreeSet<&CustomerId> = rows
                .iter()
                .filter(|row| match self.extent {
                    Extent::Everything { .. } => may_have_features(row),
                    Extent::Current => row.features_truncated,
                })
                .map(|row| &row.customer_id)
                .collect();
            let customers: Vec<&CustomerId> = customers.into_iter().collect();
            for some in customers.chunks(CUSTOMERS_AT_ONCE) {
                // Collected, or the future of this function would not be `Send`.
                let requests = some.iter().map(|customer| self.read_features(customer.as_str()));
                let requests: Vec<_> = requests.collect();
                let read: Vec<_> =
                    stream::iter(requests).buffered(REQUESTS_AT_ONCE).try_collect().await?;
                let mut candidates = Vec::with_capacity(read.len());
                for candidate in read.into_iter().flatten() {
                    progress.seen += 1;
                    candidates.extend(Self::readable(candidate, progress));
                }
                self.sink.take(candidates, progress).await?;
                report(progress);
            }
            let Some(last) = rows.last() else { return Ok(()) };
            progress.cursor = Some(last.subscription_id.to_string());
            self.save(progress).await?;
        }
    }

    /// Reads the features of one customer. None if there is no such customer any more.
    async fn read_features(
        &self,
        customer: &str,
    ) -> Result<Option<Result<Candidate, Unreadable>>, ApiError> {
        let account = Some(&self.scope.account);
        let (mut entitlements, mut after, mut first) = (Vec::new(), None::<String>, None);
        let mut restarts = 0;
        loop {
            let query = [("customer", customer)];
            let page = match self.client.list_page(ACTIVE, &query, after.as_deref(), account).await
            {
                Err(ApiError::NotFound { .. }) => return Ok(None),
                // The list has changed between two pages.
                Err(ApiError::AgedOut { .. }) if restarts < RESTARTS_MAX => {
                    restarts += 1;
                    (entitlements, after, first) = (Vec::new(), None, None);
                    continue;
                }
                page => page?,
            };
            entitlements.extend(page.objects);
            let request = first.get_or_insert(page.request);
            after = page.last_id;
            if !page.has_more {
                let request = self.seen_now(request);
                let scope = &self.scope;
                return Ok(Some(Candidate::features(customer, &entitlements, scope, &request)));
            }
        }
    }
}

/// True unless the API says that the account has no features.
pub async fn uses_entitlements(client: &ApiClient, account: &AccountId) -> Result<bool, ApiError> {
    match client.list_page(FEATURES, &[], None, Some(account)).await {
        Ok(page) => Ok(!page.objects.is_empty()),
        // What imitates Stripe may not have this list.
        Err(ApiError::NotFound { .. } | ApiError::Refused { status: 404, .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

fn may_have_features(row: &SubscriptionRow) -> bool {
    !is_over(row) || !row.features.0.is_empty()
}
