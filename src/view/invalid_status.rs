//! Check of the statuses in a filter.

use std::fmt;

use crate::ids::Scope;
use crate::projection::policy::KNOWN_STATUSES;
use crate::store::{ReadModel, StoreError, SubscriptionFilter};
use crate::suggest::nearest;

/// Status that no subscription has and Stripe does not define: probably mistyped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidStatus {
    status: String,
    suggestion: Option<&'static str>,
}

impl InvalidStatus {
    /// Finds the first invalid status. A status that Stripe introduces later is known once a subscription has it.
    pub async fn find(
        statuses: &[String],
        scope: &Scope,
        read_model: &ReadModel,
    ) -> Result<Option<Self>, StoreError> {
        for status in statuses.iter().filter(|it| !KNOWN_STATUSES.contains(&it.as_str())) {
            let filter = SubscriptionFilter {
                account: Some(scope.account.clone()),
                livemode: Some(scope.livemode),
                statuses: vec![status.clone()],
                ..SubscriptionFilter::default()
            };
            if read_model.subscriptions(&filter, None, 1).await?.1.is_empty() {
                let suggestion = nearest(&status.to_lowercase(), KNOWN_STATUSES);
                return Ok(Some(Self { status: status.clone(), suggestion }));
            }
        }
        Ok(None)
    }

    /// Advice with the known statuses.
    pub fn hint(&self) -> String {
        let known = format!("statuses are {}", KNOWN_STATUSES.join(", "));
        match self.suggestion {
            Some(status) => format!("did you mean {status}? {known}"),
            None => known,
        }
    }
}

impl fmt::Display for InvalidStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown status {:?}", self.status)
    }
}
