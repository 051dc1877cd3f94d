//! Features of customers. Stripe lists them for one customer at a time.

use std::collections::HashSet;

use super::candidate::Candidate;
use super::remaining::{ROWS_AT_ONCE, Report, is_over};
use super::run::{Backfill, BackfillError};
use crate::ids::CustomerId;
use crate::projection::row::SubscriptionRow;
use crate::store::{BackfillProgress, SubscriptionFilter, SubscriptionKey};
use crate::stripe_api::ApiError;

/// List of the features of an account. An account without any uses no entitlements.
const FEATURES: &str = "/v1/entitlements/features";
/// List of the features of a customer.
const ACTIVE: &str = "/v1/entitlements/active_entitlements";

impl Backfill<'_> {
    /// Reads the features of each customer with a subscription that is not over, or with features. The cursor is the
    /// last subscription that was looked at.
    pub(super) async fn read_entitlements(
        &mut self,
        progress: &mut BackfillProgress,
        report: Report<'_>,
    ) -> Result<(), BackfillError> {
        let scope = self.options.scope.clone();
        if !self.uses_entitlements().await? {
            return Ok(());
        }
        let filter = SubscriptionFilter {
            account: Some(scope.account.clone()),
            livemode: Some(scope.livemode),
            ..SubscriptionFilter::default()
        };
        let mut asked: HashSet<CustomerId> = HashSet::new();
        loop {
            let after = progress.cursor.as_deref();
            let after = after.map(|id| SubscriptionKey { scope: scope.clone(), id: id.into() });
            let read = self.store.read_model.subscriptions(&filter, after.as_ref(), ROWS_AT_ONCE);
            let (_, rows) = read.await?;
            asked.clear();
            for row in rows.iter().filter(|row| may_have_features(row)) {
                if asked.insert(row.customer_id.clone()) {
                    self.read_features(row.customer_id.as_str(), progress).await?;
                }
            }
            report(progress);
            let Some(last) = rows.last() else { return Ok(()) };
            progress.cursor = Some(last.subscription_id.to_string());
            self.save(progress).await?;
        }
    }

    /// True unless the API says that the account has no features.
    async fn uses_entitlements(&self) -> Result<bool, ApiError> {
        let account = Some(&self.options.scope.account);
        match self.client.get(FEATURES, &[("limit", "1")], account).await {
            Ok(answer) => {
                #[derive(serde::Deserialize)]
                struct Page {
                    data: Vec<serde::de::IgnoredAny>,
                }
                let page = serde_json::from_str::<Page>(&answer.body);
                Ok(page.is_ok_and(|page| !page.data.is_empty()))
            }
            Err(ApiError::NotFound { .. } | ApiError::Refused { status: 404, .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    async fn read_features(
        &self,
        customer: &str,
        progress: &mut BackfillProgress,
    ) -> Result<(), BackfillError> {
        let account = Some(&self.options.scope.account);
        let (mut entitlements, mut after, mut first) = (Vec::new(), None::<String>, None);
        loop {
            let query = [("customer", customer)];
            let page = self.client.list_page(ACTIVE, &query, after.as_deref(), account).await;
            let page = match page {
                // The customer is gone.
                Err(ApiError::NotFound { .. } | ApiError::AgedOut { .. }) => return Ok(()),
                page => page?,
            };
            entitlements.extend(page.objects);
            let request = first.get_or_insert(page.request);
            after = page.last_id;
            if page.has_more {
                continue;
            }
            progress.seen += 1;
            let scope = &self.options.scope;
            let candidate =
                Candidate::features(customer, &entitlements, scope, &self.seen_now(request));
            return self.append_one(candidate, progress).await;
        }
    }
}

fn may_have_features(row: &SubscriptionRow) -> bool {
    !is_over(row) || !row.features.0.is_empty()
}
